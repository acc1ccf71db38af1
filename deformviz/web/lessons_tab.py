"""The Lessons tab: a list of lessons, and one lesson beside a viewer of its own.

All of it is drawn by `viewer/static/lessons.js`, which asks `lesson_server` for each step.
"""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from ..viewer.bundle import markup
from ..words import say, spoken
from .lesson_server import script_path

_TEMPLATE = Path(__file__).parent / "static" / "lessons.html"

_JS_ON_LOAD = """
const base = new URL(window.gradio_config?.root || '/', window.location.href);
const root = base.pathname.replace(/\\/$/, ''); // a proxy may mount the app below a path
(async () => {
  const lessons = element.querySelector('.dv-lessons');
  try {
    await window.deformvizScript;
    await new Promise((done, failed) => {
      const script = document.createElement('script');
      script.src = root + PATH;
      script.onload = done;
      script.onerror = () => failed(new Error('cannot load ' + script.src));
      document.head.append(script);
    });
    window.deformvizLessons.mountLessons(lessons, root, LANGUAGE);
  } catch (error) {
    lessons.textContent = FAILED.replace('{reason}', error.message);
  }
})();
"""

OPEN_BY_LINK = """
() => {
  const asks = new URLSearchParams(window.location.search).has('lesson');
  if (asks) document.getElementById('lessons-tab-button')?.click();
}
"""
"""What the page runs when it is there: a lesson's link opens its tab."""


def build() -> gr.HTML:
    """Lay the tab out, in the language that is spoken."""
    failed = say("The lessons could not start: {reason}. Reload the page.")
    loading = (
        _JS_ON_LOAD.replace("PATH", json.dumps(script_path()))
        .replace("LANGUAGE", json.dumps(spoken()))
        .replace("FAILED", json.dumps(failed))
    )
    template = _TEMPLATE.read_text(encoding="utf-8")
    return gr.HTML(
        "",
        html_template=template.replace("VIEWER", markup(spoken())),
        js_on_load=loading,
        apply_default_css=False,
        padding=False,
        elem_id="lessons",
    )
