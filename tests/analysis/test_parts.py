"""The static and the adaptive part against numpy's means and deviations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_samplings import layer, normal

from deformviz.analysis import static_and_adaptive

SHIFTS = normal(2, 9, 2, 1, 1, seed=5) * 4


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_means_and_deviations_are_those_of_numpy(bad: float | None) -> None:
    offset = normal(2, 9, 2, 6, 7) + SHIFTS
    if bad is not None:
        offset[0, 2, 1, 3, 3] = offset[0, 2, 0, 4, 4] = offset[1, 8, :, 0, 0] = bad
    parts = static_and_adaptive(layer(offset))
    array = offset.numpy()
    there = np.isfinite(array).all(axis=2, keepdims=True)  # a vector counts as a whole
    known = np.ma.masked_array(array, ~np.broadcast_to(there, array.shape))
    mean = known.mean(axis=(3, 4))  # [G, K, 2]
    distance = ((known - mean[..., None, None]) ** 2).sum(axis=2)  # [G, K, h, w]
    np.testing.assert_allclose(parts.mean, mean)
    np.testing.assert_allclose(parts.spread, np.sqrt(distance.mean(axis=(2, 3))))
    np.testing.assert_allclose(parts.deviation, np.sqrt(distance.mean(axis=1)))
    np.testing.assert_allclose(parts.adaptive, np.sqrt(distance.mean(axis=(1, 2, 3))))
    length = np.sqrt((known**2).sum(axis=2).mean(axis=(1, 2, 3)))  # root mean square, [G]
    np.testing.assert_allclose(parts.norm, length)
    np.testing.assert_allclose(parts.static, np.sqrt(length**2 - parts.adaptive.numpy() ** 2))
    np.testing.assert_allclose(parts.share, (parts.adaptive.numpy() / length) ** 2)


@given(size=st.floats(0.01, 100), seed=st.integers(0, 50))
def test_a_shape_that_is_everywhere_has_no_adaptive_part(size: float, seed: int) -> None:
    shape = size * normal(1, 9, 2, 1, 1, seed=seed)
    parts = static_and_adaptive(layer(shape.expand(-1, -1, -1, 5, 5)))
    torch.testing.assert_close(parts.mean, shape[..., 0, 0])
    assert parts.adaptive.item() < 1e-12 * size
    assert parts.share.item() < 1e-20


def test_deviations_that_cancel_have_no_static_part() -> None:
    half = normal(1, 9, 2, 4, 3)
    parts = static_and_adaptive(layer(torch.cat((half, -half), dim=-1)))
    assert parts.static.item() < 1e-12
    assert parts.share.item() == pytest.approx(1)


def test_zero_offsets_have_no_share() -> None:
    parts = static_and_adaptive(layer(torch.zeros(1, 9, 2, 4, 4)))
    assert (parts.static.item(), parts.adaptive.item()) == (0, 0)
    assert parts.share.isnan().all()


def test_a_tap_that_is_nowhere_leaves_the_others_alone() -> None:
    offset = (normal(1, 9, 2, 1, 1) + normal(1, 1, 1, 4, 4, seed=1)).expand(-1, 9, 2, 4, 4).clone()
    known = static_and_adaptive(layer(offset[:, 1:], reference=torch.zeros(1, 8, 2, 4, 4)))
    offset[:, 0] = math.nan
    parts = static_and_adaptive(layer(offset))
    assert parts.mean[0, 0].isnan().all()
    torch.testing.assert_close(parts.static, known.static)
    torch.testing.assert_close(parts.adaptive, known.adaptive)
    torch.testing.assert_close(parts.deviation, known.deviation)
