"""The first picture, before Gradio's page is there.

Gradio takes most of a second to build its controls, and the picture would be the last to come. So
the page's own HTML brings the viewer's style and script along. The script finds the example in the
settings that Gradio's page holds anyway, and shows it where Gradio will put the viewer, which then
takes it over as it is: see `mountEarly` in `viewer/static/mount.js`.
"""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..viewer import bundle
from .viewer import script_path

_STYLE = Path(__file__).parent / "static" / "early.css"

# The page is served where the app is mounted, be it below a path.
_SCRIPT = """
window.deformvizScript = new Promise((done, failed) => {
  const script = document.createElement('script');
  script.src = window.location.pathname.replace(/\\/$/, '') + 'PATH';
  script.onload = done;
  script.onerror = () => failed(new Error('cannot load ' + script.src));
  document.head.append(script);
});
(async () => {
  await window.deformvizScript;
  if (document.readyState === 'loading') {
    await new Promise((done) => document.addEventListener('DOMContentLoaded', done));
  }
  window.deformviz.mountEarly('viewer', window.location.pathname.replace(/\\/$/, ''));
})();
"""


def head() -> str:
    """What the page's head gets."""
    script = _SCRIPT.replace("PATH", script_path())
    return (
        f"<style>{bundle.style()}{_STYLE.read_text()}</style>"
        f'<template id="deformviz-viewer">{bundle.markup()}</template>'
        f"<script>{script}</script>"
    )


class Early:
    """Middleware that puts `head` into the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._head = head().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; of all there is, only the page itself is changed."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or path not in ("", "/"):
            await self._app(scope, receive, send)
            return
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
                body = body.replace(b"</head>", self._head + b"</head>", 1)
                headers["content-length"] = str(len(body))
            await send({**started, "headers": headers.raw})
            await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, changed)
