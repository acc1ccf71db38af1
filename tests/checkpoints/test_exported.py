"""An exported program gives the same records as the live model, and only to those who trust it."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import Mixed, trained
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from deformviz import Sampling, examples
from deformviz.checkpoints.exported import run_exported
from deformviz.checkpoints.models import run_on_image
from deformviz.checkpoints.verify import verify
from deformviz.images import decode

OPEN = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}


@pytest.fixture
def pixels() -> np.ndarray:
    """A photo, [85, 128, 3]."""
    return decode(examples.path("cat"), max_side=128).pixels


def export(model: nn.Module, x: Tensor, path: Path, shapes: dict[int, Any] | None = None) -> Path:
    program = torch.export.export(model.eval(), (x,), dynamic_shapes=shapes and (shapes,))
    torch.export.save(program, path)
    return path


def assert_same(ours: list[Sampling], live: list[Sampling]) -> None:
    """Bit by bit, names and places included."""
    assert [s.name for s in ours] == [s.name for s in live]
    assert len(ours) > 1
    for one, other in zip(ours, live, strict=True):
        assert one.header() == other.header()
        assert one.known().keys() == other.known().keys()
        for name, tensor in one.known().items():
            assert torch.equal(tensor, other.known()[name]), name
        assert verify(one).ok


def test_the_same_as_live(pixels: np.ndarray, tmp_path: Path) -> None:
    model = Mixed().eval()
    path = export(model, torch.rand(1, 3, 40, 64), tmp_path / "net.pt2", OPEN)
    for size in ((64, 96), (33, 47), None):
        ours = run_exported(path, pixels, trust=True, size=size)
        assert_same(ours, run_on_image(model, pixels, size=size))


@pytest.mark.parametrize("file", ["aliked-n16.pth", "scaled-mnist-dcnv2.pth"])
def test_trained_networks(file: str, pixels: np.ndarray, shared_data: Path, tmp_path: Path) -> None:
    model = trained(file, shared_data)
    shape = (1, 1, 28, 28) if "mnist" in file else (1, 3, 64, 96)
    path = export(model, torch.rand(shape), tmp_path / "net.pt2")
    live = run_on_image(model, pixels, size=shape[2:], normalisation="signed")
    assert_same(run_exported(path, pixels, trust=True, normalisation="signed"), live)


def test_a_fixed_size_is_kept(pixels: np.ndarray, tmp_path: Path) -> None:
    path = export(Mixed(), torch.rand(1, 3, 40, 64), tmp_path / "net.pt2")
    ours = run_exported(path, pixels, trust=True)
    assert ours[0].input_size == (40, 64)
    with pytest.raises(ValueError, match="images of 40 x 64 alone, got 48 x 64"):
        run_exported(path, pixels, trust=True, size=(48, 64))


def test_a_fixed_batch_is_filled(pixels: np.ndarray, tmp_path: Path) -> None:
    path = export(Mixed(), torch.rand(3, 3, 40, 64), tmp_path / "net.pt2")
    assert len(run_exported(path, pixels, trust=True)) == 2


def test_a_size_out_of_the_programs_range(pixels: np.ndarray, tmp_path: Path) -> None:
    side = torch.export.Dim("side", min=32, max=64)
    path = export(Mixed(), torch.rand(1, 3, 40, 40), tmp_path / "net.pt2", {2: side, 3: side})
    with pytest.raises(ValueError, match="the program does not run at 96 x 96"):
        run_exported(path, pixels, trust=True, size=(96, 96))


class Shared(nn.Module):
    """One layer that is called twice, and a kernel that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"conv": Twice()})

    def forward(self, x: Tensor) -> Tensor:
        return self.inner["conv"](self.inner["conv"](x))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Conv2d(3, 2, 1)
        self.scale = nn.Parameter(torch.ones(3, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return deform_conv2d(x, self.offset(x), self.scale * torch.eye(3)[..., None, None])


def test_a_layer_that_is_called_again_and_a_kernel_that_is_computed(
    pixels: np.ndarray, tmp_path: Path
) -> None:
    model = Shared()
    path = export(model, torch.rand(1, 3, 32, 32), tmp_path / "net.pt2")
    ours = run_exported(path, pixels, trust=True)
    assert [s.name for s in ours] == ["inner.conv", "inner.conv (2nd call)"]
    assert_same(ours, run_on_image(model, pixels, size=(32, 32)))


# -------------------------------------------------------------------------------------- refused


class Act:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.path, "ran"))


def test_without_trust_nothing_of_the_file_is_looked_at(pixels: np.ndarray, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data/weights.pt", pickle.dumps(Act(marker)))
    with pytest.raises(PermissionError, match=r"can run any code.*trust=True"):
        run_exported(path, pixels)
    with pytest.raises(PermissionError):
        run_exported(tmp_path / "absent.pt2", pixels, trust=False)
    assert not marker.exists()


def test_what_is_no_program(pixels: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file absent\.pt2"):
        run_exported(tmp_path / "absent.pt2", pixels, trust=True)
    (tmp_path / "net.pt2").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"net\.pt2 is no program that torch\.export\.save wrote"):
        run_exported(tmp_path / "net.pt2", pixels, trust=True)


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_a_program_that_takes_no_image(pixels: np.ndarray, tmp_path: Path) -> None:
    program = torch.export.export(TwoInputs(), (torch.rand(1, 3, 8, 8), torch.rand(1)))
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(ValueError, match=r"must take one image .* takes x, y"):
        run_exported(tmp_path / "net.pt2", pixels, trust=True)


def test_a_program_without_deformable_layers(pixels: np.ndarray, tmp_path: Path) -> None:
    path = export(nn.Conv2d(3, 4, 3), torch.rand(1, 3, 40, 64), tmp_path / "net.pt2")
    assert run_exported(path, pixels, trust=True) == []
