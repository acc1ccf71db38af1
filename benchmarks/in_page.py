"""The app in a browser: its times by the page's own clock, which starts with the navigation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import paths  # noqa: F401  (where deformviz lies)
from PIL import Image
from playwright.sync_api import Browser, Page

from deformviz import examples
from deformviz.explore import Exploration, explore
from deformviz.images import decode
from deformviz.web.explore_tab import FIRST

EXAMPLE = "coffee"
"""Made square, it is the photo; as it is, its longer side is at least `SIDE`."""
SIDE = 512
WAIT = 120_000
"""Milliseconds: nothing takes as long, but on a busy machine."""
CHROMIUM = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

_TIMES = """(() => {
  const { requestAnimationFrame: frame } = window;
  const start = () => { bench.asked = performance.now(); bench.marks = {}; };
  const mark = (name) => { bench.marks[name] ??= performance.now(); };
  // The frame after the next begins once the next has been handed over to be shown.
  const shown = (then) => frame(() => frame(then));
  const drawn = () => shown(() => mark('picture'));
  const bench = window.bench = { asked: 0, marks: {}, mark, drawn };
  for (const type of ['click', 'input']) window.addEventListener(type, start, true);
  const output = () => document.querySelector('[data-figure="output"] img')?.src;
  let before;
  new MutationObserver((changes) => {
    for (const { attributeName: name } of changes) {
      if (name !== 'data-view') mark(name.slice('data-'.length));
      else if (output() && output() !== before) {
        before = output();
        mark('view');
        drawn();
      }
    }
  }).observe(document, {
    subtree: true, attributes: true, attributeFilter: ['data-view', 'data-ready', 'data-indexed'],
  });
})()"""

# Where a picture is on the screen.
_PLACE = """(figure) => {
  const picture = document.querySelector(`[data-figure="${figure}"] img`);
  const { left, top, width, height } = picture.getBoundingClientRect();
  return { left, top, width, height };
}"""


def new_page(browser: Browser, *scripts: str) -> Page:
    """A page in a context of its own, with an empty cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    for script in (_TIMES, *scripts):
        context.add_init_script(script)
    return context.new_page()


def place(page: Page, figure: str) -> dict[str, float]:
    """Where the picture of a figure is on the screen: left, top, width, height."""
    box: dict[str, float] = page.evaluate(_PLACE, figure)
    return box


def wait_until(page: Page, name: str) -> dict[str, float]:
    """The marks since the last click or input, once `name` is among them: ms from it."""
    page.wait_for_function("name => window.bench?.marks[name]", arg=name, polling=50, timeout=WAIT)
    marks: dict[str, float] = page.evaluate(
        "Object.fromEntries(Object.entries(bench.marks).map(([k, t]) => [k, t - bench.asked]))"
    )
    return marks


def open_photo(page: Page, address: str, photo: Path) -> None:
    """Open the app at the working size, and upload a photo of it."""
    page.goto(f"{address}/?image={EXAMPLE}&side={SIDE}")
    wait_for_view(page, f"x {SIDE} |")  # what the link asks for comes after the worked example
    page.locator("#photo input[type=file]").set_input_files(photo)
    wait_for_view(page, f"| {SIDE} x {SIDE} |")
    settle(page)


def wait_for_view(page: Page, part: str) -> None:
    """Until the viewer shows a view whose identity has `part` in it."""
    page.wait_for_function(
        "part => document.querySelector('.dv-viewer')?.dataset.view?.includes(part)",
        arg=part,
        polling=100,
        timeout=WAIT,
    )


def settle(page: Page) -> None:
    """Until the numbers are here, and sorted for the look-up."""
    page.wait_for_function(
        """() => {
          const { ready, indexed } = document.querySelector('.dv-viewer').dataset;
          return ready && ready === indexed
            && !document.querySelector('[data-part="loading"]').textContent;
        }""",
        polling=100,
        timeout=WAIT,
    )


@contextmanager
def photo_file() -> Iterator[Path]:
    """A photo of the working size."""
    with tempfile.TemporaryDirectory(prefix="deformviz-") as folder:
        path = Path(folder) / "photo.png"
        Image.open(examples.path(EXAMPLE)).convert("RGB").resize((SIDE, SIDE)).save(path)
        yield path


def run_here(photo: Path, kernel: int) -> Exploration:
    """What the server runs on the photo, in this process."""
    settings = replace(FIRST, kernel_size=(kernel, kernel))
    return explore(decode(photo, max_side=SIDE).pixels, settings, "cpu")
