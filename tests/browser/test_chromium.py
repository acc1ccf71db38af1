"""The browser that the other tests in this folder drive."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import chromium
import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_the_executable_that_is_found_exists(browser: Browser) -> None:
    found = chromium.find(browser.browser_type)
    assert found is not None
    assert os.access(found, os.X_OK)


def test_a_page_is_rendered(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 40, "height": 30})
    page.goto("data:text/html,<body style='margin:0;background:%23f00'><p id=p>1 + 1</p>")
    assert page.inner_text("#p") == "1 + 1"
    assert page.evaluate("1 + 1") == 2
    assert page.screenshot().startswith(b"\x89PNG")
    page.close()


def test_the_one_that_is_named_comes_first(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEFORMVIZ_CHROMIUM", sys.executable)
    assert chromium.find(browser.browser_type) == sys.executable
    monkeypatch.setenv("DEFORMVIZ_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(FileNotFoundError, match="'/nowhere/chromium'"):
        chromium.find(browser.browser_type)


def test_the_systems_is_found_on_the_path(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DEFORMVIZ_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if chromium.find(browser.browser_type) is not None:
        pytest.skip("Playwright's own, or that of macOS, comes before it")
    chrome = tmp_path / "google-chrome"
    chrome.touch(mode=0o755)
    assert chromium.find(browser.browser_type) == str(chrome)


@pytest.mark.parametrize(("needed", "tried"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_it_is_installed_in_one_way_and_then_in_another(
    needed: int, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[str] = []

    def way(name: str) -> Callable[[], bool]:
        def install() -> bool:
            ways.append(name)
            return True

        return install

    monkeypatch.setattr(chromium, "_download", way("download"))
    monkeypatch.setattr(chromium, "_apt_install", way("apt"))
    monkeypatch.setattr(chromium, "_starts", lambda: len(ways) >= needed)
    assert chromium.ensure() == (needed <= 2)
    assert ways == ["download", "apt"][:tried]


def test_a_command_that_takes_too_long_is_ended(capfd: pytest.CaptureFixture[str]) -> None:
    assert not chromium._run(sys.executable, "-c", "import time; time.sleep(60)", seconds=0.5)
    assert not chromium._run(
        sys.executable, "-c", "print('E: no such thing'); raise SystemExit(3)", seconds=60
    )
    assert chromium._run(sys.executable, "-c", "", seconds=60)
    said = capfd.readouterr().out
    assert "given up after 0.5 s" in said
    assert "exit code 3" in said
    assert "E: no such thing" in said
