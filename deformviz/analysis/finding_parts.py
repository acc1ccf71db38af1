"""Findings as whoever tells them needs them: plain JSON types, bounded however many there are."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .finding import Finding

MOST_FINDINGS = 64
"""Findings that are told; of more, as many groups may have, how many there are."""

MOST_POSITIONS = 2**20
"""Of a finding's map, 128 KiB as bits: those of larger maps are told in blocks of positions."""

_ALL_POSITIONS = 4 * MOST_POSITIONS
"""Of all maps together."""


def findings_part(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as the viewer lists them, in their order.

    Each has a `map` of where it is so: `size` (h, w), `bits` as base64 of `numpy.packbits`,
    `positions`, how many there are, and `step`. That is 1, and larger where the maps would be more
    than `MOST_POSITIONS` or all together four times that: one bit then stands for the
    step x step positions of a block, and is set where any of them is. `map` is None where there is
    no such position.

    Example:
        >>> where = torch.tensor([[False, True, True]])
        >>> one = Finding("nonfinite", "error", 2, 0, "values", "Two are NaN.", where, tap=4)
        >>> findings_part([one])[0]["map"]
        {'size': [1, 3], 'bits': 'YA==', 'positions': 2, 'step': 1}
    """
    shown = found[:MOST_FINDINGS]
    room = min(MOST_POSITIONS, _ALL_POSITIONS // max(1, len(shown)))
    parts = [
        {
            "kind": one.kind,
            "severity": one.severity,
            "sentence": one.sentence,
            "group": one.group,
            "tap": one.tap,
            "map": _map_part(where(one), room),
        }
        for one in shown
    ]
    if len(found) > len(shown):
        sentence = f"And {len(found) - len(shown)} more findings, each of one offset group."
        rest = {"kind": "more", "severity": "info", "sentence": sentence}
        parts.append(rest | {"group": None, "tap": None, "map": None})
    return parts


def where(finding: Finding) -> Tensor:
    """[h, w] bool: at which positions it is so.

    Where the map has the number that is too large, those at which it is; else where it is not 0.
    """
    if finding.kind == "exploded":
        return finding.map > finding.threshold
    return finding.map != 0


def _map_part(positions: Tensor, room: int) -> dict[str, Any] | None:
    count = int(positions.sum())
    if count == 0:
        return None
    h, w = positions.shape
    step = 1
    while math.ceil(h / step) * math.ceil(w / step) > room:
        step += 1
    blocks = _blocks(positions, step).cpu().numpy()
    bits = base64.b64encode(np.packbits(blocks).tobytes()).decode("ascii")
    return {"size": list(blocks.shape), "bits": bits, "positions": count, "step": step}


def _blocks(positions: Tensor, step: int) -> Tensor:
    """Which blocks of step x step positions have one: [ceil(h / step), ceil(w / step)] bool."""
    if step == 1:
        return positions
    h, w = positions.shape
    padded = torch.nn.functional.pad(positions, (0, -w % step, 0, -h % step))
    rows, columns = (math.ceil(n / step) for n in (h, w))
    return padded.reshape(rows, step, columns, step).any(3).any(1)
