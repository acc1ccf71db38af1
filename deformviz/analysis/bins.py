"""Logarithmic bins for numbers of both signs, in which nothing that is special is hidden.

Exact zeros, NaN, the infinities and whatever lies beyond the edges have bins of their own, so that
the counts of all bins are the number of values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

BinKind = Literal["inside", "zero", "small", "large", "infinite", "nan"]


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram.

    Attributes:
        index: its place among the bins.
        kind: "inside" the edges; exactly "zero"; nearer to zero than the first edge ("small");
            beyond the last edge but finite ("large"); "infinite"; "nan".
        low, high: its values' bounds. The bound nearer to zero belongs to the bin, the other one
            does not; a "small" bin holds neither. Both are the value itself for a single value.
    """

    index: int
    kind: BinKind
    low: float
    high: float

    @property
    def label(self) -> str:
        """The bin in words, e.g. "0.1 to 0.178".

        >>> Bin(3, "inside", 0.1, 0.1778).label
        '0.1 to 0.178'
        """
        if self.low == self.high or self.kind == "nan":
            return f"{self.low:g}".replace("nan", "NaN")
        if self.kind == "large":
            return f"{self.low:.3g} and more" if self.low > 0 else f"{self.high:.3g} and less"
        return f"{self.low:.3g} to {self.high:.3g}"


def log_edges(low: float = 1e-3, high: float = 1e3, per_decade: int = 4) -> list[float]:
    """The powers of ten from `low` to `high` and `per_decade` - 1 edges between each two.

    Example:
        >>> log_edges(0.1, 10, 1)
        [0.1, 1.0, 10.0]
    """
    if not 0 < low < high or per_decade < 1:
        raise ValueError(
            f"need 0 < low < high and per_decade >= 1, got {low}, {high} and {per_decade}"
        )
    # Where a step ends at `high` but for rounding, it would be an edge twice.
    steps = math.ceil(math.log10(high / low) * per_decade - 1e-9)
    return [low * 10 ** (step / per_decade) for step in range(steps)] + [float(high)]


class Bins:
    """Which bin a number falls in, from minus infinity over zero to infinity, NaN last.

    Args:
        edges: positive and ascending, two or more; bins below zero mirror them.
        signed: whether there are bins below zero.
    """

    def __init__(self, edges: Sequence[float], signed: bool) -> None:
        steps = [float(edge) for edge in edges]
        ascending = all(a < b for a, b in pairwise(steps))
        if len(steps) < 2 or not ascending or steps[0] <= 0 or not math.isfinite(steps[-1]):
            raise ValueError(f"edges must be positive, finite and ascending, got {steps}")
        self.edges = tuple(steps)
        self.signed = signed
        self.bins = _bins(steps, signed)

    def __len__(self) -> int:
        return len(self.bins)

    def index(self, values: Tensor) -> Tensor:
        """The bin of each value, of the same shape; negative values need bins of both signs."""
        size = values.abs().to(torch.promote_types(values.dtype, torch.float32))
        edges = torch.tensor(self.edges, dtype=torch.float64).to(size)
        # 0 for what is nearer to zero than the first edge, then one for each edge that is reached.
        place = torch.bucketize(size, edges, right=True) + 1
        place = torch.where(size == 0, 0, place)
        place = torch.where(size.isinf(), len(self.edges) + 2, place)
        if self.signed:
            place = torch.where(values < 0, -place, place) + len(self.edges) + 2
        return torch.where(values.isnan(), len(self.bins) - 1, place)


def _bins(edges: list[float], signed: bool) -> tuple[Bin, ...]:
    """The bins of both signs, or from zero on, in the order of `Bins.index`."""
    above: list[tuple[BinKind, float, float]] = [("small", 0.0, edges[0])]
    above += [("inside", a, b) for a, b in pairwise(edges)]
    above += [("large", edges[-1], math.inf), ("infinite", math.inf, math.inf)]
    below = [(kind, -high, 0.0 - low) for kind, low, high in reversed(above)] if signed else []
    rows = [*below, ("zero", 0.0, 0.0), *above, ("nan", math.nan, math.nan)]
    return tuple(Bin(index, *row) for index, row in enumerate(rows))
