"""The Explore page as a person uses it, and what is really drawn on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page

WAIT = 60_000
"""Milliseconds: a busy machine may be slow; a test never asserts how fast it was."""

# The dots of a trace as they stand in the document, brought back from screen pixels to the
# figure's coordinates: what a person sees, not what the figure was asked to show.
_DRAWN = """([figure, trace]) => {
  const plot = document.querySelector(`[data-figure="${figure}"]`);
  const index = plot._fullData.findIndex((data) => data.name === trace);
  const { xaxis, yaxis } = plot._fullLayout;
  const group = plot.querySelector(`.scatterlayer .trace${plot._fullData[index].uid}`);
  return [...group.querySelectorAll('.points path.point')].map((path) => {
    const [, x, y] = path.getAttribute('transform').match(/translate\\(([^,]+),([^)]+)\\)/);
    return [yaxis.p2d(Number(y)), xaxis.p2d(Number(x))];
  });
}"""


class ExplorePage:
    """Wraps a Playwright page; every action waits until its drawing has arrived."""

    def __init__(self, page: Page, address: str, query: str = "") -> None:
        self.page, self.address = page, address
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(address + query)
        self.wait_for("Deformable Conv v2 | 3 x 3")

    @property
    def shown(self) -> str:
        """What the viewer says it shows: operator | kernel | size | field | layer | position."""
        return self.page.locator(".dv-viewer").get_attribute("data-view") or ""

    def wait_for(self, part: str) -> None:
        """Until the viewer shows a view whose identity has `part` in it."""
        self.page.wait_for_function(
            "part => document.querySelector('.dv-viewer')?.dataset.view?.includes(part)",
            arg=part,
            timeout=WAIT,
        )

    def choose(self, control: str, option: str) -> None:
        """Choose from a dropdown by its element's id."""
        self.page.locator(f"#{control} input").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def operator(self, name: str) -> None:
        self.choose("operator", name)
        self.wait_for(f"{name} | ")

    def kernel(self, size: int) -> None:
        self.page.locator(f'#kernel label[data-testid="{size}-radio-label"]').click()
        self.wait_for(f"| {size} x {size} |")

    def layer(self, name: str) -> None:
        self.page.locator(f'#layer label[data-testid="{name}-radio-label"]').click()
        self.wait_for(f"| {name} |")

    def number(self, control: str, value: int) -> None:
        box = self.page.locator(f"#{control} input")
        box.fill(str(value))
        box.press("Tab")

    def position(self, y: int, x: int) -> None:
        self.number("y", y)
        self.number("x", x)
        self.wait_for(f"| {y}, {x}")

    def upload(self, file: Path) -> None:
        self.page.locator("#photo input[type=file]").set_input_files(file)

    def drawn(self, figure: str, trace: str) -> np.ndarray:
        """The dots of a trace in a figure, as drawn: [n, 2], (y, x)."""
        points: list[Any] = self.page.evaluate(_DRAWN, [figure, trace])
        return np.array(points).reshape(-1, 2)

    def pictures(self, figure: str) -> int:
        """How many pictures lie in a figure, in pixel coordinates."""
        return self.page.locator(f'[data-figure="{figure}"] .imagelayer image').count()

    def click(self, figure: str, y: float, x: float) -> None:
        """Click a place given in the figure's own pixels."""
        place = self.page.evaluate(
            """([figure, y, x]) => {
              const plot = document.querySelector(`[data-figure="${figure}"]`);
              const { xaxis, yaxis } = plot._fullLayout;
              const frame = plot.getBoundingClientRect();
              return [frame.left + xaxis._offset + xaxis.d2p(x),
                      frame.top + yaxis._offset + yaxis.d2p(y)];
            }""",
            [figure, y, x],
        )
        self.page.mouse.click(*place)

    @property
    def toast(self) -> Locator:
        """The message of an error."""
        return self.page.locator(".toast-body")

    def text(self, part: str) -> str:
        return self.page.locator(f'[data-part="{part}"]').inner_text()
