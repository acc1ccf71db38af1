"""From the navigation to the worked example, against a Gradio page with nothing on it."""

from __future__ import annotations

from in_page import new_page, wait_until
from playwright.sync_api import Browser
from rows import Report, ratio_row, spoken

LOADS = 7


def paint(browser: Browser, app: str, empty: str, report: Report, quick: bool = False) -> None:
    """From the navigation to the worked example, against a page with nothing on it.

    Both are private windows, that keep files but no compiled code: so it is on a second visit.
    """
    times: dict[str, list[tuple[float, float]]] = {app: [], empty: []}
    for _ in range(3 if quick else LOADS):
        for address, found in times.items():
            found.append(cold_and_warm(browser, address))
    for i, kind in enumerate(("empty", "warm")):
        ours, bare = ([each[i] for each in times[address]] for address in (app, empty))
        ratios = [a / b for a, b in zip(ours, bare, strict=True)]
        report.add(ratio_row(f"first paint / bare Gradio page, {kind} cache", ratios, 1.5))
        report.note(f"page {spoken(ours)}; bare Gradio page {spoken(bare)}")


def cold_and_warm(browser: Browser, address: str) -> tuple[float, float]:
    """Milliseconds until it is drawn, for a new visitor and for one who comes back."""
    page, times = new_page(browser), []
    context = page.context
    for _ in range(2):
        page.goto(address)
        times.append(wait_until(page, "picture")["picture"])
        page.close()
        page = context.new_page()  # only now: of two pages, one would be in the background
    context.close()
    return times[0], times[1]
