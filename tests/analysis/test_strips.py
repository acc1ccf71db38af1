"""What all measures rest on: who is finite, how taps are counted, and what is left as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_samplings import layer, normal, uniform

from deformviz.analysis import effective_dilation, findings, outside_share, static_and_adaptive
from deformviz.analysis.strips import all_finite, count_taps, finite, finite_taps, measuring

BAD = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [(), *((one,) for one in BAD), (math.inf, -math.inf), BAD], ids=str)
def test_finite_taps_are_those_of_numpy(bad: tuple[float, ...], dtype: torch.dtype) -> None:
    offset = (1000 * normal(2, 9, 2, 5, 7)).to(dtype)
    for i, one in enumerate(bad):
        offset[i % 2, i, i % 2, 4 - i, i] = one
    expected = np.isfinite(offset.double().numpy())
    assert all_finite(offset) == (not bad)
    there = finite_taps(offset)
    assert (there is None) == (not bad)
    if there is not None:
        np.testing.assert_array_equal(there.numpy(), expected.all(axis=2))
    np.testing.assert_array_equal(finite(offset).double(), offset.double().numpy()[expected])


def test_numbers_whose_sum_is_too_large_are_still_finite() -> None:
    offset = torch.full((1, 4, 2, 3, 3), 1e308, dtype=torch.float64)
    assert not all_finite(offset)
    there = finite_taps(offset)
    assert there is not None
    assert there.all()
    assert finite(offset).shape == (72,)
    assert (outside_share(layer(offset, 2, input_size=(2, 2)))[0] == 1).all()


@pytest.mark.parametrize("taps", [1, 9, 255, 256, 600])
def test_taps_are_counted(taps: int) -> None:
    found = uniform(2, taps, 3, 4) < 0.99
    found[0, :, 0, 0], found[1, :, 1, 1] = True, False
    np.testing.assert_array_equal(count_taps(found), found.numpy().sum(axis=1))


def test_the_number_of_threads_and_gradients_are_as_they_were() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        seen = []
        with measuring(), measuring():
            seen.append((torch.get_num_threads(), torch.is_grad_enabled()))
        with pytest.raises(ZeroDivisionError), measuring():
            raise ZeroDivisionError
        findings(layer(normal(1, 9, 2, 8, 8)))
        static_and_adaptive(layer(normal(1, 9, 2, 8, 8)))
        seen.append((torch.get_num_threads(), torch.is_grad_enabled()))
        with pytest.raises(ValueError, match="none is adjacent"):
            effective_dilation(layer(normal(1, 4, 2, 5, 5), 3, reference=normal(1, 4, 2, 5, 5)))
        seen.append((torch.get_num_threads(), torch.is_grad_enabled()))
        assert seen == [(1, False), (3, True), (3, True)]
    finally:
        torch.set_num_threads(before)
