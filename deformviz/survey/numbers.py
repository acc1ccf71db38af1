"""What a layer's tally says: means, deviations, percentiles and shares."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from ..analysis.finding import plain
from .bins import length_edges, mask_edges, percentile
from .tally import LayerTally

_DILATION = 1
_MASK = 2
"""Places in a tally's extremes; lengths are the first."""


@dataclass(frozen=True)
class Numbers:
    """One layer on all images, over all groups, taps and positions.

    Lengths are in pixels of the input map. What is not finite is left out and counted; a number
    that nothing is left for is NaN.

    Attributes:
        mean, deviation: of the offsets' lengths.
        median, p99: of them, as the upper end of a bin: too large by a 32nd at most, or by a
            thousandth of a pixel.
        shortest, largest: of them, exact.
        not_finite: how many offsets (dy or dx) and mask values are NaN or infinite.
        outside, moved_outside: share of the taps that read nothing, and of those that their offset
            moved there.
        static: root mean square length of each tap's mean offset over all images.
        between: what the mean of an image deviates from that, root mean square.
        within: what the offsets deviate from the mean of their image, root mean square.
        adaptive_share: (between^2 + within^2) / (static^2 + between^2 + within^2).
        mask_mean, mask_deviation, mask_low, mask_high: of the mask, exact.
        mask_p1, mask_p99: of it, too large by 1/128 at most where they are from -2 to 4.
    """

    mean: float
    deviation: float
    median: float
    p99: float
    shortest: float
    largest: float
    not_finite: int
    outside: float
    moved_outside: float
    static: float
    between: float
    within: float
    adaptive_share: float
    mask_mean: float
    mask_deviation: float
    mask_low: float
    mask_high: float
    mask_p1: float
    mask_p99: float


@dataclass(frozen=True)
class Dilation:
    """A layer's effective dilation over all positions of all images, in pixels.

    NaN where its taps form no grid.

    Attributes:
        mean, deviation: over all positions.
        of_images: deviation of the images' means.
        least, largest: exact.
        median, p99: too large by a 32nd at most.
    """

    mean: float
    deviation: float
    of_images: float
    least: float
    largest: float
    median: float
    p99: float


def numbers_of(layer: LayerTally) -> Numbers:
    """Sum a layer up.

    Example:
        >>> import torch
        >>> from deformviz import Kernel, Sampling
        >>> from deformviz.survey.tally import Tally
        >>> offset = torch.tensor([3.0, 4.0]).reshape(1, 1, 2, 1, 1).expand(1, 9, 2, 8, 8)
        >>> tally = Tally()
        >>> moved = Sampling("moved", (8, 8), (8, 8), Kernel.of(3, padding=1), offset)
        >>> tally.add([0], [[moved]], {})
        >>> found = numbers_of(tally.layers["moved"])
        >>> found.mean, found.largest, found.static, found.within
        (5.0, 5.0, 5.0, 0.0)
    """
    counts, there = layer.counts, layer.counts["there"].flatten().tolist()
    total = sum(there)
    squares = sum(layer.sums["squares"].floats())
    (length,) = layer.sums["length"].floats()
    mean, deviation = _spread(length, squares, total)
    static, between, within = _parts(layer, there, squares)
    energy = static + between + within
    lengths, edges = counts["lengths"], length_edges()
    low, high = float(layer.low[0]), float(layer.high[0])
    taps = int(counts["positions"]) * counts["there"].numel()
    return Numbers(
        mean=mean,
        deviation=deviation,
        median=percentile(lengths, edges, 0.5, low, high),
        p99=percentile(lengths, edges, 0.99, low, high),
        shortest=low if total else math.nan,
        largest=high if total else math.nan,
        not_finite=int(counts["not_finite"]),
        outside=int(counts["outside"]) / taps,
        moved_outside=int(counts["moved_outside"]) / taps,
        static=math.sqrt(static),
        between=math.sqrt(between),
        within=math.sqrt(within),
        adaptive_share=(between + within) / energy if energy else math.nan,
        **_of_mask(layer),
    )


def dilation_of(layer: LayerTally) -> Dilation:
    """The same of its effective dilation."""
    total, squares, means, mean_squares = layer.sums["dilation"].floats()
    count, images = int(layer.counts["dilations"]), int(layer.counts["dilated_images"])
    if not count:
        return Dilation(*[math.nan] * 7)
    mean, deviation = _spread(total, squares, count)
    low, high = float(layer.low[_DILATION]), float(layer.high[_DILATION])
    median, p99 = (
        percentile(layer.counts["spacings"], length_edges(), share, low, high)
        for share in (0.5, 0.99)
    )
    of_images = _spread(means, mean_squares, images)[1]
    return Dilation(mean, deviation, of_images, low, high, median, p99)


def histogram_of(counts: Tensor, edges: list[float]) -> dict[str, Any]:
    """The bins from the first to the last that holds anything, as plain JSON types.

    Returns:
        {"edges", "counts"}: bin i lies between edges i and i + 1; None stands for no bound.
    """
    held = counts.nonzero().flatten()
    if not len(held):
        return {"edges": [], "counts": []}
    first, last = int(held[0]), int(held[-1])
    bounds = [None, *edges, None]
    return {"edges": bounds[first : last + 2], "counts": counts[first : last + 1].tolist()}


def plain_numbers(numbers: Numbers | Dilation) -> dict[str, Any]:
    """Plain JSON types; None for a number that there is not."""
    return {name: plain(value) for name, value in asdict(numbers).items()}


def _parts(layer: LayerTally, there: list[int], squares: float) -> tuple[float, float, float]:
    """The mean squared length of the offsets in three: static, between images, within them."""
    total = sum(there)
    if not total:
        return (math.nan, math.nan, math.nan)
    moved = layer.sums["moved"].floats()
    pairs = zip(moved[::2], moved[1::2], there, strict=True)
    static = math.fsum((y * y + x * x) / count for y, x, count in pairs if count)
    images = math.fsum(layer.sums["image_means"].floats())
    between, within = max(0.0, images - static), max(0.0, squares - images)
    return static / total, between / total, within / total


def _of_mask(layer: LayerTally) -> dict[str, float]:
    count, (total, squares) = int(layer.counts["mask_values"]), layer.sums["mask"].floats()
    mean, deviation = _spread(total, squares, count)
    low, high = float(layer.low[_MASK]), float(layer.high[_MASK])
    p1, p99 = (
        percentile(layer.counts["masks"], mask_edges(), share, low, high) for share in (0.01, 0.99)
    )
    return {
        "mask_mean": mean,
        "mask_deviation": deviation,
        "mask_low": low if count else math.nan,
        "mask_high": high if count else math.nan,
        "mask_p1": p1,
        "mask_p99": p99,
    }


def _spread(total: float, squares: float, count: int) -> tuple[float, float]:
    """Mean and standard deviation, from sums."""
    if not count:
        return (math.nan, math.nan)
    mean = total / count
    return mean, math.sqrt(max(0.0, squares / count - mean * mean))
