"""The five ways to shift, side by side: the result, the difference from slicing, the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from ..geometry import Pair
from ..operators.spatial_shift import BORDERS, Border, Strategy, spatial_shift

PUBLISHED_SHIFTS: tuple[Pair, ...] = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""One pixel down, up, right and left, each for a pair of channels."""


@dataclass(frozen=True)
class ShiftResult:
    """What one strategy made of a shift.

    Attributes:
        strategy: which of the five.
        output: [B, C, H, W], or None where the strategy cannot honour the border rule.
        difference: the largest absolute difference from slicing, or None.
        milliseconds: the median time of a call, or None.
    """

    strategy: Strategy
    output: Tensor | None
    difference: float | None
    milliseconds: float | None


def published_tensor() -> Tensor:
    """The tensor of the published five-way comparison: row and column indices, [1, 8, 5, 5]."""
    index = torch.arange(5.0)
    return torch.stack(torch.meshgrid(index, index, indexing="ij")).repeat(4, 1, 1)[None]


@torch.no_grad()
def compare_strategies(
    input: Tensor, shifts: Sequence[Pair], border: Border, seconds: float = 0.02
) -> list[ShiftResult]:
    """Shift `input` [B, C, H, W] in each of the five ways and compare with slicing.

    Args:
        shifts: (dy, dx) for each group of channels, as in `spatial_shift`.
        border: what enters at the border.
        seconds: how long each strategy is timed for.

    Example:
        >>> results = compare_strategies(published_tensor(), PUBLISHED_SHIFTS, "replicate")
        >>> [r.strategy for r in results if r.difference == 0]
        ['slice', 'roll', 'deform_conv2d', 'depthwise']
    """
    from torch.utils.benchmark import Timer  # looks for a compiler when it is imported

    expected = spatial_shift(input, shifts, "slice", border)
    results = []
    for strategy in get_args(Strategy):
        if border not in BORDERS[strategy]:
            results.append(ShiftResult(strategy, None, None, None))
            continue
        output = spatial_shift(input, shifts, strategy, border)
        timer = Timer(
            "shift(input, shifts, strategy, border)",
            globals={
                "shift": spatial_shift,
                "input": input,
                "shifts": shifts,
                "strategy": strategy,
                "border": border,
            },
            num_threads=torch.get_num_threads(),
        )
        median = timer.blocked_autorange(min_run_time=seconds).median
        difference = (output - expected).abs().max().item()
        results.append(ShiftResult(strategy, output, difference, 1000 * median))
    return results
