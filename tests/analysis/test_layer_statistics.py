"""A layer's row of numbers against numpy, number by number."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_samplings import layer, moved_by, normal, random_layer, turned, uniform

from deformviz import Kernel, Sampling
from deformviz.analysis import statistics


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("bad", [None, math.nan, math.inf], ids=str)
def test_lengths_and_masks_are_those_of_numpy(bad: float | None) -> None:
    s = random_layer((3, 3))
    mask = uniform(*s.offset[:, :, 0].shape)
    if bad is not None:
        s.offset[0, 1, 0, 2, 2] = s.offset[1, 3, 1, 0, 0] = mask[0, 0, 1, 1] = bad
    found = statistics(replace(s, mask=mask))
    lengths = np.hypot(*s.offset.movedim(2, 0).numpy())
    lengths, known = lengths[np.isfinite(lengths)], mask[mask.isfinite()].numpy()
    assert found.mean == pytest.approx(lengths.mean())
    assert found.largest == lengths.max()
    # A percentile that is in the data: the only kind to which a bar or a pixel can be shown.
    for name, share in (("median", 0.5), ("p99", 0.99)):
        assert getattr(found, name) == np.quantile(lengths, share, method="inverted_cdf")
    for name, share in (("mask_p1", 0.01), ("mask_p99", 0.99)):
        assert getattr(found, name) == np.quantile(known, share, method="inverted_cdf")
    assert found.mask_mean == pytest.approx(known.mean())
    assert found.not_finite == (0 if bad is None else 3)


@pytest.mark.parametrize("count", [1, 2, 3, 100, 101, 1000])
def test_percentiles_of_round_numbers(count: int) -> None:
    offset = torch.zeros(1, 1, 2, 1, count)
    offset[0, 0, 0, 0] = torch.randperm(count, generator=torch.Generator().manual_seed(0)) + 1.0
    found = statistics(layer(offset, 1))
    assert found.median == math.ceil(count / 2)
    assert found.p99 == count - count // 100
    assert found.largest == count


def test_shape_numbers_of_a_known_change() -> None:
    found = statistics(moved_by(turned(25, 1.5), side=9))
    assert found.scale == pytest.approx(1.5)
    assert found.rotation == pytest.approx(25)
    assert found.dilation == pytest.approx(1.5)
    assert found.residual == pytest.approx(0, abs=1e-9)
    assert found.adaptive == pytest.approx(0, abs=1e-9)
    assert found.static == pytest.approx(found.mean, rel=0.2)
    assert found.adaptive_share == pytest.approx(0, abs=1e-9)


def test_angles_are_averaged_around_the_circle() -> None:
    left, right = moved_by(turned(170), side=2).offset, moved_by(turned(-170), side=2).offset
    both = statistics(layer(torch.cat((left, right), dim=0)))
    assert abs(both.rotation) == pytest.approx(180)


def test_groups_add_up() -> None:
    """Squares do: the layer's parts are the root mean square of its groups' parts."""
    still, far = torch.zeros(1, 9, 2, 4, 4), torch.full((1, 9, 2, 4, 4), 3.0)
    found = statistics(layer(torch.cat((still, far))))
    assert found.static == pytest.approx(math.sqrt((0 + 18) / 2))
    assert found.mean == pytest.approx(math.sqrt(18) / 2, rel=1e-6)


def test_outside_is_counted_with_and_without_the_padding() -> None:
    offset = torch.zeros(1, 9, 2, 8, 8)
    offset[0, 4, 0] = 100.0  # the middle tap, which the padding never has
    found = statistics(layer(offset))
    padded = 1 - (22 / 24) ** 2
    assert found.outside == pytest.approx(padded + 1 / 9)
    assert found.moved_outside == pytest.approx(1 / 9)


def test_what_there_is_not_is_nan() -> None:
    kernel, offset = Kernel.of((1, 3)), normal(1, 4, 2, 5, 1)
    attention = Sampling(
        "attention", (9, 9), (5, 1), kernel, offset, reference=normal(1, 4, 2, 5, 1)
    )
    assert math.isnan(statistics(attention).dilation)
    assert math.isnan(statistics(attention).mask_mean)
    assert statistics(attention).mean > 0
    nowhere = statistics(layer(torch.full((1, 9, 2, 3, 3), math.nan)))
    for name in ("mean", "median", "p99", "largest", "scale", "static", "adaptive_share"):
        assert math.isnan(getattr(nowhere, name)), name
    assert nowhere.not_finite == 9 * 2 * 9


def test_half_precision_does_not_overflow() -> None:
    offset = torch.full((1, 9, 2, 64, 64), 60000.0, dtype=torch.float16)
    found = statistics(layer(offset))
    exact = float(torch.tensor(60000.0).half())
    assert found.mean == pytest.approx(math.hypot(exact, exact))
    assert found.static == pytest.approx(math.hypot(exact, exact))
