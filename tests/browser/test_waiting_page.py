"""A person whose job waits, or finds no place: what the page says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from explore_page import ExplorePage
from gradio import processing_utils
from gradio.queueing import Queue
from gradio_client import Client
from playwright.sync_api import Browser
from tabs import DESKTOP, explore_page

from deformviz.explore import Exploration, Settings, explore
from deformviz.web import asked
from deformviz.web import server as web
from deformviz.web.bounded import Bounded

WAIT = 60_000
PLACES = 2


@dataclass
class Busy:
    """A page whose server waits before each run until `go` is set."""

    page: ExplorePage
    queue: Queue
    client: Client
    begun: threading.Semaphore
    go: threading.Event

    def strength(self, value: float) -> None:
        self.page.page.locator("#strength input[type=number]").fill(str(value))

    def others(self, waiting: int) -> None:
        """Other people's jobs: one that runs, and so many that wait."""
        for seed in range(1 + waiting):
            self.client.submit(photo=None, example="cat", seed=seed, api_name="/explore")
            if seed == 0:
                assert self.begun.acquire(timeout=30)
        until(lambda: len(self.queue) == waiting)


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
    begun, go = threading.Semaphore(0), threading.Event()

    def slow(image: np.ndarray, settings: Settings, device: str) -> Exploration:
        begun.release()
        assert go.wait(60)
        return explore(image, settings, device)

    monkeypatch.setattr(asked, "explore", slow)
    monkeypatch.setattr(asked, "RUNS", Bounded(2**30, lambda run: 1))  # nothing is known yet
    url = f"http://127.0.0.1:{port}"
    context = browser.new_context(viewport=DESKTOP)
    try:
        with explore_page(context, url) as page:
            page.open()
            yield Busy(page, served._queue, Client(url, verbose=False), begun, go)
    finally:
        go.set()
        context.close()
        served.close()


def test_who_waits_sees_their_place(busy: Busy) -> None:
    busy.others(1)
    busy.strength(7)
    busy.page.page.get_by_text("queue: 2/2").wait_for(timeout=WAIT)
    busy.go.set()
    busy.page.wait_for("toward edges 7")


def test_who_finds_no_place_is_told_and_the_picture_stays(busy: Busy) -> None:
    busy.others(PLACES)
    before = busy.page.seen()
    busy.strength(7)
    busy.page.toast.filter(has_text="The server is busy: 2 jobs are waiting").wait_for(timeout=WAIT)
    assert busy.page.seen().rows == before.rows
    busy.go.set()
    busy.strength(8)
    busy.page.wait_for("toward edges 8")
