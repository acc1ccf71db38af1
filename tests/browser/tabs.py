"""Tabs of a browser: on the app, and on files without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from explore_page import ExplorePage
from playwright.sync_api import Browser, BrowserContext
from viewer_page import ViewerPage

DESKTOP = {"width": 1440, "height": 900}

OpenFile = Callable[[Path], ViewerPage]
"""Opens a saved page."""
OpenRun = Callable[..., ViewerPage]
"""Saves a run and opens it; the viewer's state as keywords."""


@contextmanager
def explore_page(context: BrowserContext, server: str) -> Iterator[ExplorePage]:
    """A tab for the Explore page; at the end it is closed, and no script may have failed."""
    page = ExplorePage(context.new_page(), server)
    yield page
    assert page.errors == []
    page.page.close()


@contextmanager
def offline_context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without a network."""
    context = browser.new_context(viewport=DESKTOP, offline=True)
    context.route(lambda url: not url.startswith("file:"), lambda route: route.abort())
    yield context
    context.close()


@contextmanager
def file_opener(offline: BrowserContext) -> Iterator[OpenFile]:
    """Opens files; none may ask for anything but itself, and no script may fail."""
    opened: list[tuple[ViewerPage, str]] = []

    def open_file(path: Path) -> ViewerPage:
        viewer = ViewerPage(offline.new_page())
        viewer.page.goto(path.as_uri())
        viewer.wait_for("")
        viewer.wait_loaded()
        opened.append((viewer, path.as_uri()))
        return viewer

    yield open_file
    for viewer, uri in opened:
        asked = [url for url in viewer.requests if not url.startswith(("data:", "blob:"))]
        assert asked == [uri]
        assert viewer.errors == []
        viewer.page.close()
