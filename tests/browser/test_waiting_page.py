"""A person whose question waits, or finds no place: what the page says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from explore_page import ExplorePage
from gradio import processing_utils
from playwright.sync_api import Browser
from tabs import DESKTOP, explore_page

from deformviz.web import server as web
from deformviz.web.turns import DEVICE, MOST_WAITING

WAIT = 60_000
PLACES = 3


@dataclass
class Busy:
    """A page whose server's device is taken until `go` is set."""

    page: ExplorePage
    go: threading.Event
    threads: ThreadPoolExecutor

    def strength(self, value: float) -> None:
        self.page.page.locator("#strength input[type=number]").fill(str(value))

    def others(self, count: int) -> None:
        """Other people's runs: one is under way, the others wait."""
        for _ in range(count):
            self.threads.submit(DEVICE.take, lambda: self.go.wait(60))
        until(lambda: DEVICE._waiting == count and len(DEVICE._line) == count - 1)


def until(met: Callable[[], bool]) -> None:
    for _ in range(600):
        if met():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


@pytest.fixture
def busy(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    name = "async_ssrf_protected_download"
    monkeypatch.setattr(processing_utils, name, getattr(processing_utils, name))  # put back after
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = web.launch("cpu", port=port, waiting=PLACES, prevent_thread_lock=True, quiet=True)
    go = threading.Event()
    context = browser.new_context(viewport=DESKTOP)
    try:
        with (
            explore_page(context, f"http://127.0.0.1:{port}") as page,
            ThreadPoolExecutor() as pool,
        ):
            page.open(image="cat", side=64)
            yield Busy(page, go, pool)
            go.set()
    finally:
        go.set()
        context.close()
        served.close()
        DEVICE.bound(MOST_WAITING)


def test_who_waits_sees_their_place(busy: Busy) -> None:
    busy.others(2)
    busy.strength(7)
    busy.page.page.get_by_text("waiting for a turn: 2 of 2").wait_for(timeout=WAIT)
    busy.go.set()
    busy.page.wait_for("toward edges 7")
    busy.page.page.get_by_text("waiting for a turn").wait_for(timeout=WAIT, state="detached")


def test_who_finds_no_place_is_told_and_the_picture_stays(busy: Busy) -> None:
    busy.others(PLACES)
    before = busy.page.seen()
    busy.strength(7)
    busy.page.toast.filter(has_text="The server is busy: 3 runs wait").wait_for(timeout=WAIT)
    assert busy.page.seen().rows == before.rows
    busy.go.set()
    until(lambda: DEVICE._waiting == 0)
    busy.strength(8)
    busy.page.wait_for("toward edges 8")
