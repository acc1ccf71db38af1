"""The hover while the server trains for others, against the same hover without: by turns.

    python benchmarks/trainings.py [--quick] [--json FILE]

A hover asks the server for nothing. But where browser and server share a machine, as on a
teacher's laptop, trainings want the same cores: they step back behind whoever is waited for, and so
the hover must not tell that they are there. The page's scripts are timed by the page's own clock,
which runs while something else has the core, and a move from when it is sent until it is served.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import paths  # noqa: F401  (where deformviz and chromium lie)
from chromium import launch
from hover import LISTENERS, MOVES, moved_over
from in_page import CHROMIUM, new_page, open_photo, photo_file
from playwright.sync_api import Page, sync_playwright
from rows import Report, alone, ratio_row
from servers import app_server

from deformviz.training.runs import MOST_RUNNING

TURNS, FEW = 6, 3
TARGET = 1.5
"""As for the hover beside a class, see `load.py`: nobody feels half a millisecond more."""
WAIT = 180.0
"""Seconds: no start and no end takes as long."""
_PATH = "/deformviz-train"


def rows(report: Report, quick: bool) -> None:
    """Hover over a photo, without trainings and with as many as run at once."""
    MOVES["image"] = 60 if quick else 200
    scripts: list[float] = []
    served: list[float] = []
    with ExitStack() as stack:
        photo = stack.enter_context(photo_file())
        address = stack.enter_context(app_server())
        browser = launch(stack.enter_context(sync_playwright()), args=CHROMIUM)
        stack.callback(browser.close)
        page = new_page(browser, LISTENERS)
        open_photo(page, address, photo)
        hovered(page)  # the first round only warms up
        quiet_all, loaded_all = [], []
        for turn in range(FEW if quick else TURNS):
            quiet = hovered(page)
            with trainings(address, turn):
                loaded = hovered(page)
            scripts.append(loaded[0] / quiet[0])
            served.append(loaded[1] / quiet[1])
            quiet_all.append(quiet)
            loaded_all.append(loaded)
    n = MOST_RUNNING
    report.add(ratio_row(f"hover while {n} trainings run: script / without", scripts, TARGET))
    report.add(ratio_row(f"hover while {n} trainings run: move served / without", served, TARGET))
    for name, each in (("without", quiet_all), ("with", loaded_all)):
        script, move = (statistics.median(values) for values in zip(*each, strict=True))
        report.note(f"{name} trainings: script {script:.2f} ms a move, served in {move:.2f} ms")
    report.note(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end")


def hovered(page: Page) -> tuple[float, float]:
    """Milliseconds of a round: the median of a move's scripts, and the mean until it is served."""
    start = time.perf_counter()
    moves = moved_over(page, "image")
    took = 1000 * (time.perf_counter() - start) - 100  # that it waits at the end
    return statistics.median(move["ms"] for move in moves), took / len(moves)


@contextmanager
def trainings(address: str, turn: int) -> Iterator[None]:
    """As many as the server runs at once, all learning; at the end they are over."""
    with httpx.Client(base_url=address, timeout=WAIT) as client:
        asked = {"task": "scale", "knobs": {"kernel": 5, "steps": 1000}}
        names = [
            client.post(f"{_PATH}/start", json=asked | {"seed": 10 * turn + i})
            .raise_for_status()
            .json()["name"]
            for i in range(MOST_RUNNING)
        ]
        try:
            for name in names:
                _wait(client, name, "running")
            yield
        finally:
            for name in names:
                client.post(f"{_PATH}/{name}/stop")
            for name in names:
                _wait(client, name, "stopped")


def _wait(client: httpx.Client, name: str, state: str) -> None:
    """Until a run is there; one that runs has shown its first moment, and learns."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        told = client.get(f"{_PATH}/{name}").raise_for_status().json()
        if told["state"] == state and (told["moments"] or state == "stopped"):
            return
        if told["state"] in ("failed", "finished"):
            raise RuntimeError(f"a training is {told['state']}: {told['problem']}")
        time.sleep(0.2)
    raise RuntimeError(f"a training was not {state} in {WAIT:.0f} s")


if __name__ == "__main__":
    alone(__doc__, rows)
