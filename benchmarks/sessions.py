"""What a visitor costs the server in memory, against the same server with nobody there.

    python benchmarks/sessions.py [--quick] [--json FILE]

Visitors are pages in a real Chromium that stay open. First they only look at the worked example,
then each makes a run of their own, whose numbers the server keeps for a while, up to a bound. The
memory is the server's resident set, read from /proc: this is for Linux alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import paths  # noqa: F401  (where deformviz and chromium lie)
from chromium import launch
from in_page import CHROMIUM, new_page, settle, wait_until
from playwright.sync_api import Page, sync_playwright
from rows import Report, alone, once_row
from servers import app_process

VISITORS, FEW = 20, 6
BEFORE = 6
"""Visitors who have come and gone before: the server has its threads then, which are nobody's."""

LOOK, RUN = 4.0, 12.0
"""MiB that a visitor may cost. Of one who only looks nothing is kept but the values of a session;
what is sent, some 2 MB of page, is made twice at most while it is on its way, and the system's
library may keep that room. Who has a run of 256 x 170 positions has 6 MiB of offsets, mask, input
and output, and as much room for the numbers on their way."""


def rows(report: Report, quick: bool) -> None:
    """Open pages, one after the other, and look at the server in between."""
    count = FEW if quick else VISITORS
    with ExitStack() as stack:
        address, process = stack.enter_context(app_process())
        browser = launch(stack.enter_context(sync_playwright()), args=CHROMIUM)
        stack.callback(browser.close)
        warm = opened(new_page(browser), address)
        for i in range(8):  # what the first runs of a process load and keep is nobody's
            ran(warm, f"{20 + i / 10:.1f}")
        for _ in range(BEFORE):
            opened(new_page(browser), address).context.close()
        before = resident(process)
        pages = [opened(new_page(browser), address) for _ in range(count)]
        looked = resident(process)
        for i, page in enumerate(pages):
            ran(page, f"{10 + i / 10:.1f}")
        after = resident(process)
    report.add(
        once_row("server memory for each visitor who looks", (looked - before) / count, LOOK, "MiB")
    )
    report.add(
        once_row("server memory for each visitor's own run", (after - looked) / count, RUN, "MiB")
    )
    told = f"{before:.0f} MiB before, {looked:.0f} with them, {after:.0f} with their runs"
    report.note(f"{count} visitors: {told}")


def opened(page: Page, address: str) -> Page:
    """A page on the worked example, finished."""
    page.goto(address)
    wait_until(page, "picture")
    page.locator("#strength input[type=number]").wait_for()
    settle(page)
    return page


def ran(page: Page, strength: str) -> None:
    """One run, never one that the server has kept."""
    page.locator("#strength input[type=number]").fill(strength)
    wait_until(page, "picture")
    settle(page)


def resident(process: int) -> float:
    """MiB of a process that are in memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    alone(__doc__, rows)
