"""The viewer on the page: one `gr.HTML` whose template never changes, fed with JSON strings.

Its script is served by the app, so that nothing is fetched from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

import gradio as gr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..viewer.bundle import markup, script
from ..words import LANGUAGES, Language, say, spoken

_JS_ON_LOAD = """
const base = new URL(window.gradio_config?.root || '/', window.location.href);
const root = base.pathname.replace(/\\/$/, ''); // a proxy may mount the app below a path
const first = props.value; // another may have come before the script is there
(async () => {
  const view = element.querySelector('.dv-viewer');
  try {
    await window.deformvizScript; // which the page's head has begun to load, see early.py
    window.deformviz.mountInPage(view, root, props, watch, SHARES, first, trigger);
  } catch (error) {
    view.textContent = FAILED.replace('{reason}', error.message);
  }
})();
"""

_PATH = "/deformviz-static/{language}/viewer.js"


@lru_cache
def script_path(language: Language = "en") -> str:
    """The script's, with a tag of its content so that a browser may keep it."""
    tag = hashlib.sha256(script(language).encode()).hexdigest()[:12]
    return f"{_PATH.format(language=language)}?v={tag}"


async def _serve(request: Request) -> Response:
    language = request.path_params["language"]
    if language not in LANGUAGES:
        return PlainTextResponse("There is no such language.", 404)
    return Response(
        script(language),
        media_type="text/javascript",
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )


ROUTES = [Route(_PATH, _serve)]
"""What the server must serve for the viewer."""


def viewer(value: str | None, elem_id: str = "viewer", *, shares: bool = True) -> gr.HTML:
    """A viewer; its value is a JSON string, see `deformviz.web.view`.

    Args:
        value: what it opens with, or None.
        elem_id: its element's id on the page.
        shares: whether the page's address is its state.
    """
    failed = say("The viewer could not start: {reason}. Reload the page.")
    loading = _JS_ON_LOAD.replace("SHARES", json.dumps(shares))
    return gr.HTML(
        value,
        html_template=markup(spoken()),
        js_on_load=loading.replace("FAILED", json.dumps(failed)),
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
    )
