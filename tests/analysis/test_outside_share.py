"""Which taps read nothing, asked of torchvision's operator itself."""

from __future__ import annotations

import math

import pytest
import torch
from made_samplings import layer, normal, random_layer
from torchvision.ops import deform_conv2d

from deformviz import Kernel, Sampling
from deformviz.analysis import outside_share


def read_by_torchvision(s: Sampling, offset: torch.Tensor) -> torch.Tensor:
    """What each tap reads of a map of ones: [K, h, w], one output channel for each tap."""
    taps = s.kernel.taps
    ones = torch.ones(1, 1, *s.input_size, dtype=torch.float64)
    weight = torch.eye(taps, dtype=torch.float64).reshape(taps, 1, *s.kernel.size)
    flat = offset.reshape(1, 2 * taps, *s.output_size)
    return deform_conv2d(
        ones, flat, weight, None, s.kernel.stride, s.kernel.padding, s.kernel.dilation
    )[0]


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("size", [(3, 3), (2, 4), (1, 1)], ids=str)
def test_outside_is_where_torchvision_reads_nothing(size: tuple[int, int]) -> None:
    s = random_layer(size)
    outside, moved = outside_share(s)
    for group in range(2):
        nothing = read_by_torchvision(s, s.offset[group]) == 0
        before = read_by_torchvision(s, torch.zeros_like(s.offset[group])) == 0
        assert nothing.any()
        assert (nothing & before).any() or s.kernel.taps == 1
        torch.testing.assert_close(outside[group], nothing.double().mean(0))
        torch.testing.assert_close(moved[group], (nothing & ~before).double().mean(0))


@pytest.mark.parametrize(
    ("y", "nothing"), [(-1.0, True), (-0.999, False), (3.999, False), (4.0, True), (2.0, False)]
)
def test_the_map_fades_over_one_pixel(y: float, nothing: bool) -> None:
    offset = torch.zeros(1, 1, 2, 4, 4)
    offset[0, 0, 0, 0, 0] = y
    outside, moved = outside_share(layer(offset, 1))
    assert outside[0, 0, 0] == moved[0, 0, 0] == nothing
    assert outside.sum() == nothing


def test_padding_is_no_fault_of_the_offsets() -> None:
    kernel = Kernel.of(3, padding=1)
    outside, moved = outside_share(Sampling.regular("convolution", kernel, (8, 8)))
    # Along each axis 22 of the 24 taps lie on the map.
    assert outside.mean().item() == pytest.approx(1 - (22 / 24) ** 2)
    assert not moved.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nowhere_is_not_outside(bad: float) -> None:
    offset = normal(1, 1, 2, 5, 5) / 9
    offset[0, 0, 0, 2, 2] = bad
    assert not outside_share(layer(offset, 1))[0][0, 2, 2]
