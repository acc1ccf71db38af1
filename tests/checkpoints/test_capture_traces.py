"""`capture` leaves nothing behind, however it ends."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from foreign_modules import DeformConv2dPack
from networks import Mixed, photo_and_mirror
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack
from torchvision.ops import deform_conv2d

import deformviz
from deformviz import Sampling


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def photo() -> Tensor:
    return photo_and_mirror()


def traces(model: nn.Module) -> dict[str, Any]:
    """Everything that a capture could leave: hooks, attributes, modes."""
    found: dict[str, Any] = {
        "modes": len(_get_current_dispatch_mode_stack()),
    }
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            found[f"{name}/{key}"] = len(value) if isinstance(value, dict) else id(value)
    for key, value in vars(nn.modules.module).items():
        if key.startswith("_global") and isinstance(value, dict):
            found[key] = len(value)
    return found


class Failing(nn.Module):
    """Calls its layers, then raises: in itself, or in a module inside."""

    def __init__(self, inside: bool) -> None:
        super().__init__()
        self.mixed = Mixed()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        x = self.mixed(x)
        if self.inside:
            return self.mixed.first(x)  # 6 channels, where 3 are expected
        raise ZeroDivisionError("the model's own")


@pytest.mark.parametrize("model", [Mixed(), Failing(True), Failing(False)], ids=repr)
def test_nothing_is_left_behind(photo: Tensor, model: nn.Module) -> None:
    before = traces(model)
    fails = isinstance(model, Failing)
    error = (RuntimeError if model.inside else ZeroDivisionError) if fails else None
    with pytest.raises(error) if error else nullcontext(), deformviz.capture(model) as samplings:
        assert traces(model) != before  # so that the comparison means something
        model(photo)
    assert traces(model) == before
    assert len(samplings) == 2


def test_after_an_error_inside_the_names_go_on_right(photo: Tensor) -> None:
    model = Failing(True)
    with deformviz.capture(model) as samplings:
        for _ in range(2):
            with pytest.raises(RuntimeError):
                model(photo)
        model.mixed(photo)
    assert [s.name for s in samplings] == [
        name + again
        for again in ("", " (2nd call)", " (3rd call)")
        for name in ("mixed.plain", "mixed.masked")
    ]


class Sometimes(DeformConv2dPack):
    """Raises after its offsets are there, where it is told to."""

    fails = True

    def forward(self, x: Tensor) -> Tensor:
        if self.fails:
            raise ZeroDivisionError(self.conv_offset(x).shape)
        return super().forward(x)


def test_after_an_error_inside_what_follows_is_told_apart(photo: Tensor) -> None:
    """Nothing of the call that failed counts as being under way."""
    failing, sound = Sometimes(3, 4, 1), DeformConv2dPack(3, 4, 1)
    model = nn.ModuleList([failing, sound])
    with torch.no_grad(), deformviz.capture(model) as samplings:
        with pytest.raises(ZeroDivisionError):
            failing(photo)
        deform_conv2d(photo, torch.zeros(2, 2, 64, 96), torch.rand(3, 3, 1, 1))
        assert samplings == []  # not the model's
        sound(photo)
        failing.fails = False
        failing(photo)
    assert [s.name for s in samplings] == ["1", "0"]


def test_an_image_that_is_not_in_the_batch(photo: Tensor) -> None:
    model = Mixed()
    before = traces(model)
    with (
        pytest.raises(IndexError, match="image 2 is not one of the 2"),
        deformviz.capture(model, image=2),
    ):
        model(photo)
    assert traces(model) == before


def test_a_capture_entered_within_a_running_model(photo: Tensor) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixed = Mixed()
            self.seen: list[Sampling] = []

        def forward(self, x: Tensor) -> Tensor:
            with deformviz.capture(self) as self.seen:
                return self.mixed(x)

    model = Model()
    model(photo)
    assert [s.name for s in model.seen] == ["mixed.plain", "mixed.masked"]
