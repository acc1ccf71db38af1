"""A server as a newcomer would start it, and a browser to look at it with."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import launch
from explore_page import ExplorePage
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from tabs import DESKTOP, OpenFile, OpenRun, explore_page, file_opener, offline_context
from truth import photo_pixels
from viewer_page import ViewerPage

from deformviz.explore import Exploration
from deformviz.viewer import View, ViewState

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a running `python app.py`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--device", "cpu", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server ended before it was ready"
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the server was not ready in time")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What most pages share: a browser that has loaded the scripts once."""
    context = browser.new_context(viewport=DESKTOP)
    yield context
    context.close()


@pytest.fixture
def explore(context: BrowserContext, server: str) -> Iterator[ExplorePage]:
    """An empty tab for the Explore page; no script may have failed at the end."""
    with explore_page(context, server) as page:
        yield page


@pytest.fixture(scope="session")
def offline(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without a network."""
    with offline_context(browser) as context:
        yield context


@pytest.fixture
def open_file(offline: BrowserContext) -> Iterator[OpenFile]:
    """Opens a saved page from disk; it may ask for nothing but itself, and no script may fail."""
    with file_opener(offline) as opened:
        yield opened


@pytest.fixture
def open_run(open_file: OpenFile, tmp_path: Path) -> OpenRun:
    """Opens a run of `truth.photo_pixels` as `Sampling.show` saves it; takes what it opens with."""

    def opened(run: Exploration, **state: Any) -> ViewerPage:
        path = tmp_path / "view.html"
        View(run.sampling, photo_pixels(), ViewState(**state)).save(path)
        return open_file(path)

    return opened


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`truth.photo_pixels` as a file."""
    file = tmp_path_factory.mktemp("photo") / "a photo.png"
    Image.fromarray(photo_pixels()).save(file)
    return file
