"""Findings as plain JSON, with the positions that they are about."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from deformviz import Kernel, Sampling
from deformviz.analysis import Finding, finding_parts, findings, findings_part


def finding(where: Tensor, kind: Any = "nonfinite", threshold: float = 0) -> Finding:
    return Finding(kind, "error", 1, threshold, "", "A sentence.", where)


def unpacked(part: dict[str, Any]) -> np.ndarray:
    """A map as numpy reads it: [h, w] bool."""
    h, w = part["size"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(part["bits"]), np.uint8))
    assert len(bits) - h * w in range(8)
    return bits[: h * w].reshape(h, w).astype(bool)


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


def test_what_is_so_everywhere_is_shown_everywhere() -> None:
    part = findings_part([finding(torch.full((4, 5), 3.5))])[0]["map"]
    assert unpacked(part).all()
    assert part["positions"] == 20


def test_a_large_map_is_sent_in_blocks_that_hold_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finding_parts, "MOST_POSITIONS", 100)
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
    assert len(parts) == finding_parts.MOST_FINDINGS + 1
    assert parts[-1]["sentence"] == "And 236 more findings, each of one offset group."
    assert sum(len(part["map"]["bits"]) for part in parts[:-1]) < 2**20


def test_all_of_a_finding_is_told_but_its_numbers() -> None:
    offset = torch.randn(1, 9, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    offset[0, 4, 1, 3, 2] = math.nan
    found = findings(Sampling("moved", (8, 8), (8, 8), Kernel.of(3, padding=1), offset))
    first = findings_part(found)[0]
    assert first["sentence"] == found[0].sentence
    assert (first["kind"], first["severity"]) == ("nonfinite", "error")
    assert (first["group"], first["tap"]) == (None, 4)
    assert np.argwhere(unpacked(first["map"])).tolist() == [[3, 2]]
