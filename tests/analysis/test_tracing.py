"""Traces through several layers against the paper's lattice, loops, and torchvision's gradients."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_samplings import layer, normal, points_of, random_layer, uniform
from torch import Tensor
from torchvision.ops import deform_conv2d

from deformviz import ImageMap, Kernel, Sampling
from deformviz.analysis import Traced, trace
from deformviz.analysis.tracing import Mode

MODES: list[Mode] = ["exact", "interp", "paper"]
DILATED = Sampling.regular("res5", Kernel.of(3, padding=2, dilation=2), (33, 31))


def lattice() -> dict[tuple[float, float], float]:
    """(1, 1, 1) convolved with itself thrice, for each axis: 49 places, 2 px apart, 729 in all."""
    row = np.convolve(np.convolve([1, 1, 1], [1, 1, 1]), [1, 1, 1])
    assert row.tolist() == [1, 3, 6, 7, 6, 3, 1]
    return {
        (16 + 2 * (i - 3), 15 + 2 * (j - 3)): float(row[i] * row[j])
        for i, j in product(range(7), repeat=2)
    }


def places(traced: Traced) -> dict[tuple[float, float], float]:
    total: Counter[tuple[float, float]] = Counter()
    for (y, x), weight in zip(traced.points.tolist(), traced.weights.tolist(), strict=True):
        total[y, x] += weight
    return dict(total)


@pytest.mark.parametrize("merge", [False, True], ids=["apart", "merged"])
@pytest.mark.parametrize("mode", MODES)
def test_three_dilated_layers_make_the_lattice(mode: Mode, merge: bool) -> None:
    traced = trace([DILATED] * 3, 16, 15, mode, merge=merge)
    assert places(traced) == lattice()
    assert len(traced.points) == (49 if merge or mode == "exact" else 729)
    assert len(traced.levels[0].points) == 9
    assert (traced.taps is None) == (merge or mode == "exact")


def test_each_way_is_told_by_its_taps() -> None:
    traced = trace([DILATED] * 3, 16, 15, "paper")
    assert traced.taps is not None
    assert traced.taps.tolist() == [list(way) for way in product(range(9), repeat=3)]
    for way, point in zip(traced.taps.tolist(), traced.points.tolist(), strict=True):
        steps = [divmod(k, 3) for k in way]
        assert point == [
            16 + sum(2 * i - 2 for i, _ in steps),
            15 + sum(2 * j - 2 for _, j in steps),
        ]


def test_at_the_border_the_other_taps_keep_their_indices() -> None:
    """The published script counts the taps that are left anew, and gives them others' offsets."""
    upper = Sampling.regular("upper", Kernel.of(3, padding=1), (6, 6))
    offset = torch.zeros(1, 9, 2, 6, 6)
    offset[0, :, 1] = torch.arange(9.0)[:, None, None] / 100  # a tap's own mark
    traced = trace([upper, layer(offset)], 0, 0, "paper")
    assert traced.taps is not None
    assert {way[0] for way in traced.taps.tolist()} == {4, 5, 7, 8}
    for way, (y, x) in zip(traced.taps.tolist(), traced.points.tolist(), strict=True):
        (i, j), (u, v) = divmod(way[0], 3), divmod(way[1], 3)
        assert y == i - 1 + u - 1
        assert x == pytest.approx(j - 1 + v - 1 + way[1] / 100)


# Two random layers, each mode as loops.


def stacked(seed: int = 0, masked: bool = True, sigma: float = 1.0) -> list[Sampling]:
    """Two layers of 7 x 6 positions with two offset groups; the upper one has stride 2."""
    lower = layer(sigma * normal(2, 9, 2, 14, 12, seed=seed), name="lower")
    kernel = Kernel.of((2, 3), stride=(2, 2), padding=(1, 1))
    h, w = kernel.output_size((14, 12))
    offset = sigma * normal(2, 6, 2, h, w, seed=seed + 1)
    upper = Sampling("upper", (14, 12), (h, w), kernel, offset)
    if not masked:
        return [upper, lower]
    return [
        replace(s, mask=uniform(*s.offset[:, :, 0].shape, seed=seed + i + 2))
        for i, s in enumerate((upper, lower))
    ]


