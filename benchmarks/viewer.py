"""How fast the viewer is in a real Chromium, against targets that are stated here.

    python benchmarks/viewer.py [--json FILE] [--only hover wire change paint]

Needs what `make test` installs. Wherever a time depends on the machine, the row is a ratio to what
the page could not do without, measured in the same run and by turns: the operator alone, a bare
Gradio page, a bare plotly figure. The spread is that of the repetitions: quartiles, or for the
hover the lowest and highest of its rounds. Close other programs: a script that waits for a core
counts as slow here, but in its processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, Response, sync_playwright
from plotly.offline import get_plotlyjs

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests" / "browser")]

from chromium import launch  # noqa: E402  (where these lie is known only now)

from deformviz import examples  # noqa: E402
from deformviz.explore import Exploration, explore  # noqa: E402
from deformviz.figures.canvas import canvas  # noqa: E402
from deformviz.images import decode  # noqa: E402
from deformviz.operators import deform_conv2d  # noqa: E402
from deformviz.web.explore_tab import FIRST  # noqa: E402

EXAMPLE = "coffee"
"""Made square, it is the photo; as it is, its longer side is at least `SIDE`."""
SIDE = 512
KERNEL = 7
MOVES = {"image": 400, "output": 200}
ROUNDS = 2
CHANGES = 15
LOADS = 7
BANDWIDTH = 20e6
"""Bytes a second, for the wait for the numbers to be seen."""
WAIT = 120_000
"""Milliseconds: nothing takes as long, but on a busy machine."""
_CHROMIUM = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


# What is told


@dataclass(frozen=True)
class Row:
    """One result: `value` is to be at most `target`; `low` and `high` are its spread."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    target: float

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value <= self.target

    def __str__(self) -> str:
        spread = f"{self.low:.2f} to {self.high:.2f}"
        verdict = "met" if self.met else "MISSED"
        return (
            f"{self.name:58} {self.value:7.2f} {self.unit:2} {spread:>16} {self.target:7.2f} "
            f"{verdict}"
        )


@dataclass
class Report:
    """All rows, what was checked beside them, and what they were made of."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keep a row and print it."""
        self.rows.append(row)
        print(row, flush=True)

    def note(self, text: str) -> None:
        """Keep a remark and print it."""
        self.notes.append(text)
        print(f"    {text}", flush=True)

    def check(self, text: str, passed: bool) -> None:
        """Keep whether something holds without which a row would mean nothing."""
        self.note(f"{text}: {'yes' if passed else 'NO'}")


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median, the upper quartile."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def ratio_row(name: str, ratios: Sequence[float], target: float) -> Row:
    """The median of ratios that were measured by turns."""
    low, middle, high = quartiles(ratios)
    return Row(name, middle, low, high, "×", target)


def once_row(name: str, ratio: float, target: float) -> Row:
    """A ratio that is measured once."""
    return Row(name, ratio, ratio, ratio, "×", target)


def spoken(values: Sequence[float]) -> str:
    """Milliseconds with their quartiles."""
    low, middle, high = quartiles(values)
    return f"{middle:.0f} ms ({low:.0f} to {high:.0f})"


# Servers: each in a process of its own, so that none waits for this one


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(address: str, alive: Callable[[], bool]) -> None:
    """Until a server answers, while its process is `alive`."""
    for _ in range(600):
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            if not alive():
                raise RuntimeError(f"the server of {address} ended before it was ready") from None
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"the server of {address} was not ready in time")


@contextmanager
def app_server() -> Iterator[str]:
    """The address of a `python app.py`, started as a newcomer would."""
    port = free_port()
    command = [sys.executable, "app.py", "--device", "cpu", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, lambda: process.poll() is None)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def bare_server(serve: Callable[[int], None]) -> Iterator[str]:
    """The address of a Gradio page that does as little as one can."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process.is_alive)
        yield address
    finally:
        process.terminate()
        process.join(timeout=30)


def serve_empty(port: int) -> None:
    """A page with one element, which says when it is there."""
    with gr.Blocks(analytics_enabled=False) as page:
        gr.HTML("here", js_on_load="window.bench?.drawn();")
    launch_bare(page, port)


def serve_echo(port: int) -> None:
    """A page with the kind of control that the change is made with, and a short answer."""
    with gr.Blocks(analytics_enabled=False) as page:
        slider = gr.Slider(0, 40, 12, elem_id="strength")
        answer = gr.HTML("here", js_on_load="watch('value', () => window.bench?.mark('answer'));")
        slider.input(str, slider, answer, trigger_mode="always_last", show_progress="minimal")
    launch_bare(page, port)


def launch_bare(page: gr.Blocks, port: int) -> None:
    """Serve a page with the app's way of serving, and with no font from elsewhere."""
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        ssr_mode=False,
        quiet=True,
        theme=gr.themes.Default(font=["system-ui"], font_mono=["ui-monospace"]),
    )


