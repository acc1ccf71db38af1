"""How fast the page is in a real Chromium, against targets that are stated here.

    python benchmarks/viewer.py [--quick] [--json FILE] [--only hover wire change paint]

Needs what `make test` installs. Wherever a time depends on the machine, the row is a ratio to what
the page could not do without, measured in the same run and by turns: the operator alone, a bare
Gradio page, a bare plotly figure. The spread is that of the repetitions: quartiles, or for the
hover the lowest and highest of its rounds. Close other programs: a script that waits for a core
counts as slow here, but in its processor time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import paths  # noqa: F401  (where deformviz and chromium lie)
import torch
from change import change
from chromium import launch
from hover import LISTENERS, hover
from in_page import CHROMIUM, new_page, open_photo, photo_file
from paint import paint
from playwright.sync_api import sync_playwright
from rows import Report, arguments, finish
from servers import app_server, bare_server, serve_echo, serve_empty
from wire import wire

PARTS = ("wire", "hover", "change", "paint")


def rows(report: Report, quick: bool, parts: Sequence[str] = PARTS) -> None:
    """Start a server and a Chromium, and fill the report."""
    with ExitStack() as stack:
        photo = stack.enter_context(photo_file())
        app = stack.enter_context(app_server())
        browser = launch(stack.enter_context(sync_playwright()), args=CHROMIUM)
        stack.callback(browser.close)
        report.note(
            f"Chromium {browser.version}, torch {torch.__version__} with "
            f"{torch.get_num_threads()} threads, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f} before"
        )
        if {"wire", "hover"} & set(parts):  # what the wire loads is hovered over next
            page = new_page(browser, LISTENERS)
            open_photo(page, app, photo)
            wire(page, photo, report)
            if "hover" in parts:
                hover(browser, page, report)
            page.context.close()
        if "change" in parts:
            with bare_server(serve_echo) as echo:
                change(browser, app, echo, photo, report, quick)
        if "paint" in parts:
            with bare_server(serve_empty) as empty:
                paint(browser, app, empty, report, quick)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these rows")
    options = parser.parse_args()
    finish(partial(rows, parts=options.only), options.quick, options.json)
