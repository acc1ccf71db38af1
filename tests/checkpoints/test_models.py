"""A model of one's own: imported, given its weights, and run on a photo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import Mixed, trained
from torch import Tensor, nn

import deformviz
from deformviz import examples
from deformviz.checkpoints.errors import CheckpointError
from deformviz.checkpoints.models import load_model, load_weights, run_on_image
from deformviz.checkpoints.pictures import as_input, fitting_size, photo_pixels, working_size
from deformviz.checkpoints.verify import verify
from deformviz.images import ImageError, decode

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

def build():
    from {package} import late  # imported when called, from the same folder
    return nn.Sequential(Net(), late.last())

def nothing():
    return 3

value = 5
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package in the current folder, which is not installed; its name is its own each time."""
    name = f"users_{tmp_path.name}".replace("-", "_")
    (tmp_path / name).mkdir()
    (tmp_path / name / "models.py").write_text(CODE.format(package=name))
    (tmp_path / name / "late.py").write_text("from torch.nn import ReLU as last\n")
    (tmp_path / name / "broken.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    return name


# ----------------------------------------------------------------------------------- load_model


def test_a_factory_of_the_current_folder(package: str) -> None:
    path = list(sys.path)
    model = load_model(f"{package}.models:build")
    assert isinstance(model, nn.Sequential)
    assert not model.training
    assert type(load_model(f"{package}.models:Net")).__name__ == "Net"
    assert sys.path == path


def test_a_checkpoint_is_loaded_into_it(package: str, tmp_path: Path) -> None:
    state = {"module.conv.weight": torch.rand(4, 3, 3, 3), "module.conv.bias": torch.rand(4)}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "net.pth")
    model = load_model(f"{package}.models:Net", tmp_path / "net.pth")
    assert torch.equal(model.conv.weight, state["module.conv.weight"])
    assert torch.equal(model.conv.bias, state["module.conv.bias"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{}.models", "expected \"package.module:factory\", got '{}.models'"),
        ("{}.models:", "expected"),
        (":build", "expected"),
        ("{}.absent:build", "there is no module '{}.absent' to import: run this from the folder"),
        ("absent_{}:build", "there is no module 'absent_{}'"),
        ("{}.models:Nett", "{}.models has no 'Nett'"),
        ("{}.models:Net.conv", "{}.models has no 'Net.conv'"),
        ("{}.models:value", "is no factory"),
        ("{}.models:nothing", "returned int, not a torch.nn.Module"),
    ],
)
def test_a_spec_that_leads_nowhere(package: str, spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.format(package)):
        load_model(spec.format(package))


def test_errors_of_the_users_own_code_come_through(package: str) -> None:
    path = list(sys.path)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
        load_model(f"{package}.broken:build")
    assert sys.path == path


def test_a_file_that_is_no_checkpoint(package: str, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError):
        load_model(f"{package}.models:Net", tmp_path / "net.pth")


# --------------------------------------------------------------------------------- load_weights


def test_what_does_not_fit_is_listed_briefly() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    held = dict(model.state_dict())
    held["0.weight"] = torch.zeros(3, 2)
    held |= {f"head.{i}": torch.zeros(1) for i in range(7)}
    for index in (1, 2):
        del held[f"{index}.bias"]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="does not fit Sequential") as error:
        load_weights(model, held)
    assert str(error.value).split(": ", 1)[1] == (
        "2 missing (1.bias, 2.bias); 7 unexpected (head.0, head.1, head.2, head.3, and 3 more); "
        "1 of another shape (0.weight)"
    )
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_not_strict_takes_what_fits() -> None:
    model = nn.Linear(2, 3)
    load_weights(model, {"bias": torch.ones(3), "other": torch.ones(1)}, strict=False)
    assert torch.equal(model.bias, torch.ones(3))
    with pytest.raises(ValueError, match=r"1 of another shape \(bias\)"):
        load_weights(model, {"bias": torch.ones(4)}, strict=False)
    with pytest.raises(ValueError, match="holds no weight of Linear"):
        load_weights(model, {"other": torch.ones(1)}, strict=False)


@pytest.mark.parametrize("wrapped", ["file", "model", "both"])
def test_wrappers_before_the_keys(wrapped: str) -> None:
    inner = nn.Linear(2, 3)
    model = nn.DataParallel(inner) if wrapped != "file" else inner
    prefix = "module." if wrapped != "model" else ""
    tensors = {f"{prefix}weight": torch.ones(3, 2), f"{prefix}bias": torch.ones(3)}
    load_weights(model, tensors)
    assert inner.weight.sum() + inner.bias.sum() == 9


# --------------------------------------------------------------------------------- run_on_image


@pytest.fixture
def pixels() -> np.ndarray:
    """A photo, [85, 128, 3]."""
    return decode(examples.path("cat"), max_side=128).pixels


