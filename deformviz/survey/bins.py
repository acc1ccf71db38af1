"""Fixed bins, the same for every image, so that counts of different machines add up.

Lengths have 32 bins from each power of two to the next one, which are as many bits of the number
itself: the bin of a value is read off, not looked for. Masks have 128 bins to each 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SUB_BITS = 5
_LOWEST, _HIGHEST = -10, 14
"""Powers of two: from a thousandth of a pixel to 16384 px, more than any map has."""

_SHIFT = 52 - _SUB_BITS
_FIRST = (1023 + _LOWEST) << _SUB_BITS

LENGTH_BINS = ((_HIGHEST - _LOWEST) << _SUB_BITS) + 2
"""The first is for all that is smaller, zero with it, the last for all that is larger."""

MASK_STEPS = 128
_MASK_LOW, _MASK_HIGH = -2, 4
"""A sigmoid ends at 1, or at 2 where it is doubled; DCNv4 has masks of any size."""

MASK_BINS = (_MASK_HIGH - _MASK_LOW) * MASK_STEPS + 2
"""The first is for all that is below, the last for all from the upper end on."""


def length_index(lengths: Tensor) -> Tensor:
    """The bins of float64 lengths, none negative: int64 of the same shape.

    Example:
        >>> edges = torch.tensor(length_edges())
        >>> place = length_index(torch.tensor([1.6], dtype=torch.float64))
        >>> [round(edge, 5) for edge in edges[place - 1 : place + 1].tolist()]
        [1.59375, 1.625]
    """
    bits = lengths.contiguous().view(torch.int64) >> _SHIFT  # exponent and five bits after it
    return (bits - (_FIRST - 1)).clamp_(0, LENGTH_BINS - 1)


def length_edges() -> list[float]:
    """Between the bins: edge i is where bin i + 1 begins; one fewer than bins.

    >>> len(length_edges()) == LENGTH_BINS - 1, length_edges()[0] == 2.0**-10
    (True, True)
    """
    steps = 1 << _SUB_BITS
    return [
        math.ldexp(1 + sub / steps, power)
        for power in range(_LOWEST, _HIGHEST)
        for sub in range(steps)
    ] + [math.ldexp(1, _HIGHEST)]


def mask_index(mask: Tensor) -> Tensor:
    """The bins of finite mask values: int64 of the same shape."""
    place = (mask.to(torch.float64) * MASK_STEPS).floor_() - _MASK_LOW * MASK_STEPS
    return place.clamp_(-1, MASK_BINS - 2).to(torch.int64) + 1


def mask_edges() -> list[float]:
    """Between the bins, as of lengths.

    >>> mask_edges()[0], mask_edges()[-1], len(mask_edges()) == MASK_BINS - 1
    (-2.0, 4.0, True)
    """
    return [_MASK_LOW + step / MASK_STEPS for step in range(MASK_BINS - 1)]


def percentile(counts: Tensor, edges: list[float], share: float, low: float, high: float) -> float:
    """The upper end of the bin in which the percentile lies.

    Args:
        counts: [bins].
        edges: between them.
        share: 0 to 1; the percentile is the smallest value that so many are not larger than.
        low, high: the least and the largest value, which no answer is beyond.

    Example:
        >>> counts = torch.zeros(MASK_BINS, dtype=torch.int64)
        >>> counts[mask_index(torch.tensor([0.1, 0.2, 0.3]))] += 1
        >>> percentile(counts, mask_edges(), 0.5, 0.1, 0.3)
        0.203125
    """
    total = int(counts.sum())
    if not total:
        return math.nan
    wanted = max(1, math.ceil(share * total))
    place = int(torch.searchsorted(counts.cumsum(0), wanted))
    upper = edges[place] if place < len(edges) else high
    return min(max(upper, low), high)
