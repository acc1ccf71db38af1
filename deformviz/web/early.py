"""The first picture, before Gradio's page is there; and the page's language.

Gradio takes most of a second to build its controls, and the picture would be the last to come. So
the page's own HTML brings the viewer's style and script along. The script finds the example in the
settings that Gradio's page holds anyway, and shows it where Gradio will put the viewer, which then
takes it over as it is: see `mountEarly` in `viewer/static/mount.js`.

Gradio's own words, such as those of a box to drop files in, follow the browser's language. Here
they follow the page's, and so do those that Gradio has in English alone.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..viewer import bundle
from ..words import LANGUAGES, Language
from .viewer import script_path

_STATIC = Path(__file__).parent / "static"

PAGES: dict[str, Language] = {"": "en", "/": "en", "/zh": "zh"}
"""The pages, by their paths."""

# The page is served where the app is mounted, be it below a path.
_SCRIPT = """
for (const [name, value] of [['language', 'LANGUAGE'], ['languages', ['LANGUAGE']]]) {
  Object.defineProperty(window.navigator, name, { get: () => value });
}
const deformvizBase = window.location.pathname.replace(/PAGE\\/?$/, '');
window.deformvizScript = new Promise((done, failed) => {
  const script = document.createElement('script');
  script.src = deformvizBase + 'PATH';
  script.onload = done;
  script.onerror = () => failed(new Error('cannot load ' + script.src));
  document.head.append(script);
});
(async () => {
  await window.deformvizScript;
  if (document.readyState === 'loading') {
    await new Promise((done) => document.addEventListener('DOMContentLoaded', done));
  }
  window.deformviz.mountEarly('viewer', deformvizBase);
})();
"""


# A script of its own scope.
_GRADIOS_WORDS = "window.deformvizScript.then(() => {\nWORDS});\n"


@lru_cache
def head(language: Language = "en") -> str:
    """What the head of a language's page gets."""
    page = "" if language == "en" else f"\\/{language}"
    script = (
        _SCRIPT.replace("PATH", script_path(language))
        .replace("LANGUAGE", LANGUAGES[language])
        .replace("PAGE", page)
    )
    if language != "en":
        script += _GRADIOS_WORDS.replace("WORDS", (_STATIC / "gradio_words.js").read_text("utf-8"))
    # The style of tabs with selectors that Gradio's way to styles would forbid is here, too.
    names = ("early", "lessons", "train")
    styles = "".join((_STATIC / f"{name}.css").read_text("utf-8") for name in names)
    return (
        f"<style>{bundle.style()}{styles}</style>"
        f'<template id="deformviz-viewer">{bundle.markup(language)}</template>'
        f"<script>{script}</script>"
    )


class Early:
    """Middleware that puts `head` into the pages, and says which language they are in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; of all there is, only the pages themselves are changed."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] == "http" and path == "/zh/":  # Gradio's redirection forgets the query
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"../zh?{query}" if query else "../zh")(scope, receive, send)
            return
        if scope["type"] != "http" or path not in PAGES:
            await self._app(scope, receive, send)
            return
        language = PAGES[path]
        started: Message = {}
        body = b""

        async def changed(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                started = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            headers = MutableHeaders(raw=list(started["headers"]))
            if headers.get("content-type", "").startswith("text/html"):
                body = body.replace(b"</head>", head(language).encode() + b"</head>", 1)
                body = body.replace(b'lang="en"', f'lang="{LANGUAGES[language]}"'.encode(), 1)
                headers["content-length"] = str(len(body))
            await send({**started, "headers": headers.raw})
            await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, changed)
