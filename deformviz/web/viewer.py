"""The viewer on the page: one `gr.HTML` whose template never changes, fed with JSON strings.

Its script is served by the app, so that nothing is fetched from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

import gradio as gr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..viewer.bundle import markup, script

_JS_ON_LOAD = """
const base = new URL(window.gradio_config?.root || '/', window.location.href);
const root = base.pathname.replace(/\\/$/, ''); // a proxy may mount the app below a path
const first = props.value; // another may have come before the script is there
(async () => {
  const view = element.querySelector('.dv-viewer');
  try {
    await window.deformvizScript; // which the page's head has begun to load, see early.py
    window.deformviz.mountInPage(view, root, props, watch, SHARES, first);
  } catch (error) {
    view.textContent = 'The viewer could not start: ' + error.message + '. Reload the page.';
  }
})();
"""

_PATH = "/deformviz-static/viewer.js"


@lru_cache(maxsize=1)
def script_path() -> str:
    """The script's, with a tag of its content so that a browser may keep it."""
    return f"{_PATH}?v={hashlib.sha256(script().encode()).hexdigest()[:12]}"


async def _serve(request: Request) -> Response:
    return Response(
        script(),
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
    loading = _JS_ON_LOAD.replace("SHARES", json.dumps(shares))
    return gr.HTML(
        value,
        html_template=markup(),
        js_on_load=loading,
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
    )
