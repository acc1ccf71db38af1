"""What is said of a whole layer: findings with the positions that they are about, and numbers."""

from __future__ import annotations

import json
import math

import pytest
import torch
from records import CASES, attention, record, run, strict, tensors
from torch import Tensor

from deformviz import Kernel, Sampling
from deformviz.analysis import effective_dilation
from deformviz.fields import offset_field
from deformviz.viewer.facts import about, facts_part


def moved(offset: Tensor, kernel: Kernel) -> Sampling:
    size = (offset.shape[-2], offset.shape[-1])
    return Sampling("moved", size, size, kernel, offset)


def test_an_operator_that_moves_no_tap_by_its_nature_is_not_called_dead() -> None:
    assert about(run("Convolution"))["findings"] == []
    zero = torch.zeros(1, 9, 2, 8, 8)
    assert [f["kind"] for f in about(moved(zero, Kernel.of(3, padding=1)))["findings"]] == ["dead"]


# Facts


def numbers_of(sampling: Sampling) -> dict[str, str]:
    return {name: text for name, text, _ in facts_part(sampling)}


def test_a_kernel_that_is_turned_and_scaled_says_by_how_much() -> None:
    kernel, image = Kernel.of(3, padding=1), torch.rand(3, 8, 8, dtype=torch.float64)
    offset = offset_field("rotate", kernel, image, 30.0)[None].clone()
    base = kernel.centred_taps()[None, :, :, None, None]
    offset = 2 * (base + offset) - base + torch.tensor([1.0, -0.5])[:, None, None]
    found = numbers_of(moved(offset, kernel))
    assert found["shift (dy, dx)"] == "+1, −0.5 px"
    assert (found["scale"], found["rotation"]) == ("2", "30°")
    assert (found["shear"], found["residual"]) == ("0", "0 px")
    assert found["effective dilation"] == "2 px, regular 1"


def test_the_static_and_the_adaptive_part_of_two_positions() -> None:
    """Offsets of 3 and 5 px: 4 everywhere and 1 that varies, of 17 squared pixels."""
    offset = torch.zeros(1, 1, 2, 1, 2)
    offset[0, 0, 0] = torch.tensor([3.0, 5.0])
    found = numbers_of(moved(offset, Kernel.of(1)))
    assert found["static part"] == "4 px"
    assert found["content-adaptive part"] == f"1 px, {100 / 17:.3g} %"
    assert found["moved off the map"] == "100 %"
    assert "effective dilation" not in found  # a single tap has no neighbour
    assert "scale" not in found


def test_few_groups_are_told_apart_and_many_are_not() -> None:
    offset = torch.randn(6, 9, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    kernel = Kernel.of(3, padding=1)
    three = moved(offset[:3], kernel)
    means = [f"{float(group.mean()):.3g} px" for group in effective_dilation(three)]
    assert numbers_of(three)["effective dilation"] == " · ".join(means) + ", regular 1"
    six = moved(offset, kernel)
    mean = float(effective_dilation(six).mean())
    assert numbers_of(six)["effective dilation"] == f"{mean:.3g} px, regular 1"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_a_dash(value: float) -> None:
    offset = torch.full((1, 9, 2, 4, 4), value)
    found = numbers_of(moved(offset, Kernel.of(3, padding=1)))
    assert found["scale"] == "–"
    assert found["shift (dy, dx)"] == "–, – px"
    assert found["effective dilation"].startswith("– px")


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_something_is_said_of_every_record(operator: str, variant: str) -> None:
    said = strict(json.dumps(about(record(operator, variant))))
    assert all(len(fact) == 3 and all(map(str, fact)) for fact in said["facts"])


def test_nothing_is_changed_by_it() -> None:
    s = attention()
    before = {name: tensor.clone() for name, tensor in tensors(s).items()}
    about(s)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors(s).items())
