"""What is said of a whole layer: findings with the positions that they are about, and numbers."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from records import CASES, attention, record, run, strict, tensors
from torch import Tensor

from deformviz import Kernel, Sampling
from deformviz.analysis import Finding, effective_dilation, findings
from deformviz.fields import offset_field
from deformviz.viewer import facts
from deformviz.viewer.facts import about, facts_part, findings_part


def finding(where: Tensor, kind: Any = "nonfinite", threshold: float = 0) -> Finding:
    return Finding(kind, "error", 1, threshold, "", "A sentence.", where)


def unpacked(part: dict[str, Any]) -> np.ndarray:
    """A map as numpy reads it: [h, w] bool."""
    h, w = part["size"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(part["bits"]), np.uint8))
    assert len(bits) - h * w in range(8)
    return bits[: h * w].reshape(h, w).astype(bool)


def moved(offset: Tensor, kernel: Kernel) -> Sampling:
    size = (offset.shape[-2], offset.shape[-1])
    return Sampling("moved", size, size, kernel, offset)


# Findings


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (17, 31)])
def test_a_map_is_packed_as_numpy_packs_it(size: tuple[int, int]) -> None:
    where = torch.rand(size, generator=torch.Generator().manual_seed(1)) < 0.3
    where[0, 0] = True
    part = findings_part([finding(where)])[0]["map"]
    assert (unpacked(part) == where.numpy()).all()
    assert (part["positions"], part["step"]) == (int(where.sum()), 1)


def test_a_map_of_numbers_is_where_they_are_not_zero_and_an_exploded_one_where_too_large() -> None:
    numbers = torch.tensor([[0.0, 0.3, math.nan], [80.0, 50.0, -1.0]])
    shown = unpacked(findings_part([finding(numbers, "outside", 0.05)])[0]["map"])
    assert shown.tolist() == [[False, True, True], [True, True, True]]
    shown = unpacked(findings_part([finding(numbers, "exploded", 50.0)])[0]["map"])
    assert shown.tolist() == [[False, False, False], [True, False, False]]


def test_a_finding_that_no_position_is_about_has_no_map() -> None:
    assert findings_part([finding(torch.zeros(3, 4))])[0]["map"] is None


def test_a_large_map_is_sent_in_blocks_that_hold_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(facts, "MOST_POSITIONS", 100)
    where = torch.zeros(31, 44, dtype=torch.bool)
    where[30, 43] = where[0, 5] = where[7, 8] = where[7, 9] = True
    part = findings_part([finding(where)])[0]["map"]
    step = part["step"]
    shown = unpacked(part)
    assert shown.shape == (math.ceil(31 / step), math.ceil(44 / step))
    assert shown.size <= 100 < math.ceil(31 / (step - 1)) * math.ceil(44 / (step - 1))
    assert {(y // step, x // step) for y, x in where.nonzero().tolist()} == {
        (y, x) for y, x in np.argwhere(shown)
    }
    assert part["positions"] == 4


def test_many_findings_on_large_maps_are_bounded() -> None:
    where = torch.ones(512, 512, dtype=torch.bool)
    parts = findings_part([finding(where)] * 300)
    assert len(parts) == facts.MOST_FINDINGS + 1
    assert parts[-1]["sentence"] == "And 236 more findings, each of one offset group."
    assert sum(len(part["map"]["bits"]) for part in parts[:-1]) < 2**20


def test_all_of_a_finding_is_told_but_its_numbers() -> None:
    nan = replace(run("Deformable Conv v2", field="wave"))
    offset = nan.offset.clone()
    offset[0, 4, 1, 3, 2] = math.nan
    found = findings(replace(nan, offset=offset))
    first = findings_part(found)[0]
    assert first["sentence"] == found[0].sentence
    assert (first["kind"], first["severity"]) == ("nonfinite", "error")
    assert (first["group"], first["tap"]) == (None, 4)
    assert np.argwhere(unpacked(first["map"])).tolist() == [[3, 2]]


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
