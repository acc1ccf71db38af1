"""The film's walk over the output, and what cannot be filmed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from film import GREY, made_up

from deformviz.figures import save_sweep
from deformviz.figures.sweep import sweep_frames, sweep_positions

SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (2, 7), (5, 5), (24, 17), (64, 1), (200, 333)]


# The walk


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frames", [2, 3, 48, 600])
def test_the_walk_is_the_formula_rounded_and_inside(size: tuple[int, int], frames: int) -> None:
    walk = sweep_positions(size, frames)
    assert len(walk) == frames
    assert all(type(v) is int for place in walk for v in place)
    t = 2 * np.pi * np.arange(frames) / frames
    exact = np.column_stack((1 + 0.9 * np.sin(2 * t), 1 - 0.9 * np.cos(3 * t)))
    exact *= (np.array(size) - 1) / 2
    assert np.abs(np.array(walk) - exact).max() <= 0.5 + 1e-6
    assert (np.array(walk) >= 0).all()
    assert (np.array(walk) < size).all()


@pytest.mark.parametrize("size", SIZES)
def test_the_walk_closes_without_a_jump(size: tuple[int, int]) -> None:
    walk = np.array(sweep_positions(size, 96))
    steps = np.abs(np.diff(np.concatenate((walk, walk[:1])), axis=0))
    # No faster than the curve, 0.9 (n - 1) / 2 times 2 and 3 a radian, and one for rounding.
    fastest = 0.9 * (np.array(size) - 1) / 2 * [2, 3] * 2 * np.pi / 96
    assert (steps <= fastest + 1).all()


@pytest.mark.parametrize("size", [(24, 17), (200, 333)])
def test_the_walk_goes_all_over_the_output(size: tuple[int, int]) -> None:
    walk = np.array(sweep_positions(size, 200))
    assert (walk.min(axis=0) <= 0.06 * np.array(size)).all()
    assert (walk.max(axis=0) >= 0.94 * np.array(size) - 1).all()
    thirds = {tuple(third) for third in (3 * walk // np.array(size)).tolist()}
    assert len(thirds) == 9


def test_a_half_goes_up_whatever_the_last_digit_of_its_sine() -> None:
    # sin 2t is zero at all of these, give or take 1e-16.
    assert [y for y, _ in sweep_positions((10, 10), 4)] == [5, 5, 5, 5]


# Requests that cannot be met

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"frames": 1}, r"frames must be a whole number from 2 to 600, got 1$"),
    ({"frames": 601}, r"frames must be a whole number from 2 to 600, got 601$"),
    ({"frames": 12.0}, r"frames must be a whole number from 2 to 600, got 12\.0$"),
    ({"frames": "12"}, r"frames must be a whole number from 2 to 600, got '12'$"),
    ({"side": 15}, r"side must be a whole number from 16 to 2048, got 15$"),
    ({"side": 2049}, r"side must be a whole number from 16 to 2048, got 2049$"),
    ({"side": None}, r"side must be a whole number from 16 to 2048, got None$"),
    ({"image": GREY / 255}, r"\[H, W, 3\] uint8, got float64 \[100, 100, 3\]$"),
    ({"image": GREY[..., 0]}, r"\[H, W, 3\] uint8, got uint8 \[100, 100\]$"),
    ({"image": GREY[..., :2]}, r"\[H, W, 3\] uint8, got uint8 \[100, 100, 2\]$"),
    ({"image": GREY[:0]}, r"\[H, W, 3\] uint8, got uint8 \[0, 100, 3\]$"),
    ({"image": GREY.tolist()}, r"\[H, W, 3\] uint8 or None, got a list$"),
    ({"image": torch.zeros(100, 100, 3)}, r"\[H, W, 3\] uint8 or None, got a Tensor$"),
    ({"image": GREY[:40]}, r"does not cover an image of \(40, 100\)"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[m for _, m in WRONG])
def test_a_request_that_cannot_be_met(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    s = made_up([[8.0, 9.0]] * 9)
    with pytest.raises(ValueError, match=message):
        sweep_frames(s, **arguments)
    with pytest.raises(ValueError, match=message):
        save_sweep(s, tmp_path / "a.gif", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0, -1.0, 0.19, 601, math.nan, math.inf, "6", None])
def test_seconds_out_of_range(seconds: Any, tmp_path: Path) -> None:
    message = "seconds must be a number from 0.2 to 600 for 10 frames, got "
    with pytest.raises(ValueError, match=message):
        save_sweep(made_up([[8.0, 9.0]] * 9), tmp_path / "a.gif", frames=10, seconds=seconds)
    assert not list(tmp_path.iterdir())
