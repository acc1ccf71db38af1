"""A person whose question waits, or finds no place: what the page says."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import pytest
from explore_page import ExplorePage
from gradio import processing_utils
from PIL import Image
from playwright.sync_api import Browser, Page, expect
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
    served: gr.Blocks
    url: str

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
    url = f"http://127.0.0.1:{port}"
    served = web.launch("cpu", port=port, waiting=PLACES, prevent_thread_lock=True, quiet=True)
    go = threading.Event()
    context = browser.new_context(viewport=DESKTOP)
    try:
        with (
            explore_page(context, url) as page,
            ThreadPoolExecutor() as pool,
        ):
            page.open(image="cat", side=64)
            yield Busy(page, go, pool, served, url)
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


FULL = {
    "": ("Error", "The server is busy: 0 jobs are waiting already. What you had is still here"),
    "/zh": ("出错", "服务器正忙：已有 0 个任务在排队。页面上的内容仍然保留：请一分钟后再试。"),
}
"""The toast's title, which is Gradio's, and its words, by the page's path."""


def choose(page: Page, name: str) -> None:
    """Another of a dropdown's."""
    page.locator(f"#{name} input").click()
    page.get_by_role("option").locator("visible=true").last.click()


@pytest.mark.parametrize("language", FULL)
def test_no_control_of_the_checkpoint_tab_is_told_in_other_words_that_the_line_is_full(
    busy: Busy, language: str, tmp_path: Path
) -> None:
    page = busy.page.page
    page.goto(busy.url + language)
    page.get_by_role("tab").nth(1).click()
    viewer = page.locator("#checkpoint-viewer .dv-viewer")
    expect(viewer).to_have_attribute("data-view", re.compile("made-up"), timeout=WAIT)
    page.locator("#made-up-epochs").click()  # several files, so that all controls are there
    page.locator("#files").wait_for(timeout=WAIT)
    shown = viewer.get_attribute("data-view")
    (tmp_path / "a.pth").write_bytes(b"")
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    controls: dict[str, Callable[[], None]] = {
        "button": lambda: page.locator("#made-up-network").click(),
        "button of several": lambda: page.locator("#compare-files").click(),
        "table": lambda: page.locator("#layers tbody tr").first.click(),
        "radio": lambda: page.locator("#files label").first.click(),
        "dropdown": lambda: choose(page, "measure"),
        "dropdown of many": lambda: choose(page, "family"),
        "number": lambda: page.locator("#offset_groups input").fill("2"),
        "upload": lambda: page.locator("#checkpoint-file input[type=file]").set_input_files(
            tmp_path / "a.pth"
        ),
    }
    busy.served._queue.max_size = 0
    title, words = FULL[language]
    toast = page.locator(".toast-body")
    for name, use in controls.items():
        use()
        expect(toast, name).to_have_count(1, timeout=WAIT)
        expect(toast.locator(".toast-title"), name).to_contain_text(title, timeout=WAIT)
        told = toast.locator(".toast-message-text").all_inner_texts()  # a dropdown asks twice
        assert told, name
        assert all(text.startswith(words) for text in told), (name, told)
        toast.get_by_test_id("toast-close").click()
        expect(toast, name).to_have_count(0, timeout=WAIT)
        assert viewer.get_attribute("data-view") == shown, name