# In the page: times by its own clock, which starts with the navigation

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

# Every listener of a pointer that moves, by addEventListener or as a property, and every frame and
# timer that follows: what they take is added to the move that came last.
_MOVES = """(() => {
  const listen = EventTarget.prototype.addEventListener;
  const unlisten = EventTarget.prototype.removeEventListener;
  const kind = /^(pointer|mouse)(move|over|out|enter|leave|rawupdate)$/;
  const moves = window.moves = { all: [], on: false };
  let running = false;
  const timed = (work) => function timedWork(...given) {
    const last = moves.all.at(-1);
    if (running || !moves.on || !last) return work.apply(this, given);
    running = true;
    const start = performance.now();
    try {
      return work.apply(this, given);
    } finally {
      last.ms += performance.now() - start;
      running = false;
    }
  };
  const wrappers = new WeakMap();
  const wrapped = (listener) => {
    if (!listener) return listener;
    if (!wrappers.has(listener)) {
      const call = typeof listener === 'function' ? listener
        : function handle(event) { return listener.handleEvent(event); };
      wrappers.set(listener, timed(call));
    }
    return wrappers.get(listener);
  };
  const position = () => document.querySelector('.dv-viewer').dataset.position;
  moves.close = () => { const last = moves.all.at(-1); if (last) last.position ??= position(); };
  listen.call(window, 'pointermove', ({ clientX, clientY }) => {
    if (!moves.on) return;
    moves.close();
    moves.all.push({ x: clientX, y: clientY, ms: 0 });
  }, true);
  EventTarget.prototype.addEventListener = function add(type, listener, ...rest) {
    return listen.call(this, type, kind.test(type) ? wrapped(listener) : listener, ...rest);
  };
  EventTarget.prototype.removeEventListener = function remove(type, listener, ...rest) {
    return unlisten.call(this, type, kind.test(type) ? wrapped(listener) : listener, ...rest);
  };
  for (const owner of [HTMLElement.prototype, SVGElement.prototype, Document.prototype, window]) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (!name.startsWith('on') || !kind.test(name.slice(2))) continue;
      const own = Object.getOwnPropertyDescriptor(owner, name);
      Object.defineProperty(owner, name, { ...own, set(f) { own.set.call(this, wrapped(f)); } });
    }
  }
  for (const name of ['requestAnimationFrame', 'setTimeout']) {
    const schedule = window[name];
    window[name] = (work, ...rest) => schedule.call(
      window, typeof work === 'function' ? timed(work) : work, ...rest);
  }
})()"""

_RESOLUTION = """() => {
  const steps = [];
  for (let last = performance.now(); steps.length < 500;) {
    const now = performance.now();
    if (now > last) steps.push(now - last);
    last = now;
  }
  return Math.min(...steps);
}"""

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


# 2. Wire: first, as what it loads is hovered over next


def wire(page: Page, photo: Path, report: Report) -> None:
    """From a kernel of 3 to one of 7 over a slow line: what comes when, and how many bytes."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send("Network.emulateNetworkConditions", conditions(BANDWIDTH))
    with page.expect_response("**/numbers", timeout=WAIT) as answer:
        page.locator(f'#kernel label[data-testid="{KERNEL}-radio-label"]').click()
        seen = wait_until(page, "picture")
    waiting = hover_while_waiting(page)
    seen |= wait_until(page, "ready")
    cdp.send("Network.emulateNetworkConditions", conditions(-1))
    cdp.detach()
    settle(page)
    tell_sizes(answer.value, run_here(photo, KERNEL), report)
    share = seen["picture"] / seen["ready"]
    report.add(once_row("picture's time / numbers' time, at 20 MB/s", share, 1.0))
    report.note(f"picture after {seen['picture']:.0f} ms, numbers after {seen['ready']:.0f} ms")
    report.check(f"meanwhile a hover shows {waiting!r}", "on their way" in waiting)


def conditions(bandwidth: float) -> dict[str, Any]:
    """Chromium's words for a line of so many bytes a second; -1 for no limit."""
    return {
        "offline": False,
        "latency": 0,
        "downloadThroughput": bandwidth,
        "uploadThroughput": bandwidth,
    }


def hover_while_waiting(page: Page) -> str:
    """What the formula says under a pointer that the numbers have not yet come for."""
    box = place(page, "image")
    page.mouse.move(box["left"] + 0.3 * box["width"], box["top"] + 0.7 * box["height"])
    text: str = page.locator('[data-terms="a"] .dv-formula').inner_text()
    return text