def test_a_model_on_a_photo(pixels: np.ndarray) -> None:
    model = Mixed()
    samplings = run_on_image(model, pixels)
    x = as_input(pixels, (96, 128))
    with torch.no_grad(), deformviz.capture(model) as expected:
        model(x)
    assert [s.name for s in samplings] == ["plain", "masked"]
    for s, other in zip(samplings, expected, strict=True):
        assert torch.equal(s.offset, other.offset)
        assert torch.equal(s.output, other.output)
        # Laid on the photo of 85 rows, though the model saw 96 of them.
        assert s.image_map.stride[1] == other.image_map.stride[1]
        assert s.image_map.stride[0] == pytest.approx(other.image_map.stride[0] * 85 / 96)
        corner = torch.tensor(s.input_size) - 0.5  # the lower right corner is the photo's
        torch.testing.assert_close(s.image_map.to_image(corner), torch.tensor([84.5, 127.5]))
        assert verify(s).ok


def test_a_file_is_read_as_the_project_reads_images() -> None:
    model = Mixed()
    from_file = run_on_image(model, examples.path("glyphs"), size=(32, 32))
    decoded = decode(examples.path("glyphs")).pixels
    from_array = run_on_image(model, decoded, size=(32, 32))
    assert torch.equal(from_file[0].input, from_array[0].input)
    assert from_file[0].image_map == from_array[0].image_map
    with pytest.raises(ImageError):
        run_on_image(model, b"no picture")


def test_modes_and_gradients_are_as_before(pixels: np.ndarray) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), Mixed()).train()
    model[1].first.eval()  # frozen by its user
    statistics = model[0].running_mean.clone()
    run_on_image(model, pixels, size=(32, 32))
    assert [m.training for m in model.modules()].count(False) == 1
    assert not model[1].first.training
    assert torch.equal(model[0].running_mean, statistics)
    with pytest.raises(RuntimeError):
        run_on_image(nn.Sequential(nn.Linear(7, 1)).train(), pixels)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_models_own_type(pixels: np.ndarray, dtype: torch.dtype) -> None:
    samplings = run_on_image(Mixed().to(dtype), pixels, size=(32, 32))
    assert samplings[0].output.dtype == dtype


def test_a_grey_network_gets_a_grey_photo(shared_data: Path, pixels: np.ndarray) -> None:
    model = trained("scaled-mnist-dcnv2.pth", shared_data)
    samplings = run_on_image(model, pixels, size=(28, 28))
    assert [s.name for s in samplings] == ["conv4.regular_conv", "conv5.regular_conv"]
    assert all(verify(s).ok for s in samplings)


def test_a_real_network_on_a_photo_of_any_size(shared_data: Path, pixels: np.ndarray) -> None:
    samplings = run_on_image(trained("aliked-n16.pth", shared_data), pixels)
    assert len(samplings) == 4
    assert all(verify(s).ok for s in samplings)


# ------------------------------------------------------------------------------------- pictures


def test_a_pixel_by_hand() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 1] = (51, 102, 204)

    def at(*options: Any, **more: Any) -> list[float]:
        x: Tensor = as_input(pixels, (2, 2), *options, **more)
        return x[0, :, 0, 1].tolist()

    assert at() == pytest.approx([0.2, 0.4, 0.8])
    assert at("signed") == pytest.approx([-0.6, -0.2, 0.6])
    assert at("imagenet") == pytest.approx(
        [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.8 - 0.406) / 0.225]
    )
    assert at((0.1, 2.0)) == pytest.approx([0.05, 0.15, 0.35])
    assert at(((0.1, 0.2, 0.3), (1.0, 2.0, 0.5))) == pytest.approx([0.1, 0.1, 1.0])
    grey = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.8
    assert at(channels=1) == pytest.approx([grey])
    assert at("imagenet", channels=1) == pytest.approx([(grey - 1.347 / 3) / (0.678 / 3)])


@pytest.mark.parametrize(
    ("normalisation", "message"),
    [
        ("torch", "one of unit, signed, imagenet or"),
        (((0.1, 0.2), 1.0), "2 numbers for 3 channels"),
        ((0.5, (1.0, 1.0)), "2 numbers for 3 channels"),
    ],
)
def test_a_normalisation_of_another_form(normalisation: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_input(np.zeros((4, 4, 3), np.uint8), (4, 4), normalisation)


def test_arrays_of_another_form() -> None:
    assert photo_pixels(np.full((4, 5), 7, np.uint8)).tolist() == [[[7] * 3] * 5] * 4
    for array in (np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 3)), np.zeros(4, np.uint8)):
        with pytest.raises(ValueError, match=r"must be \[H, W, 3\] or \[H, W\] uint8"):
            photo_pixels(array)


def test_a_shrunk_photo_keeps_its_mean_and_its_place() -> None:
    """A bright block stays where it is, in parts of the picture."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[16:32, 48:72] = 255
    x = as_input(pixels, (16, 24))
    assert x.mean() == pytest.approx(pixels.mean() / 255, rel=1e-3)
    assert x[0, 0, 5:7, 13:17].min() > 0.99
    assert x[0, 0, :3].max() < 0.01


def test_sizes() -> None:
    assert working_size((170, 250)) == (160, 256)
    assert working_size((5, 33)) == (32, 32)
    assert fitting_size((None, 64), (48, 64), (1, 1)) == (48, 64)
    assert fitting_size((None, None), None, (96, 32)) == (96, 32)
    with pytest.raises(ValueError, match="images of any x 64 alone, got 48 x 65"):
        fitting_size((None, 64), (48, 65), (1, 1))