def corners(y: float, x: float, size: tuple[int, int]) -> list[tuple[int, int, float]]:
    found = []
    top, left = math.floor(y), math.floor(x)
    for row, column in product((top, top + 1), (left, left + 1)):
        weight = (1 - abs(y - row)) * (1 - abs(x - column))
        if weight > 0 and 0 <= row < size[0] and 0 <= column < size[1]:
            found.append((row, column, weight))
    return found


Way = tuple[float, float, float]
"""y, x, weight."""


def read(s: Sampling, y: int, x: int) -> list[Way]:
    """All taps of all groups of one unit, with their masks."""
    assert s.mask is not None
    return [
        (*point, s.mask[group, k, y, x].item())
        for group in range(s.groups)
        for k, (_, point) in enumerate(points_of(s, group, y, x))
    ]


def nearest(s: Sampling, y: float, x: float) -> list[Way]:
    row, column = round(y), round(x)
    if not (0 <= row < s.output_size[0] and 0 <= column < s.output_size[1]):
        return []
    return read(s, row, column)


def interpolated(s: Sampling, y: float, x: float) -> list[Way]:
    """Offsets and masks of the units around, by their weights; the grid goes with the point."""
    around = corners(y, x, s.output_size)
    inside = sum(weight for *_, weight in around)
    ways = []
    for n, (group, k) in enumerate(product(range(s.groups), range(s.taps))):
        i, j = divmod(k, s.kernel.size[1])
        point = [
            y * s.kernel.stride[0] - s.kernel.padding[0] + i * s.kernel.dilation[0],
            x * s.kernel.stride[1] - s.kernel.padding[1] + j * s.kernel.dilation[1],
        ]
        mask = 0.0
        for row, column, weight in around:
            for axis in (0, 1):
                point[axis] += weight / inside * s.offset[group, k, axis, row, column].item()
            mask += weight * read(s, row, column)[n][2]
        if around:
            ways.append((point[0], point[1], mask))
    return ways


def split(s: Sampling, y: float, x: float) -> list[Way]:
    return [
        (to_y, to_x, weight * mask)
        for row, column, weight in corners(y, x, s.output_size)
        for to_y, to_x, mask in read(s, row, column)
    ]


def heat(ways: list[Way], size: tuple[int, int]) -> Tensor:
    total = torch.zeros(size, dtype=torch.float64)
    for y, x, weight in ways:
        for row, column, part in corners(y, x, size):
            total[row, column] += weight * part
    return total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("position", [(0, 0), (3, 2), (7, 5)], ids=str)
def test_exact_is_every_way_by_its_weight(position: tuple[int, int], seed: int) -> None:
    upper, lower = stacked(seed)
    ways = [
        (y, x, before * weight)
        for a, b, before in read(upper, *position)
        for y, x, weight in split(lower, a, b)
    ]
    traced = trace([upper, lower], *position)
    torch.testing.assert_close(traced.levels[-1].heat(), heat(ways, (14, 12)))
    first = heat(read(upper, *position), (14, 12))
    torch.testing.assert_close(traced.levels[0].heat(), first)
    assert (traced.points == traced.points.round()).all()
    assert len(traced.points.unique(dim=0)) == len(traced.points)


