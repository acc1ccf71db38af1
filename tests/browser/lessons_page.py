"""The Lessons page as a reader uses it: the text and its tasks, and the viewer beside them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect
from seen import on_screen
from viewer_page import WAIT, ViewerPage

# The first output position where a part of a tap's term is as a task wants it; from the numbers
# that the viewer computes for it, which other tests hold against the operator.
_POSITION_OF = """(root, { tap, part, is, within }) => {
  const { scene } = root.viewer.a;
  const still = { morph: 1, matrix: [1, 0, 0, 1], dragged: new Map() };
  for (let y = 3; y < scene.h - 3; y += 1) {
    for (let x = 3; x < scene.w - 3; x += 1) {
      const reading = scene.reading(y, x).move(still);
      const axis = ['dy', 'dx'].indexOf(part);
      const value = axis >= 0 ? reading.offset[2 * tap + axis]
        : scene.terms(reading, 0, null).rows.find(({ n }) => n === tap)?.[part];
      if (Math.abs(value - is) <= within) return [y, x];
    }
  }
  return null;
}"""

_POINT = """(root, tap) => {
  const { point, base } = root.viewer.a.reading;
  return [point[2 * tap], point[2 * tap + 1], base[2 * tap], base[2 * tap + 1]];
}"""


class LessonsPage(ViewerPage):
    """Wraps a Playwright page that has the app on it, at this tab.

    Attributes:
        complaints: what the console calls an error.
    """

    scope = "#lessons .dv-viewer"

    def __init__(self, page: Page, address: str) -> None:
        super().__init__(page)
        self.address = address
        self.complaints: list[str] = []
        page.on(
            "console",
            lambda message: message.type == "error" and self.complaints.append(message.text),
        )

    def open(self, language: str = "en", **query: Any) -> LessonsPage:
        """Open a link: to the list without a lesson, else to a step of it."""
        path = "/zh" if language == "zh" else "/"
        self.page.goto(f"{self.address}{path}?{urlencode({'lesson': '', **query})}")
        if query.get("lesson"):
            self.wait_step(query["lesson"], query.get("step", 1))
        else:
            expect(self.part("list")).to_be_visible(timeout=WAIT)
        return self

    def part(self, name: str) -> Locator:
        return self.page.locator(f'#lessons [data-lesson="{name}"]')

    def wait_step(self, lesson: str, step: int) -> None:
        """Until a step and the numbers of its picture are there."""
        expect(self.page.locator("#lessons .dv-lessons")).to_have_attribute(
            "data-step", f"{lesson} {step}", timeout=WAIT
        )
        self.wait_settled()

    def card(self, lesson: str) -> Locator:
        return self.page.locator(f'#lessons a[data-name="{lesson}"]')

    @property
    def tasks(self) -> Locator:
        return self.page.locator("#lessons .dv-task")

    @property
    def done(self) -> Locator:
        """The tasks that are ticked."""
        return self.page.locator("#lessons .dv-task.dv-done")

    # --- doing a task --------------------------------------------------------------------------

    def do(self, i: int, done: dict[str, Any]) -> None:
        """Do a task as a reader would, by what its condition asks for."""
        task = self.tasks.nth(i)
        task.scroll_into_view_if_needed()
        ways = {
            "position": self._go_to_box,
            "tap": self._point_at,
            "tap moved": self._drag_by,
            "tap at": self._drag_to,
            "sum": self._drag_off,
            "term": self._find,
            "shows": self._show,
            "control": self._set_control,
        }
        if done["kind"] == "number":
            task.locator("input").fill(repr(done["is"] + done["within"] + 0.5))
            task.locator("input").press("Enter")
            expect(task.locator(".dv-wrong")).to_be_visible()
            task.locator("input").fill(f"{done['is']:.4g}" if done["within"] else str(done["is"]))
            task.locator("input").press("Enter")
        elif done["kind"] == "choice":
            wrong = next(n for n in range(len(done["options"])) if n != done["right"])
            task.locator(f'[data-option="{wrong}"]').click()
            expect(task.locator(".dv-wrong")).to_be_visible()
            task.locator(f'[data-option="{done["right"]}"]').click()
        else:
            ways[done["kind"]](done)
        expect(task).to_have_class("dv-task dv-done", timeout=WAIT)

    def see_all(self) -> None:
        """Zoom out, with the picture in view."""
        self.pane().scroll_into_view_if_needed()
        self.press("0")

    def _go_to(self, y: float, x: float) -> None:
        self.see_all()
        ground = self.root.evaluate("(root, p) => root.viewer.a.scene.groundOf(...p)", [y, x])
        self.page.mouse.click(*on_screen(self.picture(), *ground))

    def _go_to_box(self, done: dict[str, Any]) -> None:
        self._go_to(sum(done["y"]) // 2, sum(done["x"]) // 2)

    def _find(self, done: dict[str, Any]) -> None:
        found = self.root.evaluate(_POSITION_OF, done)
        assert found is not None, done
        self._go_to(*found)

    def _point_at(self, done: dict[str, Any]) -> None:
        self.pane().scroll_into_view_if_needed()
        self.leave()
        self.page.mouse.move(*self.dot("image", done["tap"]))

    def _drag(self, tap: int, dy: float, dx: float) -> None:
        """Drag a tap from where it is by so many pixels of the map."""
        self.pane().scroll_into_view_if_needed()
        left, top = self.dot("image", tap)
        scale = self.scale()
        self.drag((left, top), (left + dx * scale, top + dy * scale))

    def _drag_by(self, done: dict[str, Any]) -> None:
        py, px, by, bx = self.root.evaluate(_POINT, done["tap"])
        self._drag(done["tap"], by + done["dy"] - py, bx + done["dx"] - px)

    def _drag_to(self, done: dict[str, Any]) -> None:
        py, px, *_ = self.root.evaluate(_POINT, done["tap"])
        self._drag(done["tap"], done["y"] - py, done["x"] - px)

    def _drag_off(self, done: dict[str, Any]) -> None:
        """A sum of one tap is 0 where the tap is off the map."""
        assert done["is"] == 0
        py, *_ = self.root.evaluate(_POINT, 0)
        self._drag(0, -2 - py, 0)

    def _show(self, done: dict[str, Any]) -> None:
        name, value = done["name"], done["is"]
        if name == "over":
            self.over(value)
        elif name in ("morph", "group"):
            self.fill(name, value)
        elif name == "layer":
            self.root.locator('[data-part="layer"]').select_option(str(value))
        elif name == "about":
            self.root.locator('[data-part="about"] > summary').click()
        elif name == "quantity":
            self.root.locator('[data-about="quantity"]').select_option(value)
        elif name == "finding":
            self.root.locator("button.dv-finding").nth(value).click()
        else:
            self.control(name).select_option(str(value))

    def _set_control(self, done: dict[str, Any]) -> None:
        node = self.page.locator(f'#lessons [data-explore="{done["name"]}"]')
        if node.evaluate("(node) => node.tagName") == "SELECT":
            node.select_option(done["is"])
        else:
            node.fill(str(done["is"]))
