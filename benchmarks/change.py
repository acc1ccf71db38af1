"""From a control's change to the new picture, against its three parts alone.

The parts are the operator on the run's own tensors, a bare Gradio page's way to its server and
back, and a bare plotly figure of the output that is drawn anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from in_page import SIDE, new_page, open_photo, place, run_here, settle, wait_until
from playwright.sync_api import Browser, Page
from plotly.offline import get_plotlyjs
from rows import Report, ratio_row, spoken

from deformviz.explore import Exploration
from deformviz.figures.canvas import canvas
from deformviz.operators import deform_conv2d

CHANGES = 15

BETWEEN = "between the parts stand the made-up offsets, the output as a PNG, taps and formula"
"""What else the way to the picture takes."""


@dataclass
class Change:
    """One repetition, in milliseconds."""

    page: float
    told: float
    operator: float
    round_trip: float
    redraw: float

    @property
    def ratio(self) -> float:
        """The page's time by what it cannot do without."""
        return self.page / (self.operator + self.round_trip + self.redraw)


def change(
    browser: Browser, app: str, echo: str, photo: Path, report: Report, quick: bool = False
) -> None:
    """From a new strength to the new picture, against its three parts alone."""
    page, bare, plot = (new_page(browser) for _ in range(3))
    open_photo(page, app, photo)
    bare.goto(echo)
    bare.locator("#strength input[type=number]").wait_for()
    run = run_here(photo, 3)
    redraw = prepare_plot(plot, run, place(page, "output"))
    operator = prepare_operator(run)
    changes = []
    for i in range(-2, 5 if quick else CHANGES):  # two to warm up
        strength = f"{10 + 0.1 * i:.1f}"
        to_picture = strength_to_picture(page, strength)
        settle(page)
        found = Change(
            page=to_picture,
            told=float(page.locator('[data-part="status"]').inner_text().split()[-2]),
            operator=operator(),
            round_trip=strength_to_answer(bare, strength),
            redraw=redraw(i % 2),
        )
        changes += [found] if i >= 0 else []
    for each in (page, bare, plot):
        each.context.close()
    tell_changes(changes, report)


def tell_changes(changes: list[Change], report: Report) -> None:
    """The ratio, and what it is made of."""
    name = "change to picture / (operator + bare Gradio + bare plotly)"
    report.add(ratio_row(name, [each.ratio for each in changes], 1.3, why=BETWEEN))

    report.add(ratio_row("change to picture", [each.page for each in changes], None, "ms"))

    def part(name: str) -> str:
        return spoken([getattr(each, name) for each in changes])

    report.note(
        f"page {part('page')}; operator {part('operator')}, on the page {part('told')}; "
        f"bare Gradio {part('round_trip')}; bare plotly {part('redraw')}"
    )


def strength_to_picture(page: Page, strength: str) -> float:
    """The time from the input to the output's new picture; never one that the server has kept."""
    page.locator("#strength input[type=number]").fill(strength)
    return wait_until(page, "picture")["picture"]


def strength_to_answer(page: Page, strength: str) -> float:
    """The same way to the server and back, with nothing done there."""
    page.locator("#strength input[type=number]").fill(strength)
    return wait_until(page, "answer")["answer"]


def prepare_operator(run: Exploration) -> Callable[[], float]:
    """The operator on the run's own tensors: a function that returns the time of a call.

    As in the server it runs in a thread that is not the first: there, OpenMP's threads do not spin
    while they wait, which on a busy machine makes a difference of ten times.
    """
    s = run.sampling
    assert s.input is not None
    assert s.weight is not None
    assert s.mask is not None
    offset, mask = s.offset.reshape(1, -1, *s.output_size), s.mask.reshape(1, -1, *s.output_size)
    kernel = s.kernel
    call = partial(
        deform_conv2d, s.input[None], offset, s.weight, None,
        kernel.stride, kernel.padding, kernel.dilation, mask,
    )  # fmt: skip
    threads = ThreadPoolExecutor(max_workers=1)

    def timed() -> float:
        start = time.perf_counter()
        with torch.no_grad():
            call()
        return 1000 * (time.perf_counter() - start)

    return lambda: threads.submit(timed).result()


def prepare_plot(page: Page, run: Exploration, box: dict[str, float]) -> Callable[[int], float]:
    """A figure of the output alone, at its size on the page: a function that draws one of two."""
    output = (255 * run.picture.clamp(0, 1)).byte().permute(1, 2, 0).numpy()
    figures = [
        canvas((SIDE, SIDE), pixels.copy()).to_plotly_json() for pixels in (output, output[::-1])
    ]
    page.set_content('<div id="plot"></div>')
    page.add_script_tag(content=get_plotlyjs())
    page.evaluate(
        """([figures, { width, height }]) => {
          const plot = document.getElementById('plot');
          Object.assign(plot.style, { width: `${width}px`, height: `${height}px` });
          const config = { displayModeBar: false };
          const frames = (done) => requestAnimationFrame(() => requestAnimationFrame(done));
          window.redraw = async (i) => {
            const { data, layout } = structuredClone(figures[i]);
            const start = performance.now();
            await Plotly.react(plot, data, layout, config);
            await new Promise(frames);
            return performance.now() - start;
          };
          return window.redraw(0);
        }""",
        [json.loads(json.dumps(figures)), box],
    )
    return lambda i: float(page.evaluate("i => window.redraw(i)", i))