FOLLOWED: list[tuple[Mode, Callable[[Sampling, float, float], list[Way]]]] = [
    ("paper", nearest),
    ("interp", interpolated),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("position", [(0, 0), (3, 2), (7, 5)], ids=str)
@pytest.mark.parametrize(("mode", "step"), FOLLOWED)
def test_paper_and_interp_follow_each_way(
    mode: Mode, step: Callable[..., list[Way]], position: tuple[int, int], seed: int
) -> None:
    upper, lower = stacked(seed)
    expected = []
    for a, b, before in read(upper, *position):
        for y, x, weight in step(lower, a, b):
            around = corners(y, x, (14, 12))
            if mode == "paper" and 0 <= round(y) < 14 and 0 <= round(x) < 12:
                expected.append((y, x, before * weight))
            elif mode == "interp" and around:
                expected.append((y, x, before * weight * sum(part for *_, part in around)))
    traced = trace([upper, lower], *position, mode)
    found = torch.cat((traced.points, traced.weights[:, None]), dim=1)
    assert 20 < len(expected) <= 216
    assert len(expected) < 216 or position == (3, 2)  # some are off the map
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


# The gradient of a real stack.


def gradient(layers: list[Sampling], y: int, x: int) -> Tensor:
    """Of the mean of the top unit's channels, by the lowest map's pixels, channels added up."""
    lowest = layers[-1]
    channels = 1 if lowest.input is None else lowest.input.shape[0]
    image = torch.zeros(1, channels, *lowest.input_size, dtype=torch.float64)
    image.requires_grad_(True)
    values = image
    for s in reversed(layers):
        assert s.weight is not None
        mask = None if s.mask is None else s.mask.flatten(0, 1)[None]
        values = deform_conv2d(
            values, s.offset.flatten(0, 2)[None], s.weight, None,
            s.kernel.stride, s.kernel.padding, s.kernel.dilation, mask,
        )  # fmt: skip
    values[0, :, y, x].mean().backward()
    assert image.grad is not None
    return image.grad[0].sum(0)


@pytest.mark.parametrize("masked", [False, True], ids=["v1", "v2"])
@pytest.mark.parametrize("sigma", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("position", [(0, 0), (5, 4), (6, 6)], ids=str)
def test_exact_weights_are_the_gradient_of_torchvisions_layers(
    position: tuple[int, int], sigma: float, masked: bool
) -> None:
    """Three layers of one channel, and kernels that are not negative."""
    kernels = [
        Kernel.of((3, 3), stride=2, padding=1),
        Kernel.of((5, 3), padding=(2, 2), dilation=(1, 2)),
        Kernel.of((3, 3), padding=2, dilation=2),
    ]
    layers, size = [], (14, 14)
    for seed, kernel in reversed(list(enumerate(kernels))):
        shape = kernel.output_size(size)
        layers.insert(0, Sampling(
            f"layer {seed}", size, shape, kernel,
            sigma * normal(1, kernel.taps, 2, *shape, seed=seed),
            mask=uniform(1, kernel.taps, *shape, seed=seed) if masked else None,
            weight=uniform(1, 1, *kernel.size, seed=seed + 9),
        ))  # fmt: skip
        size = shape
    traced = trace(layers, *position, follow="kernel")
    expected = gradient(layers, *position)
    assert expected.count_nonzero() > 20
    torch.testing.assert_close(traced.levels[-1].heat(), expected, rtol=1e-10, atol=1e-14)
    assert traced.weights.sum().item() == pytest.approx(expected.sum().item())


def many_channels(seed: int, groups: int) -> Sampling:
    """Four channels to four in two offset groups; every output has the same kernel."""
    each = uniform(1, 4 // groups, 3, 3, seed=seed)
    return layer(
        normal(2, 9, 2, 8, 8, seed=seed),
        mask=uniform(2, 9, 8, 8, seed=seed),
        weight=each.repeat(4, 1, 1, 1),
        input=torch.zeros(4, 8, 8),
    )


@pytest.mark.parametrize(("layers", "groups"), [(1, 1), (2, 1), (1, 2), (1, 4)])
def test_a_taps_strength_is_the_sum_over_its_groups_channels(layers: int, groups: int) -> None:
    """Where all outputs are alike: in groups they are not, so that those are a single layer."""
    stack = [many_channels(seed, groups) for seed in range(layers)]
    traced = trace(stack, 4, 3, follow="kernel")
    torch.testing.assert_close(traced.levels[-1].heat(), gradient(stack, 4, 3))


@given(seed=st.integers(0, 200), dy=st.floats(-1, 1), sigma=st.floats(0, 0.9))
def test_normalised_kernels_inside_the_map_share_out_one(
    seed: int, dy: float, sigma: float
) -> None:
    weight = uniform(1, 1, 3, 3, seed=seed)
    offset = (dy + sigma * normal(1, 9, 2, 31, 31, seed=seed)).clamp(-2, 2)
    s = layer(offset, weight=weight / weight.sum())
    traced = trace([s, s, s, s], 15, 15, follow="kernel")
    assert traced.weights.sum().item() == pytest.approx(1, abs=1e-12)
    assert (traced.weights > 0).all()
    for level in traced.levels:
        assert level.weights.sum().item() == pytest.approx(1, abs=1e-12)


def test_what_is_followed() -> None:
    weight, mask = -uniform(2, 1, 3, 3), uniform(1, 9, 8, 8)
    s = layer(torch.zeros(1, 9, 2, 8, 8), weight=weight, mask=mask)
    expected = {
        "taps": torch.ones(9, dtype=torch.float64),
        "mask": mask[0, :, 3, 4],
        "kernel": mask[0, :, 3, 4] * weight.abs().mean(0).flatten(),
    }
    for mode in MODES:
        for follow, weights in expected.items():
            found = trace([s], 3, 4, mode, follow=follow)  # type: ignore[arg-type]
            torch.testing.assert_close(found.weights, weights)


def test_a_kernel_that_is_chosen_by_region() -> None:
    region = (torch.arange(8) % 2).expand(8, 8)
    weight = uniform(2, 3, 1, 3, 3)
    s = layer(torch.zeros(1, 9, 2, 8, 8), weight=weight, region=region)
    for x in (4, 5):
        found = trace([s], 3, x, follow="kernel")
        torch.testing.assert_close(found.weights, weight[x % 2].mean(0).flatten())


@pytest.mark.parametrize("mode", MODES)
def test_one_group_is_followed_where_asked(mode: Mode) -> None:
    layers = stacked()
    alone = [
        replace(s, offset=s.offset[1:], mask=s.mask[1:])  # type: ignore[index]
        for s in layers
    ]
    found, expected = trace(layers, 3, 2, mode, group=1), trace(alone, 3, 2, mode)
    torch.testing.assert_close(found.points, expected.points)
    torch.testing.assert_close(found.weights, expected.weights)
    if found.taps is not None and expected.taps is not None:
        assert (found.taps == expected.taps + torch.tensor([6, 9])).all()
    mixed = trace(layers, 3, 2, mode, group=[1, None])
    torch.testing.assert_close(mixed.levels[0].points, expected.levels[0].points)
    assert len(mixed.points) > len(found.points)


@pytest.mark.parametrize("mode", MODES)
def test_both_groups_together_are_their_sum(mode: Mode) -> None:
    layers = stacked()
    parts = [trace(layers, 3, 2, mode, group=[a, b]) for a in (0, 1) for b in (0, 1)]
    total = sum(part.levels[-1].heat() for part in parts)
    torch.testing.assert_close(trace(layers, 3, 2, mode).levels[-1].heat(), total)


@pytest.mark.parametrize("mode", ["interp", "paper"])
def test_merging_keeps_places_and_weights(mode: Mode) -> None:
    halves = (2 * normal(1, 9, 2, 14, 12, seed=8)).round() / 2
    layers = [layer(halves, mask=uniform(1, 9, 14, 12))] * 3
    apart, merged = trace(layers, 6, 5, mode), trace(layers, 6, 5, mode, merge=True)
    assert len(merged.points.unique(dim=0)) == len(merged.points) < len(apart.points)
    torch.testing.assert_close(merged.levels[-1].heat(), apart.levels[-1].heat())


# Where the maps lie.


@pytest.mark.parametrize("mode", MODES)
def test_points_lie_on_the_image(mode: Mode) -> None:
    s = layer(0.3 * normal(1, 9, 2, 8, 8), image_map=ImageMap.of_stride(4))
    traced = trace([s], 3, 4, mode)
    level = traced.levels[0]
    torch.testing.assert_close(traced.points, (level.points + 0.5) * 4 - 0.5)


@pytest.mark.parametrize("mode", MODES)
def test_layers_of_other_sizes_meet_on_the_image(mode: Mode) -> None:
    """Four pixels of the lower map to one of the upper: pixel 3 lies at 13.5, between 13 and 14."""
    upper = Sampling.regular("upper", Kernel.of(1), (8, 8), image_map=ImageMap.of_stride(16))
    lower = Sampling.regular("lower", Kernel.of(1), (32, 32), image_map=ImageMap.of_stride(4))
    traced = trace([upper, lower], 3, 5, mode)
    expected = {
        "exact": [[13, 21], [13, 22], [14, 21], [14, 22]],
        "interp": [[13.5, 21.5]],
        "paper": [[14, 22]],  # round half to even, as numpy and the published script do
    }
    assert traced.levels[-1].points.tolist() == expected[mode]
    assert traced.weights.sum() == 1
    if mode != "paper":
        middle = (traced.points * traced.weights[:, None]).sum(0)
        torch.testing.assert_close(
            middle, upper.image_map.to_image(torch.tensor([3.0, 5.0]).double())
        )


def test_a_strided_layer_is_met_at_its_kernels_centre() -> None:
    """Unit 2 of stride 2 and padding 1 is centred at 4 of its input."""
    upper = Sampling.regular("upper", Kernel.of(1), (9, 9))  # as large as the lower one's input
    kernel = Kernel.of(3, stride=2, padding=1)
    lower = Sampling.regular("lower", kernel, (9, 9))
    traced = trace([upper, lower], 4, 6, "interp")
    assert places(traced) == {(4 + i, 6 + j): 1.0 for i, j in product((-1, 0, 1), repeat=2)}


def test_base_points_that_are_no_grid() -> None:
    s = random_layer((3, 3), reference=True)
    found = trace([s], 2, 3, "interp", group=1)
    expected = [
        point
        for _, point in points_of(s, 1, 2, 3)
        if -1 < point[0] < s.input_size[0] and -1 < point[1] < s.input_size[1]
    ]
    assert 0 < len(expected) < 9
    torch.testing.assert_close(found.points, torch.tensor(expected, dtype=torch.float64))


# What is not there, and what is too much.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_dropped_alone(mode: Mode, bad: float) -> None:
    offset, mask = torch.zeros(1, 9, 2, 8, 8), torch.ones(1, 9, 8, 8)
    offset[0, 1, 0, 3, 4] = bad
    mask[0, 8, 3, 4] = bad
    traced = trace([layer(offset, mask=mask)], 3, 4, mode)
    assert len(traced.points) == 7
    assert traced.weights.tolist() == [1.0] * 7
    below = trace([layer(torch.zeros(1, 9, 2, 8, 8)), layer(offset, mask=mask)], 3, 4, mode)
    assert below.weights.sum() == 81 - 2


@pytest.mark.parametrize("mode", MODES)
def test_a_unit_that_reads_nothing_has_no_points(mode: Mode) -> None:
    far = layer(torch.full((1, 9, 2, 8, 8), 99.0))
    traced = trace([far, far, far], 3, 4, mode)
    assert traced.points.shape == (0, 2)
    assert traced.weights.shape == (0,)


@pytest.mark.parametrize("mode", ["interp", "paper"])
def test_too_many_points_are_refused(mode: Mode) -> None:
    with pytest.raises(ValueError, match="'res5' would make 729 points, more than 728"):
        trace([DILATED] * 3, 16, 15, mode, limit=728)
    assert len(trace([DILATED] * 3, 16, 15, mode, limit=729).points) == 729
    with pytest.raises(ValueError, match="more than 1048576"):
        trace([DILATED] * 9, 16, 15, mode)
    assert len(trace([DILATED] * 9, 16, 15, mode, merge=True).points) == 17 * 15


def test_exact_needs_no_more_than_the_maps() -> None:
    """9^12 ways, more than 10^11."""
    traced = trace([DILATED] * 12, 16, 15)
    assert len(traced.points) == 17 * 15  # every second row and column
    assert traced.weights.sum() < 9.0**12  # some left the map


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: trace([], 0, 0), "no layer to trace"),
        (lambda s: trace([s], 99, 0), "outside the 8 x 8 output"),
        (lambda s: trace([s], 0, 0, "fast"), "mode must be one of .*'exact'"),
        (lambda s: trace([s], 0, 0, follow="all"), "follow must be one of .*'taps'"),
        (lambda s: trace([s], 0, 0, group=2), "group 2 is not one of the 2 groups of 'a layer'"),
        (lambda s: trace([s], 0, 0, group=[0, 1]), "group has 2 entries, one for each of 1 layers"),
        (
            lambda s: trace([replace(s, weight=torch.ones(1, 3, 3, 3))], 0, 0, follow="kernel"),
            "9 taps and 3 input channels, which do not fit 9 taps in 2 offset groups",
        ),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(layer(normal(2, 9, 2, 8, 8)))
