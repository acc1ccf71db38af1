"""How long a hover takes while its taps are followed down through layers, in a real Chromium.

    python benchmarks/follow.py [--size 128] [--quick] [--json FILE]

Needs what `make test` installs. Times are of the script that one move of the pointer runs, all of
the viewer's; a trace of many points is left to the next frame, and timed by itself. Close other
programs: a script that waits for a core counts as slow here.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import paths  # noqa: F401  (where deformviz and chromium lie)
import torch
from chromium import launch
from playwright.sync_api import Page, sync_playwright
from rows import Report, arguments, finish, ratio_row

from deformviz import Kernel, Sampling
from deformviz.viewer import Stack

MOVES = 300
TARGET = 4.0
"""Milliseconds for 729 points, the median: three layers of nine taps."""

_MEASURE = """async ({ mode, depth, moves }) => {
  const { viewer } = document.querySelector('.dv-viewer');
  viewer.follow.set({ follow: depth, follow_mode: mode });
  const pause = (time) => new Promise((done) => setTimeout(done, time));
  while (depth && !viewer.follow.words) await pause(20);
  const { h, w } = viewer.a.scene;
  const [hovers, frames] = [[], []];
  const inFrame = window.requestAnimationFrame;
  window.requestAnimationFrame = (work) => {
    const start = performance.now();
    work(start);
    frames.push(performance.now() - start);
  };
  for (let i = 0; i < moves; i += 1) {
    const start = performance.now();
    const before = frames.length;
    viewer.moveTo((37 * i) % h, (61 * i) % w);
    const inside = frames.length > before ? frames.at(-1) : 0;
    hovers.push(performance.now() - start - inside);
    if (i % 10 === 0) await pause(20); // the browser paints between moves
  }
  window.requestAnimationFrame = inFrame;
  return { hovers, frames };
}"""


def layers(size: int) -> list[Sampling]:
    """Four layers of 3 x 3 taps with masks, as in the paper's figure of dilation 2."""
    torch.manual_seed(0)
    kernel = Kernel.of(3, padding=2, dilation=2)
    return [
        Sampling(
            f"layer {i}", (size, size), (size, size), kernel,
            2 * torch.randn(1, 9, 2, size, size), mask=torch.rand(1, 9, size, size),
        )
        for i in range(4)
    ]  # fmt: skip


def rows(report: Report, quick: bool, size: int = 128) -> None:
    """Open four layers in one saved page, and follow each mode through more and more of them."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "stack.html"
        Stack(layers(size)).save(path)
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('.dv-viewer')?.viewer?.a.scene?.index")
        for mode in ("interp", "paper", "exact"):
            for depth in (0, 1, 2, 3):
                measure(page, mode, depth, MOVES // 3 if quick else MOVES, report)
        browser.close()


def measure(page: Page, mode: str, depth: int, moves: int, report: Report) -> None:
    """A row for the hover; the first round only warms up."""
    asked = {"mode": mode, "depth": depth, "moves": moves}
    page.evaluate(_MEASURE, asked)
    found: Any = page.evaluate(_MEASURE, asked)
    points = page.locator('[data-part="followed-text"]').inner_text().partition(" of ")[0]
    name = f"hover, {mode}, {depth + 1} layer{'s' * (depth > 0)}"
    name += f", {points}" if depth and points else ""
    left = bool(found["frames"])  # a trace of many points is left to the next frame
    report.add(ratio_row(name, found["hovers"], TARGET, "ms"))
    high = statistics.quantiles(found["hovers"], n=100)[-1]
    told = f"p99 {high:.2f} ms"
    if left:
        told += f"; the next frame {statistics.median(found['frames']):.2f} ms"
    report.note(told)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--size", type=int, default=128, help="of the maps, in pixels")
    options = parser.parse_args()
    finish(partial(rows, size=options.size), options.quick, options.json)
