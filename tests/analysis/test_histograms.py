"""Histograms against counting one value at a time."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from made_samplings import layer, normal
from torch import Tensor

from deformviz.analysis import Bin, Histogram, histogram, log_edges

EDGES = [0.1, 0.5, 2.0, 7.5]
SPECIAL = [
    0.0, -0.0, math.nan, math.inf, -math.inf, 1e-30, -1e-30, 1e30, -1e30,
    0.1, -0.1, 0.5, -0.5, 2.0, -2.0, 7.5, -7.5, 0.49999, -7.4999, 0.0999, 3.0, -0.3,
]  # fmt: skip


def special_offsets() -> Tensor:
    """Each pair of special numbers once, and normal ones: [2, 9, 2, 8, 8]."""
    offset = 2 * normal(2, 9, 2, 8, 8)
    pairs = torch.tensor([[a, b] for a in SPECIAL for b in SPECIAL])  # [484, 2]
    flat = offset.permute(0, 1, 3, 4, 2).reshape(-1, 2)
    flat[100 : 100 + len(pairs)] = pairs.double()
    return flat.reshape(2, 9, 8, 8, 2).permute(0, 1, 4, 2, 3).contiguous()


def holds(bar: Bin, value: float) -> bool:
    """Whether a number is in a bin, from the words of `Bin` alone."""
    if math.isnan(value):
        return bar.kind == "nan"
    if math.isinf(value):
        return bar.kind == "infinite" and bar.low == value
    if value == 0:
        return bar.kind == "zero"
    if bar.kind == "small":
        return bar.low < value < bar.high
    if bar.kind not in ("inside", "large"):
        return False
    # The bound nearer to zero belongs to the bin.
    return bar.low <= value < bar.high if bar.low > 0 else bar.low < value <= bar.high


def value_of(offset: Tensor, quantity: str, index: tuple[int, ...]) -> float:
    group, tap, y, x = index
    dy, dx = offset[group, tap, :, y, x].tolist()
    if quantity == "magnitude":
        return math.nan if math.isnan(dy) or math.isnan(dx) else math.hypot(dy, dx)
    return dy if quantity == "dy" else dx


def counted(h: Histogram, values: Any) -> Tensor:
    """[G, K, bins], one value at a time."""
    counts = torch.zeros_like(h.counts)
    for group, tap, y, x in np.ndindex(2, 9, 8, 8):
        found = [b.index for b in h.bins if holds(b, values((group, tap, y, x)))]
        assert len(found) == 1
        counts[group, tap, found[0]] += 1
    return counts


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("quantity", ["magnitude", "dy", "dx"])
def test_each_offset_is_counted_once_and_where_it_belongs(quantity: Any) -> None:
    offset = special_offsets()
    h = histogram(layer(offset), quantity, EDGES)
    assert h.counts.dtype == torch.int64
    expected = counted(h, lambda index: value_of(offset, quantity, index))
    assert (h.counts == expected).all()
    assert (h.counts.sum(-1) == 64).all()
    assert (h.total() == expected.sum(dim=(0, 1))).all()
    assert (h.total(group=1, tap=4) == expected[1, 4]).all()
    assert (h.total(tap=0) == expected[:, 0].sum(0)).all()


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize(("group", "tap"), [(None, None), (1, None), (None, 3), (0, 2)])
def test_a_bar_shows_its_pixels(group: int | None, tap: int | None) -> None:
    offset = special_offsets()
    h = histogram(layer(offset), "dx", EDGES)
    groups = range(2) if group is None else [group]
    taps = range(9) if tap is None else [tap]
    for bar in h.bins:
        found = h.positions_in(bar.index, group, tap)
        assert found.shape == (8, 8)
        for y, x in np.ndindex(8, 8):
            values = [value_of(offset, "dx", (g, k, y, x)) for g in groups for k in taps]
            assert found[y, x].item() == any(holds(bar, v) for v in values), bar


def test_the_positions_of_one_tap_are_as_many_as_its_count() -> None:
    h = histogram(layer(special_offsets()), "magnitude")
    for bar in h.bins:
        assert h.positions_in(bar.index, 1, 7).sum() == h.counts[1, 7, bar.index]


@pytest.mark.parametrize("signed", [False, True])
def test_a_mask_has_bins_below_zero_where_it_needs_them(signed: bool) -> None:
    mask = normal(2, 9, 8, 8) if signed else normal(2, 9, 8, 8).sigmoid()
    mask[0, 0, 0, :4] = torch.tensor([0.0, 1.0, math.nan, 0.5])
    h = histogram(layer(normal(2, 9, 2, 8, 8), mask=mask), "mask", EDGES)
    assert any(b.low < 0 for b in h.bins) == signed
    expected = counted(h, lambda i: mask[i].item())
    assert (h.counts == expected).all()


def test_single_precision_values_are_compared_exactly() -> None:
    """0.1 in float32 is 1.5e-9 more than 0.1: an edge in float32 would be the same number."""
    offset = torch.full((1, 1, 2, 1, 1), 0.1)
    h = histogram(layer(offset, 1), "dy", [0.1 + 1e-10, 0.2])
    assert h.bins[int(h.total().argmax())].low == 0.1 + 1e-10
    h = histogram(layer(offset, 1), "dy", [0.05, 0.1 + 3e-9, 0.2])
    assert h.bins[int(h.total().argmax())].low == 0.05


def test_bins_are_ordered_and_meet() -> None:
    h = histogram(layer(normal(1, 9, 2, 3, 3)), "dy", EDGES)
    assert [b.index for b in h.bins] == list(range(len(h.bins)))
    assert [b.kind for b in h.bins] == [
        "infinite", "large", "inside", "inside", "inside", "small", "zero",
        "small", "inside", "inside", "inside", "large", "infinite", "nan",
    ]  # fmt: skip
    for left, right in pairwise(h.bins[:-1]):
        assert left.high == right.low
    assert [b.label for b in h.bins] == [
        "-inf", "-7.5 and less", "-7.5 to -2", "-2 to -0.5", "-0.5 to -0.1", "-0.1 to 0", "0",
        "0 to 0.1", "0.1 to 0.5", "0.5 to 2", "2 to 7.5", "7.5 and more", "inf", "NaN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "per_decade", "count"), [(1e-3, 1e3, 4, 25), (1e-2, 1, 10, 21), (0.5, 50, 3, 7)]
)
def test_log_edges_are_evenly_spaced(low: float, high: float, per_decade: int, count: int) -> None:
    expected = np.logspace(math.log10(low), math.log10(high), count)
    np.testing.assert_allclose(log_edges(low, high, per_decade), expected, rtol=1e-12)


def test_log_edges_end_where_they_were_told_to() -> None:
    assert log_edges(1, 30, 1) == [1, 10, 30]
    assert log_edges(1, 10**0.2, 5) == [1, 10**0.2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: histogram(s, "angle"), ValueError, "must be one of .*'magnitude', 'dy'"),
        (lambda s: histogram(s, "mask"), ValueError, "'a layer' has no mask"),
        (lambda s: histogram(s, "dy", [1.0]), ValueError, "positive, finite and ascending"),
        (lambda s: histogram(s, "dy", [0.0, 1.0]), ValueError, "positive, finite and ascending"),
        (lambda s: histogram(s, "dy", [2.0, 1.0]), ValueError, "positive, finite and ascending"),
        (lambda s: histogram(s, "dy", [1.0, math.inf]), ValueError, "finite"),
        (lambda s: log_edges(0, 1), ValueError, "0 < low < high"),
        (lambda s: histogram(s, "dy").positions_in(99), IndexError, "bin 99 is not one of the 56"),
        (lambda s: histogram(s, "dy").positions_in(0, group=1), IndexError, "group 1 .* the 1 "),
        (lambda s: histogram(s, "dy").positions_in(0, tap=-1), IndexError, "tap -1 .* the 9 "),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(layer(normal(1, 9, 2, 3, 3)))
