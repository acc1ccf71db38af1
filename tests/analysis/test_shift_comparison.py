"""The comparison of the five shifts against the numbers that were published with it."""

from __future__ import annotations

from importlib import import_module
from typing import get_args

import pytest
import torch

from deformviz.analysis import compare_strategies, published_tensor
from deformviz.analysis.shift_comparison import PUBLISHED_SHIFTS
from deformviz.operators.spatial_shift import BORDERS, Border, Strategy

BRIEF = 1e-6  # seconds of timing: one call is enough here


def test_the_published_tensor() -> None:
    x = published_tensor()
    assert x.shape == (1, 8, 5, 5)
    assert x[0, 0].tolist() == [[float(y)] * 5 for y in range(5)]
    assert x[0, 1].tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0]] * 5
    for channel in range(2, 8):
        assert torch.equal(x[0, channel], x[0, channel - 2])


def test_the_published_result() -> None:
    """Four are equal to slicing; grid_sample is off by one rounding, 1.19e-7."""
    results = compare_strategies(published_tensor(), PUBLISHED_SHIFTS, "replicate", BRIEF)
    differences = {r.strategy: r.difference for r in results}
    assert list(differences) == ["slice", "roll", "deform_conv2d", "depthwise", "grid_sample"]
    assert differences.pop("grid_sample") == pytest.approx(2**-23)
    assert set(differences.values()) == {0.0}


def test_the_published_slicing() -> None:
    x = published_tensor()
    expected = x.clone()
    expected[:, 0:2, 1:, :] = x[:, 0:2, :-1, :]
    expected[:, 2:4, :-1, :] = x[:, 2:4, 1:, :]
    expected[:, 4:6, :, 1:] = x[:, 4:6, :, :-1]
    expected[:, 6:8, :, :-1] = x[:, 6:8, :, 1:]
    sliced, *_ = compare_strategies(x, PUBLISHED_SHIFTS, "replicate", BRIEF)
    assert sliced.output is not None
    assert torch.equal(sliced.output, expected)


@pytest.mark.parametrize("border", get_args(Border))
def test_what_a_strategy_cannot_do_is_left_empty(border: Border) -> None:
    results = compare_strategies(published_tensor(), [(1, 1)], border, BRIEF)
    assert [r.strategy for r in results] == list(get_args(Strategy))
    for r in results:
        able = border in BORDERS[r.strategy]
        assert (r.output is not None) is able
        assert (r.difference is not None) is able
        assert (r.milliseconds is not None) is able
        if able:
            assert r.difference < 1e-5
            assert r.milliseconds > 0


def test_a_difference_is_the_largest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy that is made wrong at one pixel is off by as much as it is wrong there."""
    module = import_module("deformviz.operators.spatial_shift")  # the package has its function
    right = module._STRATEGIES["roll"]

    def wrong(x: torch.Tensor, per_channel: list[tuple[int, int]]) -> torch.Tensor:
        y = right(x, per_channel)
        y[0, 3, 2, 2] -= 0.5
        return y

    monkeypatch.setitem(module._STRATEGIES, "roll", wrong)
    results = compare_strategies(published_tensor(), PUBLISHED_SHIFTS, "circular", BRIEF)
    assert {r.strategy: r.difference for r in results}["roll"] == 0.5
