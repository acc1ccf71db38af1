"""The line at the top: what this is, what it computes on, the language, and light or dark."""

from __future__ import annotations

from html import escape

import gradio as gr

from ..device import describe
from ..words import LANGUAGES, Language, say, spoken

# On the whole page: a tab that nobody has opened yet is not there, and would fall out of step.
_TOGGLE_CONTROLS = (
    "() => { document.getElementById('header').parentElement.classList.toggle('dv-folded'); }"
)
_TOGGLE_THEME = "() => { document.body.classList.toggle('dark'); }"

_NAMES: dict[Language, tuple[str, str]] = {"en": ("EN", ""), "zh": ("中文", "zh")}
"""Each language's name in its own, and its page below the app's address."""

# The address is the state, and so the other page opens on the same; light or dark goes along.
_FOLLOW = """
const link = element.querySelector('a');
link.addEventListener('click', () => {
  const url = new URL(window.location.href);
  const base = url.pathname.replace(/\\/(zh)?\\/?$/, '');
  url.pathname = `${base}/${link.dataset.page}`;
  const dark = document.body.classList.contains('dark');
  const system = window.matchMedia('(prefers-color-scheme: dark)').matches;
  if (dark !== system) url.searchParams.set('__theme', dark ? 'dark' : 'light');
  link.href = url;
});
"""


def header(device: str) -> None:
    """Lay it out; `device` is where the page computes."""
    with gr.Row(elem_id="header"):
        gr.HTML(
            '<div class="dv-header"><b>deformviz</b>'
            f'<span class="dv-quiet">{say("where a deformable convolution reads")}</span>'
            f'<span class="dv-quiet" id="device">{escape(describe(device))}</span></div>',
            padding=False,
        )
        gr.HTML(_switch(), js_on_load=_FOLLOW, padding=False, elem_id="language")
        for text, name, script in (
            (say("controls"), "fold", _TOGGLE_CONTROLS),
            (say("light / dark"), "theme", _TOGGLE_THEME),
        ):
            button = gr.Button(text, size="sm", elem_id=name)
            button.click(None, js=script, api_visibility="private")


def _switch() -> str:
    """Both languages' names, of which the other one's is a link."""
    names = [
        f'<b aria-current="true">{name}</b>'
        if language == spoken()
        else f'<a href="./{page}" data-page="{page}" lang="{LANGUAGES[language]}"'
        f' hreflang="{LANGUAGES[language]}">{name}</a>'
        for language, (name, page) in _NAMES.items()
    ]
    return f'<nav class="dv-language" aria-label="{say("language")}">{"<i>/</i>".join(names)}</nav>'
