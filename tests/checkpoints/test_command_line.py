"""The real checkpoint through the command line, three ways: the same numbers each way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import trained

from deformviz import examples
from deformviz.cli import main


def test_three_ways_to_run_a_trained_network(
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, x = trained("aliked-n16.pth", shared_data), torch.rand(1, 3, 64, 96)
    program = torch.export.export(model, (x,))
    torch.export.save(program, tmp_path / "aliked.pt2")
    onnx = torch.onnx.export(model, (x,), dynamo=True, opset_version=19, verbose=False)
    onnx.save(str(tmp_path / "aliked.onnx"))
    monkeypatch.chdir(Path(__file__).parent)  # where `networks` is

    def layers(file: Path, *options: str) -> list[dict[str, Any]]:
        photo = ["--image", str(examples.path("cat")), "--size", "64", "96"]
        # ALIKED's clamp binds in its deeper layers.
        assert main(["check", str(file), *photo, *options, "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert {found["kind"] for found in told["findings"]} == {"clamp binds"}
        found: list[dict[str, Any]] = told["layers"]
        return found

    # The file also holds a head that the class lacks.
    file = shared_data / "aliked-n16.pth"
    live = layers(file, "--model", "networks:Aliked", "--loose")
    exported = layers(tmp_path / "aliked.pt2", "--trust")
    from_onnx = layers(tmp_path / "aliked.onnx")
    names = [f"block{b}.conv{c}.regular_conv" for b in (3, 4) for c in (1, 2)]
    assert exported == live
    for found in (live, from_onnx):
        assert [layer["name"] for layer in found] == names
        assert {layer["family"] for layer in found} == {"ALIKED"}
        assert all(layer["verified"]["ok"] for layer in found)
        assert all(layer["reread"]["matches"] for layer in found)
    for ours, other in zip(from_onnx, live, strict=True):
        assert ours["statistics"] == pytest.approx(other["statistics"], abs=1e-3)
