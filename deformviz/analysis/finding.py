"""What may be wrong with a layer: the record of one finding, and the limits that make it one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Kind = Literal[
    "nonfinite",
    "untrained",
    "bias only",
    "dead",
    "still",
    "exploded",
    "outside",
    "clamp binds",
    "static",
    "collapsed",
    "mask equal",
    "mask saturated",
]
"""What there is to find; `findings` says what each means."""

Severity = Literal["error", "warning", "info"]
"""It cannot work; it probably does not do what was meant; good to know."""


@dataclass(frozen=True)
class Thresholds:
    """The limits beyond which a number becomes a finding, and why they are where they are.

    Attributes:
        still: px. A tap that moves less than this everywhere reads nearly what a regular one does:
            at most a twentieth of the step between two neighbouring pixels, along each axis, comes
            in. Also above the offsets that common implementations begin with.
        exploded: px, of the mean offset. BasicSR warns from 50 on, EDVR from 100.
        exploded_map: share of the map's longer side, as 50 px are off a map of 32. Taps strewn
            evenly over a map are half its side from home; ALIKED clamps its offsets to a quarter.
        exploded_kernel: times the kernel's extent, below which no mean offset counts as exploded,
            as a quarter of a tiny map is less than a kernel.
        outside: share of the taps that were moved off the map. In ALIKED, a key-point network, it
            is below 0.02 in the layers that never reach its clamp and above 0.06 in those that do.
        clamp: share of the offsets that are at the extreme value exactly. Rounding to half
            precision puts less than 0.01 there, ALIKED's clamp 0.08 and more.
        static: the root mean square deviation from each tap's mean, by the offsets' root mean
            square. In ALIKED's layers it is 0.2 and more.
        collapsed: the taps' distances by the regular kernel's. At a quarter, a 3 x 3 kernel fits
            between four pixels and reads little more than one value.
        collapsed_share: share of the positions where that is so; single ones do no harm.
        mask_range: a mask that varies less over the map, by the value at which it is open, is a
            constant: less than three grey levels of 255.
        mask_end: a mask value nearer than this to 0 or to its largest value is at that end, where a
            sigmoid has a twenty-fifth of its slope left, so that it hardly learns any more.
        mask_saturated: share of the mask's values at either end.
    """

    still: float = 0.05
    exploded: float = 50.0
    exploded_map: float = 0.25
    exploded_kernel: float = 2.0
    outside: float = 0.05
    clamp: float = 0.05
    static: float = 0.05
    collapsed: float = 0.25
    collapsed_share: float = 0.05
    mask_range: float = 0.01
    mask_end: float = 0.01
    mask_saturated: float = 0.5


@dataclass(frozen=True)
class LayerInfo:
    """What is known about a layer beside its tensors; None stands for not known.

    Attributes:
        clamp: the offsets are clamped to plus and minus this, in pixels.
        mask_max: the mask's largest possible value: 1 after a sigmoid or softmax, 2 after twice a
            sigmoid, infinity where it is unbounded.
    """

    clamp: float | None = None
    mask_max: float | None = None


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing to know about a layer.

    Attributes:
        kind, severity: see `Kind` and `Severity`.
        number, threshold, unit: what was measured, the limit it went beyond, and what both are
            measured in: "px", "share" of 1, "values", or "" for a plain number.
        sentence: all of this for a person.
        map: [h, w] where it is so, by output position: bool, or the number at each position.
        group, tap: of one offset group or tap, or None.
    """

    kind: Kind
    severity: Severity
    number: float
    threshold: float
    unit: str
    sentence: str
    map: Tensor
    group: int | None = None
    tap: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; the map as the count of its positions that are not zero and its peak.

        Example:
            >>> where = torch.tensor([[False, True]])
            >>> found = Finding("nonfinite", "error", 1, 0, "values", "One value is NaN.", where)
            >>> found.to_dict()["where"]
            {'positions': 1, 'of': 2, 'peak': [0, 1]}
        """
        values = self.map.to(torch.float32).nan_to_num(0)
        row, column = divmod(int(values.argmax()), values.shape[1])
        return {
            "kind": self.kind,
            "severity": self.severity,
            "group": self.group,
            "tap": self.tap,
            "number": plain(self.number),
            "threshold": plain(self.threshold),
            "unit": self.unit,
            "sentence": self.sentence,
            "where": {
                "positions": int((values != 0).sum()),
                "of": values.numel(),
                "peak": [row, column],
            },
        }


def plain(number: float) -> float | None:
    """A number as JSON has it: None for those it lacks.

    >>> plain(math.nan), plain(0.5)
    (None, 0.5)
    """
    return number if math.isfinite(number) else None
