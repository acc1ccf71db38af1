"""The terms of one output value against torchvision's output and against sums by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz import Kernel, Sampling
from deformviz.analysis import recompute, terms_at
from deformviz.operators import (
    DeformConv2d,
    DRConv2d,
    conv2d_sampling,
    dr_conv2d_sampling,
    spatial_shift_sampling,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def torchvision_sampling(
    channels: int = 6,
    outputs: int = 6,
    groups: int = 1,
    offset_groups: int = 1,
    masked: bool = True,
    biased: bool = True,
    sigma: float = 2.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Sampling:
    """A record put together here by torchvision's channel rule, with torchvision's output."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)

    kernel = Kernel.of((3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2))
    h, w = 3, 8  # of a 6 x 6 map: (6 + 2 - 3) // 2 + 1 and (6 + 4 - 3) + 1
    taps = 6
    x, weight = normal(1, channels, 6, 6), normal(outputs, channels // groups, 3, 2)
    bias = normal(outputs) if biased else None
    offset = sigma * normal(1, 2 * offset_groups * taps, h, w)
    mask = normal(1, offset_groups * taps, h, w) if masked else None
    output = torchvision_deform_conv2d(x, offset, weight, bias, (2, 1), (1, 2), (1, 2), mask)
    by_tap = torch.zeros(offset_groups, taps, 2, h, w, dtype=dtype)
    for group in range(offset_groups):
        for k in range(taps):
            by_tap[group, k, 0] = offset[0, 2 * (group * taps + k)]
            by_tap[group, k, 1] = offset[0, 2 * (group * taps + k) + 1]
    return Sampling(
        "torchvision", (6, 6), (h, w), kernel, by_tap,
        mask=None if mask is None else mask[0].reshape(offset_groups, taps, h, w),
        input=x[0], output=output[0], weight=weight, bias=bias,
    )  # fmt: skip


def everywhere(s: Sampling) -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(s.output_size[0]), torch.arange(s.output_size[1]))


