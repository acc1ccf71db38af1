"""Quantities against plain arithmetic, on a map whose pixels say where they are."""

from __future__ import annotations

import pytest
import torch

from deformviz import Sampling
from deformviz.lessons import Place, quantity
from deformviz.lessons.quantities import QUANTITIES
from deformviz.operators import deform_conv2d_sampling, dr_conv2d_sampling

H, W, Y, X = 6, 8, 3, 4
OFFSETS = {4: (0.25, 0.5), 8: (9.0, 0.0), 0: (-1.0, 2.0)}
MASKS = {4: 0.5, 0: 0.001}


@pytest.fixture(scope="module")
def sampling() -> Sampling:
    """Two channels: 10 * y + x, and 1; the kernel of output 1 is k + 1 on channel 1 alone."""
    rows, columns = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    x = torch.stack((10.0 * rows + columns, torch.ones(H, W)))[None]
    offset = torch.zeros(1, 18, H, W)
    mask = torch.ones(1, 9, H, W)
    for k, (dy, dx) in OFFSETS.items():
        offset[:, 2 * k], offset[:, 2 * k + 1] = dy, dx
    for k, value in MASKS.items():
        mask[:, k] = value
    weight = torch.zeros(2, 2, 3, 3)
    weight[0, 0] = 0.1
    weight[1, 1] = torch.arange(1.0, 10).reshape(3, 3)
    return deform_conv2d_sampling(x, offset, weight, padding=1, mask=mask)


def value_at(y: float, x: float) -> float:
    """The map's value at a point well inside, linear as it is."""
    return 10 * y + x


EXPECTED = {
    "taps": 9,
    "groups": 1,
    "offset channels": 18,
    "height": H,
    "width": W,
    "y": Y,
    "x": X,
    "base y 4": Y,
    "base x 5": X + 1,
    "dy 4": 0.25,
    "dx 0": 2.0,
    "point y 4": Y + 0.25,
    "point x 4": X + 0.5,
    "corner y 4": Y,
    "corner x 0": X - 1 + 2,
    "fraction y 4": 0.25,
    "fraction x 4": 0.5,
    "share 4 0": 0.75 * 0.5,
    "share 4 3": 0.25 * 0.5,
    "pixel 4 1": value_at(Y, X + 1),
    "pixel 8 0": 0,  # 9 rows further down, off the map
    "value 4": value_at(Y + 0.25, X + 0.5),
    "value 8": 0,
    "mask 4": 0.5,
    "weight 4": 0.1,
    "product 4": 0.1 * 0.5 * value_at(Y + 0.25, X + 0.5),
    "channel value 1": 1,
    "longest offset": 9,
    "mean offset": ((0.25**2 + 0.5**2) ** 0.5 + 9 + 5**0.5) / 9,
    "shut masks": 100 / 9,
}


@pytest.mark.parametrize("words", list(EXPECTED))
def test_quantities(sampling: Sampling, words: str) -> None:
    assert quantity(words, Place(sampling, Y, X)) == pytest.approx(EXPECTED[words], abs=1e-5)


def test_every_quantity_is_tested() -> None:
    tested = {words.rstrip("0123456789 ") for words in EXPECTED} | {"sum", "region"}
    assert tested == set(QUANTITIES)


def test_the_sum_is_that_of_the_loop(sampling: Sampling) -> None:
    total = 0.0
    for k in range(9):
        dy, dx = OFFSETS.get(k, (0.0, 0.0))
        y, x = Y - 1 + k // 3 + dy, X - 1 + k % 3 + dx
        total += 0.1 * MASKS.get(k, 1.0) * (value_at(y, x) if y < H else 0.0)
    assert quantity("sum", Place(sampling, Y, X)) == pytest.approx(total, abs=1e-4)


def test_the_channel_is_one_that_has_weights(sampling: Sampling) -> None:
    place = Place(sampling, Y, X, channel=1)
    assert quantity("value 4", place) == pytest.approx(1)
    assert quantity("weight 4", place) == 5


def test_regions() -> None:
    guide = torch.zeros(1, 2, H, W)
    guide[0, 1, :, 4:] = 1.0
    s = dr_conv2d_sampling(torch.rand(1, 1, H, W), torch.rand(1, 2, 1, 1, 1, 1), guide)
    assert [quantity("region", Place(s, 2, x)) for x in (3, 4)] == [0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("base y 9", "there is no tap 9: the kernel has 9"),
        ("region", "the operator has no regions"),
        ("channel value 2", "input channel 2 does not reach the output channel"),
    ],
)
def test_what_the_record_does_not_have_is_refused(
    sampling: Sampling, words: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        quantity(words, Place(sampling, Y, X))


@pytest.mark.parametrize("words", ["", "tap", "mask", "mask x", "taps 3", "share 1", "mask −1"])
def test_unknown_quantities_are_refused(sampling: Sampling, words: str) -> None:
    with pytest.raises(ValueError, match="expected one of taps, groups"):
        quantity(words, Place(sampling, Y, X))
