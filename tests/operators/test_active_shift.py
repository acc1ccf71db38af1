"""Active Shift and CycleFC against torchvision's deform_conv2d and a loop."""

from __future__ import annotations

import math

import pytest
import reference
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz.operators import (
    ActiveShift2d,
    CycleFC,
    channel_shift,
    channel_shift_sampling,
    cycle_offsets,
)

Pair = tuple[int, int]

SHIFTS = {
    "fractions": [[0.3, -0.7], [1.5, 0.25], [-2.6, 3.1]],
    "integers": [[0.0, 0.0], [1.0, -2.0], [-3.0, 1.0]],
    "half out": [[-4.5, 0.0], [0.0, 5.5], [3.5, -0.5]],
    "far out": [[40.0, 0.0], [0.2, -1e6], [-1e30, 1e30]],
}
shift_sets = pytest.mark.parametrize("rows", list(SHIFTS.values()), ids=list(SHIFTS))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def torchvision_shift(x: Tensor, shift: Tensor) -> Tensor:
    """A 1 x 1 identity kernel for each channel and constant offsets, a group for each channel."""
    offset = shift.reshape(1, -1, 1, 1).expand(x.shape[0], -1, *x.shape[2:])
    return torchvision_deform_conv2d(x, offset.contiguous(), x.new_ones(x.shape[1], 1, 1, 1))


@shift_sets
@pytest.mark.parametrize("size", [(5, 6), (1, 4), (1, 1)], ids=str)
def test_equals_torchvision_and_the_loop(rows: list[list[float]], size: Pair) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    shift = torch.tensor(rows, dtype=torch.float64)
    got = channel_shift(x, shift)
    torch.testing.assert_close(got, torchvision_shift(x, shift), rtol=0, atol=1e-12)
    torch.testing.assert_close(got, reference.channel_shift(x, shift), rtol=0, atol=1e-12)


@shift_sets
def test_gradients_equal_torchvisions(rows: list[list[float]]) -> None:
    """At integers, too, where a derivative has two sides: the right one, as in torchvision."""
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    shift = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    expected, got = torchvision_shift(x, shift), channel_shift(x, shift)
    upstream = torch.randn_like(expected)
    for w, g in zip(
        torch.autograd.grad(expected, (x, shift), upstream),
        torch.autograd.grad(got, (x, shift), upstream),
        strict=True,
    ):
        torch.testing.assert_close(g, w, rtol=0, atol=1e-10)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan], ids=str)
def test_a_shift_that_is_not_finite_reads_zero(value: float) -> None:
    """As for a deformable convolution: a point that lies nowhere reads nothing."""
    x = torch.rand(1, 2, 3, 3, dtype=torch.float64)
    got = channel_shift(x, torch.tensor([[value, 0.0], [0.0, 1.0]], dtype=torch.float64))
    assert got[:, 0].abs().max() == 0
    torch.testing.assert_close(got[:, 1], F.pad(x[:, 1, :, 1:], (0, 1)), rtol=0, atol=0)


@pytest.mark.parametrize("stride", [1, 2, (1, 3)], ids=str)
@pytest.mark.parametrize("biased", [False, True], ids=["no bias", "bias"])
def test_active_shift_equals_torchvision_and_a_1x1_convolution(
    stride: int | Pair, biased: bool
) -> None:
    layer = ActiveShift2d(3, 5, stride, bias=biased, init_std=2).double()
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    shifted = torchvision_shift(x, layer.shift.detach())
    expected = F.conv2d(shifted, layer.conv.weight, layer.conv.bias, stride)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


def test_active_shift_learns_from_zero() -> None:
    layer = ActiveShift2d(3, 5, init_std=0)
    x = torch.randn(2, 3, 5, 6)
    torch.testing.assert_close(layer(x), layer.conv(x))
    layer(x).square().sum().backward()
    assert layer.shift.grad is not None
    assert (layer.shift.grad != 0).all()


def published_cycle_offset(channels: int, kernel: Pair) -> Tensor:
    """CycleMLP's rule as published, in torchvision's layout [1, 2C, 1, 1]."""
    kh, kw = kernel
    offset = torch.empty(1, 2 * channels, 1, 1)
    start = (kh * kw) // 2
    for i in range(channels):
        along_x = (i + start) % kw - kw // 2
        along_y = (i + start) % kh - kh // 2
        offset[0, 2 * i] = 0 if kh == 1 else along_y
        offset[0, 2 * i + 1] = along_x if kh == 1 else 0
    return offset


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (3, 1), (1, 7), (7, 1), (1, 4)], ids=str)
def test_cycle_fc_equals_torchvision_with_the_published_offsets(kernel: Pair, stride: int) -> None:
    layer = CycleFC(8, 6, kernel, stride).double()
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    expected_full = torchvision_deform_conv2d(
        x,
        published_cycle_offset(8, kernel).double().expand(2, -1, 5, 6).contiguous(),
        layer.conv.weight,
        layer.conv.bias,
    )
    expected = expected_full[:, :, ::stride, ::stride]
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


def test_cycle_fc_has_its_shift_fixed_and_in_its_state() -> None:
    layer = CycleFC(4, 4, (1, 3))
    assert set(dict(layer.named_parameters())) == {"conv.weight", "conv.bias"}
    assert layer.state_dict()["shift"].tolist() == [[0, 0], [0, 1], [0, -1], [0, 0]]


def test_a_cycle_along_both_axes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 x k or k x 1, got \(3, 3\)"):
        cycle_offsets(4, (3, 3))


@pytest.mark.parametrize("weighted", [False, True], ids=["shift alone", "with 1x1"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)], ids=str)
def test_the_record_holds_each_channels_own_point(weighted: bool, stride: Pair) -> None:
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    shift = torch.tensor(SHIFTS["fractions"], dtype=torch.float64)
    weight = torch.randn(4, 3, 1, 1, dtype=torch.float64) if weighted else None
    s = channel_shift_sampling(x, shift, weight, stride=stride, index=1)
    full = torchvision_shift(x, shift)[1:2]
    expected = full if weight is None else F.conv2d(full, weight)
    expected = expected[0, :, :: stride[0], :: stride[1]]
    torch.testing.assert_close(s.output, expected, rtol=0, atol=1e-12)
    for channel in range(3):
        for oy in range(s.output_size[0]):
            for ox in range(s.output_size[1]):
                dy, dx = shift[channel].tolist()
                point = s.points()[channel, 0, :, oy, ox].tolist()
                assert point == pytest.approx([oy * stride[0] + dy, ox * stride[1] + dx])


@pytest.mark.parametrize(
    ("x", "shift", "words"),
    [
        (torch.zeros(3, 5, 5), torch.zeros(3, 2), ["[B, C, H, W]", "[3, 5, 5]"]),
        (torch.zeros(1, 3, 5, 5), torch.zeros(4, 2), ["[C, 2]", "[4, 2]"]),
        (torch.zeros(1, 3, 5, 5), torch.zeros(2, 3), ["(dy, dx)", "[2, 3]"]),
    ],
    ids=["input 3-D", "a shift too many", "transposed"],
)
def test_errors_name_what_was_expected_and_what_came(
    x: Tensor, shift: Tensor, words: list[str]
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        channel_shift(x, shift)
    for word in words:
        assert word in str(caught.value)
