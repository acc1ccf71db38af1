"""From a kernel of 3 to one of 7 over a slow line: what comes when, and how many bytes."""

from __future__ import annotations

import json
import struct
import urllib.request
from pathlib import Path
from typing import Any

from in_page import WAIT, place, run_here, settle, wait_until
from playwright.sync_api import Page, Response
from rows import Report, once_row

from deformviz.explore import Exploration

KERNEL = 7
BANDWIDTH = 20e6
"""Bytes a second, for the wait for the numbers to be seen."""


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
