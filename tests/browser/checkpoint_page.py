"""The Checkpoint page as a person uses it: files, the table of layers, and the viewer below."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect
from viewer_page import WAIT, ViewerPage


class CheckpointPage(ViewerPage):
    """Wraps a Playwright page that has the app on it, at this tab."""

    scope = "#checkpoint-viewer .dv-viewer"

    def __init__(self, page: Page, address: str) -> None:
        super().__init__(page)
        page.goto(address)
        page.get_by_role("tab", name="Checkpoint").click()
        self.wait_for("made-up network")
        self.wait_loaded()

    def drop(self, *files: Path) -> None:
        """Upload files."""
        chosen: Sequence[Any] = list(files)
        self.page.locator("#checkpoint-file input[type=file]").set_input_files(chosen)

    def drop_photo(self, file: Path) -> None:
        self.page.locator("#run-photo input[type=file]").set_input_files(file)

    def row(self, name: str) -> Locator:  # type: ignore[override]
        """A layer of the table, by its whole name."""
        return self.page.locator("#layers tbody tr").filter(
            has=self.page.locator(f'button[data-name="{name}"]')
        )

    def look_at(self, name: str) -> None:
        """Choose a layer, and wait for its picture."""
        self.row(name).click()
        self.wait_for(f"| {name}")
        self.wait_loaded()

    def file(self, name: str) -> None:
        """Choose one of several files, and wait for its picture."""
        self.page.locator("#files").get_by_text(name, exact=True).click()
        self.wait_for(f"{name} | ")
        self.wait_loaded()

    def cells(self, name: str) -> list[str]:
        return self.row(name).locator("th, td").all_inner_texts()

    @property
    def words(self) -> Locator:
        """What is said of the layer."""
        return self.page.locator("#words")

    @property
    def toast(self) -> Locator:
        """The message of an error."""
        return self.page.locator(".toast-body")

    @property
    def timeline(self) -> Locator:
        return self.page.locator("#timeline svg.dv-timeline")

    def lines(self) -> list[tuple[str, list[float]]]:
        """The timeline's lines: each layer's name and numbers, the chosen one's last."""
        expect(self.timeline).to_be_visible(timeout=WAIT)
        found = self.timeline.evaluate(
            "(plot) => [...plot.querySelectorAll('[data-layer]')]"
            ".map(({ dataset }) => [dataset.layer, JSON.parse(dataset.values)])"
        )
        return [(str(name), list(values)) for name, values in found]

    def said(self, pattern: str) -> None:
        """Wait until the words have something in them."""
        expect(self.words).to_contain_text(re.compile(pattern), timeout=WAIT)
