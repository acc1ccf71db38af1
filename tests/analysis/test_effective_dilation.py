"""Effective dilation against its definition, pair by pair, and against published numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_samplings import layer, moved_by, normal, points_of, random_layer, turned

from deformviz import Kernel, Sampling
from deformviz.analysis import effective_dilation

SIZES = [(3, 3), (5, 5), (2, 4), (1, 5), (4, 1)]


def by_pairs(s: Sampling, group: int, y: int, x: int) -> float:
    """The mean distance over all pairs of taps that differ by one step in one axis."""
    taps = points_of(s, group, y, x)
    places = [divmod(k, s.kernel.size[1]) for k in range(len(taps))]
    distances = [
        math.dist(taps[a][1], taps[b][1])
        for a, p in enumerate(places)
        for b, q in enumerate(places)
        if a < b and abs(p[0] - q[0]) + abs(p[1] - q[1]) == 1
    ]
    if s.kernel.size == (3, 3):
        assert len(distances) == 12
    return sum(distances) / len(distances)


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("reference", [False, True], ids=["grid", "reference"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_is_the_mean_over_adjacent_pairs(size: tuple[int, int], reference: bool) -> None:
    s = random_layer(size, reference=reference)
    found = effective_dilation(s)
    assert found.shape == (2, *s.output_size)
    assert found.dtype == torch.float64
    for group in range(2):
        for y in range(s.output_size[0]):
            for x in range(s.output_size[1]):
                expected = by_pairs(s, group, y, x)
                assert found[group, y, x].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [(3, 3), (5, 5), (3, 5), (1, 7), (7, 1)], ids=str)
@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_a_regular_kernel_has_its_own_dilation(size: tuple[int, int], dilation: int) -> None:
    kernel = Kernel.of(size, stride=2, padding=13, dilation=dilation)
    found = effective_dilation(Sampling.regular("convolution", kernel, (40, 50)))
    assert (found == dilation).all()


@pytest.mark.parametrize(
    ("size", "expected"), [((3, 3), 2.5), ((3, 1), 1.0), ((1, 3), 4.0), ((2, 3), 19 / 7)]
)
def test_unequal_dilations_are_averaged_over_pairs(size: tuple[int, int], expected: float) -> None:
    kernel = Kernel.of(size, dilation=(1, 4))  # of 2 x 3: three pairs of 1, four of 4
    found = effective_dilation(Sampling.regular("convolution", kernel, (20, 20)))
    torch.testing.assert_close(found, torch.full_like(found, expected))


@pytest.mark.parametrize(("sigma", "expected"), [(1, 2.58), (2, 3.96), (4, 7.31)])
def test_jitter_inflates_it_as_was_published(sigma: float, expected: float) -> None:
    kernel = Kernel.of(3, padding=2, dilation=2)
    offset = sigma * normal(1, 9, 2, 120, 120)
    found = effective_dilation(Sampling("jitter", (120, 120), (120, 120), kernel, offset))
    assert found.mean().item() == pytest.approx(expected, abs=0.02)


@given(dy=st.floats(-50, 50), dx=st.floats(-50, 50), seed=st.integers(0, 99))
def test_moving_all_taps_together_changes_nothing(dy: float, dx: float, seed: int) -> None:
    s = random_layer((3, 3), seed=seed)
    together = s.offset + torch.tensor([dy, dx], dtype=torch.float64)[:, None, None]
    moved = effective_dilation(replace(s, offset=together))
    torch.testing.assert_close(moved, effective_dilation(s), rtol=0, atol=1e-12)


@given(degrees=st.floats(-180, 180), times=st.floats(0, 10))
def test_turning_keeps_it_and_scaling_scales_it(degrees: float, times: float) -> None:
    found = effective_dilation(moved_by(turned(degrees, times)))
    torch.testing.assert_close(found, torch.full_like(found, times), rtol=1e-9, atol=1e-12)


def test_one_tap_has_no_neighbour() -> None:
    found = effective_dilation(layer(normal(2, 1, 2, 3, 3), 1))
    assert found.shape == (2, 3, 3)
    assert found.isnan().all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_tap_that_is_nowhere_spoils_its_own_position_alone(bad: float) -> None:
    offset = normal(1, 9, 2, 4, 4)
    offset[0, 5, 1, 2, 3] = bad
    found = effective_dilation(layer(offset))
    assert found[0, 2, 3].isnan()
    assert found.isfinite().sum() == 15


def test_half_precision_is_taken_at_its_word() -> None:
    half = normal(1, 9, 2, 40, 40).half()
    found = effective_dilation(layer(half))
    expected = effective_dilation(layer(half.double()))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_taps_that_are_no_grid_are_refused() -> None:
    kernel, offset = Kernel.of((1, 3)), normal(1, 4, 2, 5, 1)
    s = Sampling("attention", (9, 9), (5, 1), kernel, offset, reference=offset)
    with pytest.raises(ValueError, match="'attention' has 4 taps, which are no 1 x 3 grid"):
        effective_dilation(s)
