"""The command line, on files made here and on real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from deformviz.cli import main
from deformviz.inspection.printable import printable

ROOT = Path(__file__).resolve().parents[1]


def state(**changes: Tensor) -> dict[str, Tensor]:
    """A healthy mmcv layer of 8 channels: its offsets follow the input, and are small."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "stem.weight": torch.rand(8, 3, 3, 3, generator=generator),
        "layer.conv2.weight": torch.rand(8, 8, 3, 3, generator=generator),
        "layer.conv2.conv_offset.weight": torch.randn(18, 8, 3, 3, generator=generator) / 50,
        "layer.conv2.conv_offset.bias": torch.randn(18, generator=generator) / 10,
    }
    return tensors | {f"layer.conv2.conv_offset.{name}": value for name, value in changes.items()}


def saved(tensors: dict[str, Tensor], folder: Path) -> str:
    path = folder / "net.pth"
    torch.save(tensors, path)
    return str(path)


def checked(path: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    status = main(["check", path, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_healthy_file_has_a_clean_bill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = checked(saved(state(), tmp_path), capsys)
    assert status == 0
    assert told["findings"] == []
    (layer,) = told["layers"]
    assert layer["name"] == "layer.conv2"
    assert layer["family"] == "mmcv DCNv1"
    assert layer["kernel_size"] == [3, 3]
    assert layer["offset_groups"] == 1
    assert layer["order"] == "interleaved"
    assert layer["mask_activation"] is None
    assert layer["outside"] == "zero"
    assert layer["assumed"] == []


@pytest.mark.parametrize(
    ("kind", "weight", "bias"),
    [
        ("untrained", torch.zeros(18, 8, 3, 3), torch.zeros(18)),
        ("bias only", torch.zeros(18, 8, 3, 3), torch.full((18,), 0.4)),
        ("exploded", torch.rand(18, 8, 3, 3), torch.full((18,), 400.0)),
        ("nonfinite", torch.rand(18, 8, 3, 3), torch.tensor([float("nan")] * 18)),
    ],
)
def test_what_weights_alone_show_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, weight: Tensor, bias: Tensor
) -> None:
    status, told = checked(saved(state(weight=weight, bias=bias), tmp_path), capsys)
    assert status == 1
    assert {found["kind"] for found in told["findings"]} == {kind}
    assert {found["layer"] for found in told["findings"]} == {"layer.conv2"}


def test_the_masks_rows_do_not_hide_offsets_that_were_never_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = torch.zeros(27, 8, 3, 3)
    weight[18:] = 1  # of the mask
    status, told = checked(saved(state(weight=weight, bias=torch.zeros(27)), tmp_path), capsys)
    assert told["layers"][0]["family"] == "mmcv DCNv2"
    assert [found["kind"] for found in told["findings"]] == ["untrained"]
    assert status == 1


def test_a_file_without_such_layers_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved({"stem.weight": torch.zeros(8, 3, 3, 3)}, tmp_path)
    assert main(["check", path]) == 0
    assert "No deformable layer" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_what_cannot_be_read_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    status, told = checked(str(path), capsys)
    assert status == 2
    assert set(told) == {"error"}
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.strip()) == ("", told["error"])
    assert str(tmp_path) not in told["error"]


def test_the_table_marks_what_is_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 54 rows over 9 taps: 3 groups of v1, or 2 of v2, and 12 channels divide by both.
    tensors = {
        "a.weight": torch.rand(8, 12, 3, 3),
        "a.conv_offset.weight": torch.rand(54, 12, 3, 3) / 50,
    }
    main(["check", saved(tensors, tmp_path)])
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("a "))
    assert "?" in row
    assert "? assumed" in out


def test_a_name_cannot_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2J\n<b>"
    tensors = {
        f"{name}.weight": torch.rand(8, 8, 3, 3),
        f"{name}.conv_offset.weight": torch.zeros(18, 8, 3, 3),
    }
    path = saved(tensors, tmp_path)
    main(["check", path])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[2J\\n<b>" in out
    _, told = checked(path, capsys)
    assert told["layers"][0]["name"] == name  # as in the file


def test_long_names_are_shortened_in_the_middle() -> None:
    assert len(printable("a" * 500 + "b")) == 80
    assert printable("a" * 500 + "b").endswith("ab")


@pytest.mark.parametrize(
    ("file", "layers", "family", "mask"),
    [
        ("aliked-n16.pth", 4, "ALIKED", None),
        ("scaled-mnist-dcnv2.pth", 2, "developer0hye", "2sigmoid"),
    ],
)
def test_real_checkpoints(
    shared_data: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    layers: int,
    family: str,
    mask: str | None,
) -> None:
    status, told = checked(str(shared_data / file), capsys)
    assert status == 0
    assert [layer["family"] for layer in told["layers"]] == [family] * layers
    assert {layer["mask_activation"] for layer in told["layers"]} == {mask}


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deformviz", "check", saved(state(), tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "layer.conv2" in done.stdout
