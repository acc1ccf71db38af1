"""The viewer on the page: one `gr.HTML` whose template never changes, fed with JSON strings.

plotly.js comes from the installed plotly package, so that Python and browser agree on a version
and nothing is fetched from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import gradio as gr
import plotly
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

_SCRIPTS = (
    Path(plotly.__file__).parent / "package_data" / "plotly.min.js",
    Path(__file__).parent / "static" / "viewer.js",
)

_TEMPLATE = """
<div class="dv-viewer dv-waiting">
  <div class="dv-line">
    <span data-part="status"></span><span data-part="notes" class="dv-quiet"></span>
  </div>
  <div class="dv-panels">
    <figure class="dv-image">
      <figcaption>input <span data-part="caption" class="dv-quiet"></span></figcaption>
      <div data-figure="image" role="img" aria-label="the input, and the points read"></div>
    </figure>
    <figure class="dv-output">
      <figcaption>output <span data-part="output-caption" class="dv-quiet"></span></figcaption>
      <div data-figure="output" role="img" aria-label="the output"></div>
    </figure>
    <figure class="dv-kernel">
      <figcaption>kernel <span class="dv-quiet">pixels from its centre</span></figcaption>
      <div data-figure="kernel" role="img" aria-label="the taps in kernel coordinates"></div>
    </figure>
  </div>
  <div data-part="checks" class="dv-checks" role="status" aria-label="checks of this run"></div>
  <div data-part="terms" class="dv-terms"></div>
  <div data-part="shifts" class="dv-shifts" hidden></div>
</div>
"""

# Gradio lets Python listen to an event of this component if its quoted name stands in the script.
_JS_ON_LOAD = """
const EVENTS = ['pin'];
const base = new URL(window.gradio_config?.root || '/', window.location.href);
const root = base.pathname.replace(/\\/$/, ''); // a proxy may mount the app below a path
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
    for (const path of SCRIPTS) await load(path);
    window.deformviz.mount(view, props, trigger, watch);
  } catch (error) {
    view.textContent = 'The viewer could not start: ' + error.message + '. Reload the page.';
  }
})();
"""


def _url(path: Path) -> str:
    """With a tag of the content, so that a browser may keep the file for ever."""
    tag = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"/deformviz-static/{path.name}?v={tag}"


def _route(path: Path) -> Route:
    async def serve(request: Request) -> FileResponse:
        return FileResponse(
            path,
            media_type="text/javascript",
            headers={
                "Cache-Control": "public, max-age=31536000, immutable",
                "X-Content-Type-Options": "nosniff",
            },
        )

    return Route(f"/deformviz-static/{path.name}", serve)


ROUTES = [_route(path) for path in _SCRIPTS]
"""What the server must serve for the viewer."""


def viewer() -> gr.HTML:
    """A viewer; its value is a JSON string as `viewer.js` describes it, its event is `pin`."""
    script = _JS_ON_LOAD.replace("SCRIPTS", json.dumps([_url(path) for path in _SCRIPTS]))
    return gr.HTML(
        html_template=_TEMPLATE,
        js_on_load=script,
        apply_default_css=False,
        padding=False,
        elem_id="viewer",
    )