def assert_adds_up(s: Sampling, tolerance: float) -> None:
    """Every output value, by `recompute` and by `terms_at`, is the record's own output."""
    assert s.output is not None
    positions = everywhere(s)
    expected = s.output.flatten(1).T.double()
    torch.testing.assert_close(recompute(s, positions), expected, rtol=0, atol=tolerance)
    for y, x in positions[:: max(1, len(positions) // 7)].tolist():
        for channel in range(s.output.shape[0]):
            terms = terms_at(s, y, x, channel)
            assert terms.output == s.output[channel, y, x].item()
            assert abs(terms.total - terms.output) < tolerance
            assert terms.difference is not None
            assert terms.difference < tolerance


@given(
    groups=st.sampled_from([1, 2, 3]),
    offset_groups=st.sampled_from([1, 2, 6]),
    masked=st.booleans(),
    biased=st.booleans(),
    sigma=st.sampled_from([0.0, 0.5, 5.0]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_the_terms_add_up_to_torchvisions_output(
    groups: int, offset_groups: int, masked: bool, biased: bool, sigma: float, seed: int
) -> None:
    s = torchvision_sampling(6, 6, groups, offset_groups, masked, biased, sigma, seed)
    assert_adds_up(s, 1e-12)


def test_a_wrong_output_is_noticed() -> None:
    s = torchvision_sampling()
    assert s.output is not None
    output = s.output.clone()
    output[2, 1, 3] += 1e-3
    assert terms_at(replace(s, output=output), 1, 3, 2).difference == pytest.approx(1e-3)


def test_float32_differs_by_rounding_alone() -> None:
    assert_adds_up(torchvision_sampling(dtype=torch.float32), 1e-4)


def test_the_terms_of_a_convolution_are_its_patch_times_its_kernel() -> None:
    x = torch.randn(1, 4, 5, 6, dtype=torch.float64)
    weight = torch.randn(6, 2, 3, 3, dtype=torch.float64)
    s = conv2d_sampling(x, weight, padding=1, groups=2)
    patch = F.unfold(x, 3, padding=1)[0].reshape(4, 9, 5, 6)
    terms = terms_at(s, 2, 4, channel=5)  # the second group: input channels 2 and 3
    assert terms.channels.tolist() == [2, 3]
    torch.testing.assert_close(terms.values, patch[2:, :, 2, 4])
    torch.testing.assert_close(terms.weights, weight[5].flatten(1))
    torch.testing.assert_close(terms.products, patch[2:, :, 2, 4] * weight[5].flatten(1))
    assert torch.equal(terms.mask, torch.ones(2, 9, dtype=torch.float64))
    assert terms.bias == 0
    torch.testing.assert_close(terms.points, terms.base)


@pytest.mark.parametrize("groups", [1, 2])
def test_the_terms_of_a_region_use_its_own_filter(groups: int) -> None:
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    weight = torch.randn(2, 3, 6, 4 // groups, 3, 3, dtype=torch.float64)
    guide = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    s = dr_conv2d_sampling(x, weight, guide, padding=1, index=1)
    per_region = [F.conv2d(x[1], weight[1, t], None, padding=1, groups=groups) for t in range(3)]
    chosen = guide[1].argmax(0)
    output = torch.stack(per_region).gather(0, chosen.expand(1, 6, 5, 6))[0]
    assert chosen.unique().tolist() == [0, 1, 2]
    assert_adds_up(replace(s, output=output), 1e-12)
    terms = terms_at(s, 3, 2, 4)
    torch.testing.assert_close(terms.weights, weight[1, chosen[3, 2], 4].flatten(1))


def test_the_terms_of_a_shift_are_one_pixel_each() -> None:
    x = torch.randn(1, 4, 5, 6, dtype=torch.float64)
    s = spatial_shift_sampling(x, [(1, 0), (0, -2)])
    terms = terms_at(s, 2, 3, channel=3)
    assert terms.channels.tolist() == [3]
    assert terms.points.tolist() == [[[2, 5]]]
    assert terms.products.tolist() == [[x[0, 3, 2, 5].item()]]


def test_neighbours_and_their_weights_by_hand() -> None:
    """A point a quarter down and three quarters across from pixel (1, 2)."""
    offset = torch.tensor([0.25, 0.75], dtype=torch.float64).reshape(1, 1, 2, 1, 1)
    offset = offset.expand(1, 1, 2, 3, 4)
    x = torch.randn(1, 3, 4, dtype=torch.float64)
    s = Sampling("point", (3, 4), (3, 4), Kernel((1, 1)), offset, input=x)
    terms = terms_at(s, 1, 2)
    assert terms.neighbours.tolist() == [[[[1, 2], [1, 3], [2, 2], [2, 3]]]]
    shares = [0.75 * 0.25, 0.75 * 0.75, 0.25 * 0.25, 0.25 * 0.75]
    assert terms.neighbour_weights.tolist() == [[shares]]
    pixels = [x[0, 1, 2], x[0, 1, 3], x[0, 2, 2], x[0, 2, 3]]
    by_hand = sum(share * float(p) for share, p in zip(shares, pixels, strict=True))
    assert terms.total == pytest.approx(by_hand, abs=1e-12)
    assert terms.output is None
    assert terms.difference is None


@given(st.floats(-3, 8), st.floats(-3, 8))
@settings(max_examples=150, deadline=None)
def test_neighbour_weights_sum_to_one_inside_and_fade_to_zero_outside(y: float, x: float) -> None:
    offset = torch.tensor([y, x], dtype=torch.float64).reshape(1, 1, 2, 1, 1)
    offset = offset.expand(1, 1, 2, 5, 6)
    image = torch.ones(1, 5, 6, dtype=torch.float64)
    terms = terms_at(Sampling("p", (5, 6), (5, 6), Kernel((1, 1)), offset, input=image), 0, 0)

    def inside(at: float, size: int) -> float:
        return min(max(1 + at, 0), 1) * min(max(size - at, 0), 1)

    expected = inside(y, 5) * inside(x, 6)
    assert terms.neighbour_weights.sum().item() == pytest.approx(expected, abs=1e-12)
    assert terms.total == pytest.approx(expected, abs=1e-12)
    if 0 <= y <= 4 and 0 <= x <= 5:
        assert terms.neighbour_weights.sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan], ids=str)
def test_a_point_that_is_not_finite_adds_nothing(value: float) -> None:
    s = torchvision_sampling(biased=False, sigma=0.5)
    offset = s.offset.clone()
    offset[:, 2, 1] = value
    assert s.mask is not None
    silent = s.mask.clone()
    silent[:, 2] = 0
    positions = everywhere(s)
    expected = recompute(replace(s, mask=silent), positions)
    got = recompute(replace(s, offset=offset), positions)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    assert terms_at(replace(s, offset=offset), 1, 4).values[:, 2].abs().max() == 0


@pytest.mark.parametrize("value", [math.inf, math.nan], ids=str)
def test_a_point_outside_adds_nothing_of_a_broken_edge_pixel(value: float) -> None:
    image = torch.rand(1, 6, 6, dtype=torch.float64)
    image[0, 0, 0] = value
    offset = torch.full((1, 1, 2, 6, 6), -50.0, dtype=torch.float64)
    s = Sampling("far away", (6, 6), (6, 6), Kernel((1, 1)), offset, input=image)
    assert terms_at(s, 3, 3).total == 0
    assert recompute(s, everywhere(s)).abs().max() == 0


def test_base_points_of_ones_own() -> None:
    """Points that form no grid, against a reading by grid_sample on the same points."""
    reference = torch.rand(1, 5, 2, 4, 1, dtype=torch.float64) * 5
    offset = torch.randn(1, 5, 2, 4, 1, dtype=torch.float64)
    mask = torch.rand(1, 5, 4, 1, dtype=torch.float64)
    x = torch.randn(3, 6, 7, dtype=torch.float64)
    s = Sampling("attention", (6, 7), (4, 1), Kernel((1, 1)), offset, reference, mask, input=x)
    points = (reference + offset)[0].permute(2, 3, 0, 1)[:, 0]  # [4, 5, 2]
    grid = points.flip(-1) * 2 / torch.tensor([6, 5]) - 1  # (x, y) over the pixel centres
    read = F.grid_sample(x[None], grid[None], align_corners=True)[0]  # [3, 4, 5]
    expected = (read * mask[0, :, :, 0].T).sum(-1).T  # [4, 3]
    torch.testing.assert_close(recompute(s, everywhere(s)), expected, rtol=0, atol=1e-12)
    for query in range(4):
        for channel in range(3):
            total = terms_at(s, query, 0, channel).total
            assert total == pytest.approx(expected[query, channel].item(), abs=1e-12)


@pytest.mark.parametrize("autocast", [False, True], ids=["bfloat16 model", "autocast"])
def test_half_precision_adds_up_on_a_wide_map(autocast: bool) -> None:
    """The layer computes its points in float32, so the terms must, too, far from the origin."""
    layer = DeformConv2d(2, 2, 3, padding=1)
    nn.init.normal_(layer.offset_conv.weight, std=0.5)
    x = torch.rand(1, 2, 3, 600)
    if autocast:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            s = layer.sampling(x)
    else:
        s = layer.bfloat16().sampling(x.bfloat16())
    assert s.output is not None
    assert s.offset.dtype == torch.bfloat16
    positions = torch.tensor([[1, 9], [0, 301], [2, 555]])
    for (y, column), expected in zip(positions.tolist(), recompute(s, positions), strict=True):
        assert terms_at(s, y, column, 1).total == pytest.approx(expected[1].item(), abs=1e-6)
        assert terms_at(s, y, column, 1).difference < (1e-5 if autocast else 1e-2)


@pytest.mark.parametrize("position", [(-1, 0), (0, -1), (5, 0), (0, 6)], ids=str)
@pytest.mark.parametrize("kind", ["convolution", "regions"])
def test_a_position_outside_the_output_is_refused(kind: str, position: tuple[int, int]) -> None:
    x = torch.randn(1, 2, 5, 6)
    if kind == "regions":
        s = DRConv2d(2, 2, 3, regions=2, padding=1).sampling(x)
    else:
        s = conv2d_sampling(x, torch.randn(2, 2, 3, 3), padding=1)
    with pytest.raises(ValueError, match="is outside the 5 x 6 output"):
        terms_at(s, *position)


@pytest.mark.parametrize("channel", [-1, 6])
def test_a_channel_that_is_not_there_is_refused(channel: int) -> None:
    with pytest.raises(ValueError, match=f"channel {channel} is not one of the 6 output channels"):
        terms_at(torchvision_sampling(), 0, 0, channel)


def test_a_record_without_its_input_is_refused_by_name() -> None:
    s = replace(torchvision_sampling(), input=None)
    with pytest.raises(ValueError, match="'torchvision' does not hold the map"):
        terms_at(s, 0, 0)
    with pytest.raises(ValueError, match="'torchvision' does not hold the map"):
        recompute(s, everywhere(s))
