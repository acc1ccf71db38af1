"""What the page's scripts take for a move of the pointer over the input and the output."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

from in_page import SIDE, place
from playwright.sync_api import Browser, CDPSession, Page
from rows import Report, Row

MOVES = {"image": 400, "output": 200}
ROUNDS = 2

# Every listener of a pointer that moves, by addEventListener or as a property, and every frame and
# timer that follows: what they take is added to the move that came last.
LISTENERS = """(() => {
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
