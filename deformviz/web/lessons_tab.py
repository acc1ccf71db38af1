"""The Lessons tab: a list of lessons, and one lesson beside a viewer of its own.

All of it is drawn by `viewer/static/lessons.js`, which asks `lesson_server` for each step.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from ..viewer.bundle import markup
from ..words import say, spoken
from .lesson_server import script_path
from .script_tab import loading

_TEMPLATE = Path(__file__).parent / "static" / "lessons.html"


def build() -> gr.HTML:
    """Lay the tab out, in the language that is spoken."""
    failed = say("The lessons could not start: {reason}. Reload the page.")
    script = loading(".dv-lessons", script_path(), "deformvizLessons.mountLessons", failed)
    template = _TEMPLATE.read_text(encoding="utf-8")
    return gr.HTML(
        "",
        html_template=template.replace("VIEWER", markup(spoken())),
        js_on_load=script,
        apply_default_css=False,
        padding=False,
        elem_id="lessons",
    )
