"""The Train tab: small networks learn while one looks at where they read.

All of it is drawn by `viewer/static/train.js`, which asks `train_server`.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from ..viewer.bundle import markup, told_markup
from ..words import say, spoken
from .script_tab import loading
from .train_server import script_path

_TEMPLATE = Path(__file__).parent / "static" / "train.html"


def build() -> gr.HTML:
    """Lay the tab out."""
    failed = say("The trainings could not start: {reason}. Reload the page.")
    script = loading(".dv-train", script_path(spoken()), "deformvizTrain.mountTrain", failed)
    html = told_markup(_TEMPLATE.read_text(encoding="utf-8"), spoken())
    return gr.HTML(
        "",
        html_template=html.replace("VIEWER", markup(spoken())),
        js_on_load=script,
        apply_default_css=False,
        padding=False,
        elem_id="train",
    )
