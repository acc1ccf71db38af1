"""What is on the screen against what must be there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from seen import Seen, number, numbers
from truth import ROUNDING, Term, base_at, terms

from deformviz import Sampling


def assert_shows(
    seen: Seen,
    sampling: Sampling,
    y: int,
    x: int,
    *,
    output: int | None = 0,
    channel: int | None = None,
    points: np.ndarray | None = None,
    group: int = 0,
    slack: float = 0.0,
) -> None:
    """The dots and the formula are those of a position; the arguments are those of `terms`.

    Args:
        slack: of the total, where `points` themselves were read off the screen.
    """
    assert seen.position == (y, x)
    expected = terms(sampling, y, x, output, channel, points)
    assert_dots(seen, sampling, y, x, points, group)
    assert list(seen.rows) == list(expected.rows)
    for n, row in expected.rows.items():
        assert_row(seen.rows[n], row, _name(sampling, n))
    assert abs(seen.total - expected.total) <= 1.5e-6 + slack
    assert_near(seen.given, expected.given, 6)
    if points is None:
        assert "✓" in seen.line
        assert seen.difference == pytest.approx(abs(expected.total - expected.given), abs=2e-6)
    left = sampling.groups * sampling.taps - len(expected.rows)
    assert (f"{left} term" in seen.line) == (left > 0)


def assert_dots(
    seen: Seen,
    sampling: Sampling,
    y: int,
    x: int,
    points: np.ndarray | None = None,
    group: int = 0,
) -> None:
    """The dots on the image and in the kernel's panel are where a position reads.

    Of several offset groups, the image has one at a time. A point beyond the kernel's axes is held
    at their end.
    """
    base = base_at(sampling, y, x)
    offset = sampling.offset[..., y, x].double().reshape(-1, 2).numpy()
    moved = base + offset if points is None else points
    on_image = sampling.image_map.to_image(torch.from_numpy(moved)).numpy()
    own = range(len(moved))
    if sampling.taps > 1:
        own = range(group * sampling.taps, (group + 1) * sampling.taps)
    assert sorted(seen.image) == list(own)
    np.testing.assert_allclose(seen.points(), on_image[list(own)], atol=0.01)
    assert sorted(seen.kernel) == list(range(len(moved)))
    around = np.clip(moved - base.mean(axis=0), -seen.reach, seen.reach)
    np.testing.assert_allclose(seen.points("kernel"), around, atol=0.02)


def assert_row(cells: list[str], row: Term, name: str) -> None:
    """A row of the table: tap, base, offset, point, pixel and weights, x, m, w, product."""
    tap, base, offset, point, pixel, value, mask, weight, product = cells
    assert tap == name
    whole = bool((row.base % 1 == 0).all())
    for text, pair, digits in (
        (base, row.base, 0 if whole else 2),
        (offset, row.point - row.base, 2),
        (point, row.point, 2),
        (pixel, [*row.pixel, *row.shares], 2),
    ):
        found = numbers(text)
        assert len(found) == len(pair), text
        for one, other in zip(found, pair, strict=True):
            assert_near(one, other, digits)
    assert_near(number(mask), row.mask, 3)
    assert_near(number(product), row.product, 4)
    if row.channels == 1:
        assert_near(number(value), row.value, 4)
        assert_near(number(weight), row.weight, 4)
    else:
        assert (value, weight) == (f"{row.channels} channels", "Σ")


def assert_near(shown: float, expected: float, digits: int) -> None:
    """A number as it is written with so many digits."""
    assert abs(shown - expected) <= 0.5 * 10.0**-digits + min(ROUNDING, 10.0**-digits)


def _name(sampling: Sampling, n: int) -> str:
    if sampling.taps == 1:
        return str(n)
    g, k = divmod(n, sampling.taps)
    return f"{k}, group {g}" if sampling.groups > 1 else str(k)
