"""A series of any family: where every weight grows by a tenth, the changes are a tenth."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from layouts import LAYOUTS

from deformviz.inspection import inspect_checkpoint, inspect_series


@pytest.mark.parametrize("family", LAYOUTS)
def test_every_family_has_a_series(family: str, tmp_path: Path) -> None:
    layout = LAYOUTS[family]
    generator = torch.Generator().manual_seed(0)
    state = {key: torch.rand(shape, generator=generator) for key, shape in layout.shapes.items()}
    files = [tmp_path / "1.pth", tmp_path / "2.pth"]
    for file, size in zip(files, (1.0, 1.1), strict=True):
        torch.save({key: size * tensor for key, tensor in state.items()}, file)
    series = inspect_series(files)
    assert series.notes == ()
    (layer,) = (layer for layer in series.layers if layer.name == layout.name)
    (found,) = (
        row.layer for row in inspect_checkpoint(files[0]).layers if row.layer.name == layout.name
    )
    for name, roles in (("weights", {"weight", "bias"}), ("offset_weights", None)):
        there = set(found.tensors) & roles if roles else set(found.tensors) - {"weight", "bias"}
        (change,) = layer.changes[name]
        assert change == pytest.approx(0.1, rel=1e-4) if there else math.isnan(change)
    if "offset.weight" in found.tensors:
        before, after = layer.numbers["dependence"]
        assert after / before == pytest.approx(1.1, rel=1e-4)
    assert json.dumps(series.to_dict(), allow_nan=False)
    assert layout.name in series.to_text()
