"""The viewer on the page: one `gr.HTML` whose template never changes, fed with JSON strings.

plotly.js comes from the installed plotly package, so that Python and browser agree on a version
and nothing is fetched from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import lru_cache

import gradio as gr
from plotly.offline import get_plotlyjs
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..viewer.bundle import markup, script

_JS_ON_LOAD = """
const base = new URL(window.gradio_config?.root || '/', window.location.href);
const root = base.pathname.replace(/\\/$/, ''); // a proxy may mount the app below a path
const first = props.value; // another may have come before the scripts are there
window.deformvizScripts ??= {};
const load = (path) => window.deformvizScripts[path] ??= new Promise((done, failed) => {
  const script = document.createElement('script');
  script.src = window.location.origin + root + path;
  script.onload = done;
  script.onerror = () => failed(new Error('cannot load ' + script.src));
  document.head.appendChild(script);
});
(async () => {
  const view = element.querySelector('.dv-viewer');
  try {
    await Promise.all(SCRIPTS.map(load));
    window.deformviz.mountInPage(view, root, props, watch, SHARES, first);
  } catch (error) {
    view.textContent = 'The viewer could not start: ' + error.message + '. Reload the page.';
  }
})();
"""

_SCRIPTS: dict[str, Callable[[], str]] = {"plotly.min.js": get_plotlyjs, "viewer.js": script}


@lru_cache(maxsize=2)
def _served(name: str) -> tuple[str, bytes]:
    """A script's URL, with a tag of its content so that a browser may keep it, and the script."""
    content = _SCRIPTS[name]().encode()
    tag = hashlib.sha256(content).hexdigest()[:12]
    return f"/deformviz-static/{name}?v={tag}", content


async def _serve(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _SCRIPTS:
        return PlainTextResponse("no such script", 404)
    return Response(
        _served(name)[1],
        media_type="text/javascript",
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )


ROUTES = [Route("/deformviz-static/{name}", _serve)]
"""What the server must serve for the viewer."""


def viewer(value: str | None, elem_id: str = "viewer", *, shares: bool = True) -> gr.HTML:
    """A viewer; its value is a JSON string, see `deformviz.web.view`.

    Args:
        value: what it opens with, or None.
        elem_id: its element's id on the page.
        shares: whether the page's address is its state.
    """
    urls = json.dumps([_served(name)[0] for name in _SCRIPTS])
    script = _JS_ON_LOAD.replace("SCRIPTS", urls).replace("SHARES", json.dumps(shares))
    return gr.HTML(
        value,
        html_template=markup(),
        js_on_load=script,
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
    )