def tell_sizes(answer: Response, run: Exploration, report: Report) -> None:
    """Bytes on the wire against those of the tensors, as the operator takes and gives them."""
    sent = int(answer.headers["content-length"])
    known = run.sampling.known()
    raw = {name: tensor.numel() * tensor.itemsize for name, tensor in known.items()}
    whole = sent / sum(raw.values())
    offsets = offset_bytes(answer.url) / raw["offset"]
    report.add(once_row("numbers on the wire / all tensors of the record", whole, 1.15))
    report.add(once_row("offsets on the wire / numel × itemsize", offsets, 1.15))
    report.note(f"{sent} bytes came for {sum(raw.values())} bytes of {', '.join(raw)}")


def offset_bytes(url: str) -> int:
    """Bytes of the offsets in an answer with numbers, by its header, which is of safetensors."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        (length,) = struct.unpack("<Q", answer.read(8))
        start, end = json.loads(answer.read(length))["offset"]["data_offsets"]
    return int(end - start)


# 1. Hover


def hover(browser: Browser, page: Page, report: Report) -> None:
    """Move over the input and the output, and add up what the page's scripts take for it."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    report.note(f"steps of the page's clock: {page.evaluate(_RESOLUTION):.2f} ms")
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
    for figure, name in (("image", "input"), ("output", "output")):
        before = metrics(cdp)
        rounds = [moved_over(page, figure) for _ in range(ROUNDS)]
        after = metrics(cdp)
        traced = [processor_times(browser, page, figure) for _ in range(ROUNDS)]
        by_clock = [[move["ms"] for move in moves] for moves in rounds]
        for kind, times in (("script per move", by_clock), ("its processor time", traced)):
            report.add(percentile_row(f"hover over the {name}: {kind}, median", times, 50, 2))
            report.add(percentile_row(f"hover over the {name}: {kind}, p99", times, 99, 8))
        tell_frames(before, after, sum(map(len, by_clock)), report)
        tell_served(page, figure, [*chain(*rounds)], report)
    outside = [url for url in requests if not url.startswith(("data:", "blob:"))]
    report.check("no request while hovering", not outside)
    shown = page.evaluate("({ ...document.querySelector('.dv-viewer').dataset })")
    report.check("reverse look-up built", shown["indexed"] == shown["ready"])


def moved_over(page: Page, figure: str) -> list[dict[str, Any]]:
    """Move along a curve that hardly meets itself: {x, y, ms, position} of each move."""
    box, count = place(page, figure), MOVES[figure]
    page.evaluate("Object.assign(moves, { all: [], on: true })")
    for i in range(count):
        turn = 2 * math.pi * (i + 0.5) / count
        right, down = 0.5 + 0.48 * math.sin(5 * turn), 0.5 + 0.48 * math.cos(7 * turn)
        page.mouse.move(box["left"] + right * box["width"], box["top"] + down * box["height"])
    page.wait_for_timeout(100)
    moves: list[dict[str, Any]] = page.evaluate("(moves.close(), moves.on = false, moves.all)")
    page.mouse.move(1, 1)
    return moves


def processor_times(browser: Browser, page: Page, figure: str) -> list[float]:
    """The processor's time for each move's scripts, by Chromium's trace, in milliseconds.

    Unlike the page's clock it does not run while another program has the core.
    """
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    moves = moved_over(page, figure)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    times: list[float] = []
    end = 0.0
    for event in sorted(filter(is_script, events), key=lambda event: event["ts"]):
        if event["args"].get("data", {}).get("type") == "pointermove":
            times.append(0.0)
        if times and event["ts"] >= end:  # what runs within another is in its time
            times[-1] += event["tdur"] / 1000
            end = event["ts"] + event["dur"]
    if len(times) != len(moves) + 1:
        raise RuntimeError(f"Chromium's trace has {len(times)} moves, not {len(moves)} and one out")
    return times[:-1]


def is_script(event: dict[str, Any]) -> bool:
    """Whether an event of a trace is a call from Chromium to the page that a move can cause."""
    if event["name"] == "EventDispatch":
        return str(event["args"]["data"]["type"]).startswith(("pointer", "mouse"))
    return event["name"] in ("FireAnimationFrame", "TimerFire") and "tdur" in event


def percentile_row(name: str, rounds: list[list[float]], percent: int, target: float) -> Row:
    """A percentile of all moves, and the lowest and highest that a round has."""

    def percentile(values: Sequence[float]) -> float:
        return sorted(values)[min(len(values) - 1, math.ceil(len(values) * percent / 100) - 1)]

    each = [percentile(times) for times in rounds]
    return Row(name, percentile([*chain(*rounds)]), min(each), max(each), "ms", target)


def metrics(cdp: CDPSession) -> dict[str, float]:
    """Chromium's own sums for the page, in seconds of the processor's time."""
    found = cdp.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in found}


