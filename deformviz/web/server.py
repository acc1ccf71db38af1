"""The page as a whole, and how it is served: to this machine alone, calling nobody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from .. import examples
from ..images import decode, to_data_uri
from ..training.runs import Runs
from ..viewer import bundle
from ..words import LANGUAGES, Language, say, speaking
from . import (
    asking,
    checkpoint_tab,
    explore_tab,
    lesson_server,
    lessons_tab,
    numbers,
    script_tab,
    tidy,
    train_server,
    train_tab,
    viewer,
)
from .early import Early
from .endpoints import add_endpoints
from .guard import refuse_links
from .header import header
from .turns import DEVICE, MOST_WAITING
from .waiting import bound

_STYLE = Path(__file__).parent / "static" / "style.css"


def build(device: str) -> gr.Blocks:
    """The page, computing on `device`; and at /zh the same in Chinese, one app with it."""
    with gr.Blocks(
        title="deformviz", fill_width=True, analytics_enabled=False, delete_cache=(600, 3600)
    ) as page:
        controls = _lay_out(page, device)
        add_endpoints(controls, device)  # once: programs speak English
    with page.route("中文", "/zh", show_in_navbar=False), speaking("zh"):
        _lay_out(page, device)
    return page


def _lay_out(page: gr.Blocks, device: str) -> dict[str, Any]:
    """The page in the language that is spoken; returns the Explore tab's controls by name."""
    header(device)
    with gr.Tabs():
        with gr.Tab(say("Explore"), elem_id="explore-tab"):
            controls = explore_tab.build(page, device)
        with gr.Tab(say("Checkpoint"), elem_id="checkpoint-tab"):
            checkpoint_tab.build()
        with gr.Tab(say("Lessons"), elem_id="lessons-tab"):
            lessons_tab.build()
        with gr.Tab(say("Train"), elem_id="train-tab"):
            train_tab.build()
    page.load(None, js=script_tab.opening(), api_visibility="private")
    return controls


def launch(
    device: str,
    host: str = "127.0.0.1",
    port: int | None = None,
    waiting: int = MOST_WAITING,
    lessons: Sequence[Path] = (),
    keep: int = tidy.MOST_MIB,
    **options: Any,  # noqa: ANN401
) -> gr.Blocks:
    """Serve the page.

    Args:
        device: where to compute.
        host: the address to listen at; the default is this machine alone.
        port: None takes 7860 or the next that is free.
        waiting: how many jobs of a kind may wait; the next one is refused with a message.
        lessons: folders of lessons beside the app's own.
        keep: MiB of runs, photos and checkpoints that are kept for those who may ask again.
        options: for `gr.Blocks.launch`, e.g. `prevent_thread_lock=True`.

    Raises:
        LessonError: a file in one of those folders that is no lesson.
    """
    library = lesson_server.Library(device, lessons)
    refuse_links()
    page = build(device)
    bound(page, waiting)
    DEVICE.bound(waiting)
    tidy.bound(keep)
    tidy.start()
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
            "routes": [
                *viewer.ROUTES,
                *numbers.ROUTES,
                *asking.routes(device),
                *lesson_server.routes(library),
                *train_server.routes(Runs(device)),
            ],
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
    """A rule for each example, which shows it on its radio button, whatever it is called there."""
    rules = []
    for name in examples.names():
        labels = [
            f'#{box} label[data-testid="{_said_in(language, name)}-radio-label"]'
            for language in LANGUAGES
            for box in ("example", "run-example")
        ]
        uri = to_data_uri(decode(examples.path(name), max_side=96).pixels)
        rules.append(f"{', '.join(labels)} {{ background-image: url({uri}); }}")
    return "\n".join(rules)


def _said_in(language: Language, text: str) -> str:
    with speaking(language):
        return say(text)
