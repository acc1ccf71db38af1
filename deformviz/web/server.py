"""The page as a whole, and how it is served: to this machine alone, calling nobody."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from .. import examples
from ..device import describe
from ..images import decode, to_data_uri
from ..viewer import bundle
from . import checkpoint_tab, explore_tab, numbers, viewer
from .early import Early
from .guard import refuse_links

_STYLE = Path(__file__).parent / "static" / "style.css"
_TOGGLE_CONTROLS = (
    "() => { for (const tab of document.querySelectorAll('#explore, #checkpoint'))"
    " tab.classList.toggle('dv-folded'); }"
)
_TOGGLE_THEME = "() => { document.body.classList.toggle('dark'); }"


def build(device: str) -> gr.Blocks:
    """The page, computing on `device`."""
    with gr.Blocks(
        title="deformviz", fill_width=True, analytics_enabled=False, delete_cache=(600, 3600)
    ) as page:
        with gr.Row(elem_id="header"):
            gr.HTML(
                '<div class="dv-header"><b>deformviz</b>'
                '<span class="dv-quiet">where a deformable convolution reads</span>'
                f'<span class="dv-quiet" id="device">{escape(describe(device))}</span></div>',
                padding=False,
            )
            for text, name, script in (
                ("controls", "fold", _TOGGLE_CONTROLS),
                ("light / dark", "theme", _TOGGLE_THEME),
            ):
                button = gr.Button(text, size="sm", elem_id=name)
                button.click(None, js=script, api_visibility="private")
        with gr.Tabs():
            with gr.Tab("Explore"):
                explore_tab.build(page, device)
            with gr.Tab("Checkpoint"):
                checkpoint_tab.build()
    return page


def launch(
    device: str,
    host: str = "127.0.0.1",
    port: int | None = None,
    **options: Any,  # noqa: ANN401
) -> gr.Blocks:
    """Serve the page.

    Args:
        device: where to compute.
        host: the address to listen at; the default is this machine alone.
        port: None takes 7860 or the next that is free.
        options: for `gr.Blocks.launch`, e.g. `prevent_thread_lock=True`.
    """
    refuse_links()
    page = build(device)
    page.queue(max_size=64, default_concurrency_limit=1)
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        show_error=False,
        footer_links=[],
        allowed_paths=[],
        max_file_size="200mb",
        state_session_capacity=200,
        app_kwargs={
            "routes": [*viewer.ROUTES, *numbers.ROUTES],
            "middleware": [Middleware(Early)],
        },
        theme=_theme(),
        # The viewer's style is in the head as well, for the first picture. Here Gradio puts marks
        # of its own before the selectors, without which its style of tables and inputs wins.
        css=_STYLE.read_text() + bundle.style() + _thumbnails(),
        **options,
    )
    return page


def _theme() -> gr.themes.Base:
    """The system's own font, so that none is fetched."""
    return gr.themes.Default(
        primary_hue="blue",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
        spacing_size=gr.themes.sizes.spacing_sm,
        text_size=gr.themes.sizes.text_sm,
        radius_size=gr.themes.sizes.radius_sm,
    )


def _thumbnails() -> str:
    """A rule for each example, which shows it on its radio button."""
    label = 'label[data-testid="{name}-radio-label"]'
    rule = f"#example {label}, #run-example {label} {{{{ background-image: url({{uri}}); }}}}"
    return "\n".join(
        rule.format(name=name, uri=to_data_uri(decode(examples.path(name), max_side=96).pixels))
        for name in examples.names()
    )
