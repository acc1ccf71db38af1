"""The viewer as a person uses it and sees it, in the app or in a file that stands alone.

Places are read off the screen: where a dot is on the picture that is really drawn, what a table's
cells say, which colours a canvas holds. The viewer's own variables only tell when to look.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page
from seen import PICTURE, SEEN, Picture, Seen, on_picture, on_screen, to_seen

WAIT = 60_000
"""Milliseconds: a busy machine may be slow; a test never asserts how fast it was."""

IMAGE, IMAGE_B, OUTPUT = "image", "image-b", "output"
"""The panes, by what their `data-figure` says."""

# A canvas' pixels as they are, or null where it is not to be seen.
_CANVAS = """(canvas) => {
  const { width, height } = canvas;
  if (!canvas.checkVisibility() || !width || !height) return null;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  let text = '';
  for (let i = 0; i < data.length; i += 8192) {
    text += String.fromCharCode(...data.subarray(i, i + 8192));
  }
  return { width, height, bytes: btoa(text) };
}"""

# The pixels that a lit tap reads.
_LIT_PIXELS = """(groups) => groups.map((group) => {
  const rect = group.querySelector('rect');
  const { left, top, width, height } = rect.getBoundingClientRect();
  const place = [top + height / 2, left + width / 2];
  return [place, Number(rect.getAttribute('width')), group.textContent];
})"""

_MIDDLE = """(node) => {
  const { left, top, width, height } = node.getBoundingClientRect();
  return [top + height / 2, left + width / 2];
}"""

# All numbers of what is shown, and the look-up from a pixel to its readers, are there.
_LOADED = """(root) => root.viewer?.a.scene
  && [root.viewer.a, root.viewer.b].every((side) => !side?.scene || side.scene.index)"""

# What lies over the pictures is as large as the frames that they are in.
_SETTLED = """(root) => [...root.querySelectorAll('.dv-frame')].every((frame) => {
  const clip = frame.querySelector('.dv-clip');
  const off = [frame.clientWidth - clip.clientWidth, frame.clientHeight - clip.clientHeight];
  return !frame.clientWidth || Math.max(...off.map(Math.abs)) < 2;
})"""

_RUN = "(root) => root.viewer.a.scene.view.data.id"


class ViewerPage:
    """Wraps a Playwright page.

    Attributes:
        scope: which element is the viewer.
        requests: the addresses that the page has asked for.
        errors: what its scripts have failed with.
    """

    scope = ".dv-viewer"

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    @property
    def root(self) -> Locator:
        return self.page.locator(self.scope)

    @property
    def shown(self) -> str:
        """What the viewer says it shows: operator | kernel | size | field and its strength."""
        return self.root.get_attribute("data-view") or ""

    # --- waiting -------------------------------------------------------------------------------

    def until(self, condition: str, argument: Any = None) -> None:
        """Until a JavaScript function of the viewer's element and `argument` holds."""
        self.page.wait_for_function(
            f"""([scope, argument]) => {{
              const root = document.querySelector(scope);
              return root && ({condition})(root, argument);
            }}""",
            arg=[self.scope, argument],
            timeout=WAIT,
        )

    def wait_for(self, part: str) -> None:
        """Until the picture of a view is drawn whose identity has `part` in it."""
        self.until("(root, part) => root.dataset.view?.includes(part)", part)

    def wait_loaded(self) -> None:
        """Until the numbers of what is shown are there, the reverse look-up included."""
        self.until(_LOADED)
        self.wait_settled()

    def wait_settled(self) -> None:
        """Until the panes have been laid out for the room that they have."""
        self.until(_SETTLED)

    def wait_at(self, y: int, x: int) -> None:
        """Until a position is shown."""
        self.until("(root, place) => root.dataset.position === place", f"{y}, {x}")

    def wait_text(self, part: str, text: str) -> None:
        """Until a text ends with another."""
        self.until(
            "(root, [part, text]) => root.querySelector(`[data-part='${part}']`)"
            ".innerText.trim().endsWith(text)",
            [part, text],
        )

    def wait_other_text(self, part: str, text: str) -> None:
        """Until a text is another than it was."""
        self.until(
            "(root, [part, text]) => root.querySelector(`[data-part='${part}']`)"
            ".innerText.trim() !== text",
            [part, text],
        )

    def wait_wider(self, figure: str, width: float) -> None:
        """Until a pane's picture is wider than so many screen pixels."""
        self.until(
            "(root, [figure, width]) => width < root.querySelector("
            "`[data-figure='${figure}'] img`).getBoundingClientRect().width",
            [figure, width],
        )

    @contextmanager
    def redrawn(self) -> Iterator[None]:
        """Wait at the end until another run than before is drawn and loaded."""
        before = self.root.evaluate(_RUN)
        yield
        self.until(f"(root, before) => ({_RUN})(root) !== before", before)
        self.wait_loaded()

    # --- places --------------------------------------------------------------------------------

    def picture(self, figure: str = IMAGE) -> Picture:
        """Where a pane's picture lies on the screen: left, top, width, height, rows, columns."""
        found: Picture = self.root.evaluate(PICTURE, figure)
        return found

    def scale(self, figure: str = IMAGE) -> float:
        """Screen pixels of one pixel of the picture."""
        p = self.picture(figure)
        return p["width"] / p["columns"]

    def in_view(self, figure: str = IMAGE) -> np.ndarray:
        """(top, left, bottom, right) of what a pane shows, in its picture's pixels."""
        return self._corners(self.clip(figure), figure)

    def canvas_box(self, figure: str = IMAGE, kind: str = "values") -> np.ndarray:
        """(top, left, bottom, right) of a canvas, in its pane's picture's pixels."""
        return self._corners(self.clip(figure).locator(f".dv-{kind}"), figure)

    def _corners(self, node: Locator, figure: str) -> np.ndarray:
        box, picture = node.bounding_box(), self.picture(figure)
        assert box is not None
        ends = (box["y"], box["x"]), (box["y"] + box["height"], box["x"] + box["width"])
        return np.concatenate([on_picture(picture, list(end)) for end in ends])

    def from_clip(self, places: np.ndarray, figure: str = IMAGE) -> np.ndarray:
        """Places [n, 2], (y, x), of what is drawn over a pane to pixels of its picture."""
        box, picture = self.clip(figure).bounding_box(), self.picture(figure)
        assert box is not None
        corner = np.array([box["y"], box["x"]])
        return np.array([on_picture(picture, place) for place in places + corner]).reshape(-1, 2)

    def clip(self, figure: str) -> Locator:
        """What lies over a pane's picture, cut to its frame."""
        return self.root.locator(f'.dv-frame:has(> [data-figure="{figure}"]) > .dv-clip')

    def pane(self, figure: str = IMAGE) -> Locator:
        """A pane, as the keyboard reaches it."""
        return self.root.locator(f'.dv-pane:has([data-figure="{figure}"])')

    # --- doing ---------------------------------------------------------------------------------

    def hover(self, figure: str, y: float, x: float) -> None:
        self.page.mouse.move(*on_screen(self.picture(figure), y, x))

    def leave(self) -> None:
        """Take the pointer off the pictures."""
        self.page.mouse.move(2, 2)

    def click(self, figure: str, y: float, x: float) -> None:
        self.page.mouse.click(*on_screen(self.picture(figure), y, x))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at a place of the screen, move, and let go."""
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.page.mouse.move(*end)
        self.page.mouse.up()

    def control(self, name: str) -> Locator:
        return self.root.locator(f'[data-control="{name}"]')

    def action(self, name: str) -> Locator:
        return self.root.locator(f'[data-action="{name}"]')

    def fill(self, name: str, value: float | str) -> None:
        """Write into a number box, or put a slider somewhere."""
        self.control(name).fill(str(value))

    def select(self, name: str, option: str) -> None:
        self.control(name).select_option(label=option)

    def over(self, name: str) -> None:
        """Choose what lies over the image, by its value."""
        self.root.locator(f'[data-part="over"] input[value="{name}"]').check()

    def press(self, *keys: str, figure: str = IMAGE) -> None:
        self.pane(figure).focus()
        for key in keys:
            self.page.keyboard.press(key)

    def menu(self, text: str) -> None:
        """Open a menu, or close it."""
        self.root.locator(f'summary:text-is("{text}")').click()

    # --- seeing --------------------------------------------------------------------------------

    def seen(self, side: str = "a") -> Seen:
        """All that a side of the viewer shows of its position."""
        picture = self.picture(IMAGE if side == "a" else IMAGE_B)
        return to_seen(self.root.evaluate(SEEN, side), picture)

    def text(self, part: str) -> str:
        return self.root.locator(f'[data-part="{part}"]').inner_text()

    def legend(self, figure: str = IMAGE) -> str:
        return self.clip(figure).locator(".dv-legend:not(.dv-highlight-legend)").inner_text()

    def canvas(self, figure: str = IMAGE, kind: str = "values") -> np.ndarray | None:
        """The colours over a pane: [h, w, 4] uint8, or None where none lie there."""
        return _pixels(self.clip(figure).locator(f".dv-{kind}"))

    def legend_canvas(self, figure: str = IMAGE) -> np.ndarray:
        """The wheel of directions in a legend: [n, n, 4] uint8."""
        found = _pixels(self.clip(figure).locator(".dv-legend:not(.dv-highlight-legend) canvas"))
        assert found is not None
        return found

    def dot(self, where: str, n: int, side: str = "a") -> tuple[float, float]:
        """Where a tap's dot is on the screen, (left, top); `where` is image or kernel."""
        found = self.root.evaluate(SEEN, side)[where]
        top, left = next(dot["place"] for dot in found if dot["tap"] == n)
        return left, top

    def row(self, n: int, side: str = "a") -> Locator:
        """A row of the formula's table."""
        return self.root.locator(f'[data-terms="{side}"] tr[data-tap="{n}"]')

    def pixels(self) -> list[tuple[np.ndarray, float, str]]:
        """The pixels that a lit tap reads: (y, x), their size on the image, and their text."""
        picture = self.picture()
        boxes = self.clip(IMAGE).locator(".dv-pixels g:visible").evaluate_all(_LIT_PIXELS)
        unit = picture["width"] / picture["columns"]
        return [(on_picture(picture, place), size / unit, text) for place, size, text in boxes]

    def marker(self) -> np.ndarray:
        """Where the frame around the position is, in pixels of the output: (y, x)."""
        place = self.clip(OUTPUT).locator(".dv-marker").evaluate(_MIDDLE)
        return on_picture(self.picture(OUTPUT), place)


def _pixels(canvas: Locator) -> np.ndarray | None:
    """A canvas' pixels [h, w, 4] uint8, or None where it is not to be seen."""
    found = canvas.evaluate(_CANVAS)
    if found is None:
        return None
    values = np.frombuffer(base64.b64decode(found["bytes"]), np.uint8)
    return values.reshape(found["height"], found["width"], 4)
