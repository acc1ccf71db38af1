"""How long a hover takes while its taps are followed down through layers, in a real Chromium.

    python benchmarks/follow.py [--size 128]

Needs what `make test` installs. Times are of the script that one move of the pointer runs, all of
the viewer's; a trace of many points is left to the next frame, and timed by itself. Close other
programs: a script that waits for a core counts as slow here.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests" / "browser")]

from chromium import launch  # noqa: E402  (where it lies is known only now)

from deformviz import Kernel, Sampling  # noqa: E402
from deformviz.viewer import Stack  # noqa: E402

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


def measure(page: Page, mode: str, depth: int) -> str:
    """A line of the table; the first round only warms up."""
    asked = {"mode": mode, "depth": depth, "moves": MOVES}
    page.evaluate(_MEASURE, asked)
    found: Any = page.evaluate(_MEASURE, asked)
    points = page.locator('[data-part="followed-text"]').inner_text().partition(" of ")[0]
    text = f"{mode:7} {depth + 1} layers  {points:12}  hover {spoken(found['hovers'])}"
    if found["frames"]:
        return f"{text}  next frame {spoken(found['frames'])}"
    met = statistics.median(found["hovers"]) <= TARGET
    return f"{text}  {'met' if met else 'MISSED'}: {TARGET} ms"


def spoken(times: list[float]) -> str:
    """Milliseconds: the median and the 99th percentile."""
    high = statistics.quantiles(times, n=100)[-1]
    return f"{statistics.median(times):5.2f} ms (p99 {high:6.2f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How long a hover takes while taps are followed.")
    parser.add_argument("--size", type=int, default=128, help="of the maps, in pixels")
    size = parser.parse_args().size
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "stack.html"
        Stack(layers(size)).save(path)
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('.dv-viewer')?.viewer?.a.scene?.index")
        for mode in ("interp", "paper", "exact"):
            for depth in (0, 1, 2, 3):
                print(measure(page, mode, depth), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
