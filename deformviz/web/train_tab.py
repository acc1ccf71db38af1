"""The Train tab: small networks learn while one looks at where they read.

All of it is drawn by `viewer/static/train.js`, which asks `train_server`.
"""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from ..viewer.bundle import markup, told_markup
from ..words import say, spoken
from .train_server import script_path

_TEMPLATE = Path(__file__).parent / "static" / "train.html"

_JS_ON_LOAD = """
const base = new URL(window.gradio_config?.root || '/', window.location.href);
const root = base.pathname.replace(/\\/$/, ''); // a proxy may mount the app below a path
(async () => {
  const page = element.querySelector('.dv-train');
  try {
    await window.deformvizScript;
    await new Promise((done, failed) => {
      const script = document.createElement('script');
      script.src = root + PATH;
      script.onload = done;
      script.onerror = () => failed(new Error('cannot load ' + script.src));
      document.head.append(script);
    });
    window.deformvizTrain.mountTrain(page, root);
  } catch (error) {
    page.textContent = FAILED.replace('{reason}', error.message);
  }
})();
"""

OPEN_BY_LINK = """
() => {
  const asks = new URLSearchParams(window.location.search).has('train');
  if (asks) document.getElementById('train-tab-button')?.click();
}
"""
"""What the page runs when it is there: a link to the tab opens it."""


def build() -> gr.HTML:
    """Lay the tab out."""
    failed = say("The trainings could not start: {reason}. Reload the page.")
    loading = _JS_ON_LOAD.replace("PATH", json.dumps(script_path(spoken())))
    html = told_markup(_TEMPLATE.read_text(encoding="utf-8"), spoken())
    return gr.HTML(
        "",
        html_template=html.replace("VIEWER", markup(spoken())),
        js_on_load=loading.replace("FAILED", json.dumps(failed)),
        apply_default_css=False,
        padding=False,
        elem_id="train",
    )