def tell_frames(
    before: dict[str, float], after: dict[str, float], moves: int, report: Report
) -> None:
    """The means by Chromium's own count, rendering included: what the target is not about."""
    names = {"ScriptDuration": "script", "RecalcStyleDuration": "style", "LayoutDuration": "layout"}
    parts = [
        f"{text} {1000 * (after[name] - before[name]) / moves:.1f}" for name, text in names.items()
    ]
    whole = 1000 * (after["TaskDuration"] - before["TaskDuration"]) / moves
    report.note(f"means of processor time, ms a move: {', '.join(parts)}; main thread {whole:.1f}")


def tell_served(page: Page, figure: str, moves: list[dict[str, Any]], report: Report) -> None:
    """Whether each move came through by itself, and its position is the one under the pointer."""
    box = place(page, figure)
    served = sum(is_served(move, box) for move in moves)
    places = len({move["position"] for move in moves})
    sent = ROUNDS * MOVES[figure]
    report.check(f"{served} of {sent} moves served, at {places} positions", served == sent)


def is_served(move: dict[str, Any], box: dict[str, float]) -> bool:
    """Whether the position shown after a move is the pixel under its pointer."""
    y, x = (int(part) for part in move["position"].split(","))
    right, down = move["x"] - box["left"], move["y"] - box["top"]
    off = (down / box["height"] * SIDE - 0.5 - y, right / box["width"] * SIDE - 0.5 - x)
    return all(abs(gap) < 0.501 for gap in off)


# 3. Change to picture


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


def change(browser: Browser, app: str, echo: str, photo: Path, report: Report) -> None:
    """From a new strength to the new picture, against its three parts alone."""
    page, bare, plot = (new_page(browser) for _ in range(3))
    open_photo(page, app, photo)
    bare.goto(echo)
    bare.locator("#strength input[type=number]").wait_for()
    run = run_here(photo, 3)
    redraw = prepare_plot(plot, run, place(page, "output"))
    operator = prepare_operator(run)
    changes = []
    for i in range(-2, CHANGES):  # two to warm up
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
    report.add(ratio_row(name, [each.ratio for each in changes], 1.3))

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


# 4. First paint


def paint(browser: Browser, app: str, empty: str, report: Report) -> None:
    """From the navigation to the worked example, against a page with nothing on it.

    Both are private windows, that keep files but no compiled code: so it is on a second visit.
    """
    times: dict[str, list[tuple[float, float]]] = {app: [], empty: []}
    for _ in range(LOADS):
        for address, found in times.items():
            found.append(cold_and_warm(browser, address))
    for i, kind in enumerate(("empty", "warm")):
        ours, bare = ([each[i] for each in times[address]] for address in (app, empty))
        ratios = [a / b for a, b in zip(ours, bare, strict=True)]
        report.add(ratio_row(f"first paint / bare Gradio page, {kind} cache", ratios, 1.5))
        report.note(f"page {spoken(ours)}; bare Gradio page {spoken(bare)}")


def cold_and_warm(browser: Browser, address: str) -> tuple[float, float]:
    """Milliseconds until it is drawn, for a new visitor and for one who comes back."""
    page, times = new_page(browser), []
    context = page.context
    for _ in range(2):
        page.goto(address)
        times.append(wait_until(page, "picture")["picture"])
        page.close()
        page = context.new_page()  # only now: of two pages, one would be in the background
    context.close()
    return times[0], times[1]


# All of it

PARTS = ("wire", "hover", "change", "paint")


def measure(parts: Sequence[str], report: Report) -> None:
    """Start a server and a Chromium, and fill the report."""
    with ExitStack() as stack:
        photo = stack.enter_context(photo_file())
        app = stack.enter_context(app_server())
        browser = launch(stack.enter_context(sync_playwright()), args=_CHROMIUM)
        stack.callback(browser.close)
        report.note(
            f"Chromium {browser.version}, torch {torch.__version__} with "
            f"{torch.get_num_threads()} threads, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f} before"
        )
        print(f"{'':58} {'value':>10} {'spread':>16} {'target':>7}")
        if {"wire", "hover"} & set(parts):
            page = new_page(browser, _MOVES)
            open_photo(page, app, photo)
            wire(page, photo, report)
            if "hover" in parts:
                hover(browser, page, report)
            page.context.close()
        if "change" in parts:
            with bare_server(serve_echo) as echo:
                change(browser, app, echo, photo, report)
        if "paint" in parts:
            with bare_server(serve_empty) as empty:
                paint(browser, app, empty, report)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these rows")
    options = parser.parse_args()
    report, start = Report(), time.perf_counter()
    measure(options.only, report)
    report.note(f"{time.perf_counter() - start:.0f} s in all")
    if options.json:
        rows = [asdict(row) | {"met": row.met} for row in report.rows]
        text = json.dumps({"rows": rows, "notes": report.notes}, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
