"""`capture` on live models: what it records, and under which names."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import Mixed, ScaledMnist, assert_recomputes, photo_and_mirror, trained
from torch import Tensor, nn
from torchvision.ops import DeformConv2d, deform_conv2d

import deformviz
from deformviz import Sampling, examples
from deformviz.checkpoints import capture_batch
from deformviz.checkpoints.pictures import as_input, working_size
from deformviz.images import decode


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def photo() -> Tensor:
    return photo_and_mirror()


def given_to_operator(model: nn.Module, x: Tensor) -> list[tuple[dict[str, Any], Tensor]]:
    """The calls of torchvision's operator, witnessed by other means: it is replaced in Python."""
    calls: list[tuple[dict[str, Any], Tensor]] = []
    packet = torch.ops.torchvision.deform_conv2d
    names = [argument.name for argument in packet.default._schema.arguments]

    def witness(*args: Any) -> Tensor:
        output = packet(*args)
        kept = [a.detach().clone() if isinstance(a, Tensor) else a for a in args]
        calls.append((dict(zip(names, kept, strict=True)), output.clone()))
        return output

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.ops.torchvision, "deform_conv2d", witness)
        model(x)
    return calls


@pytest.mark.parametrize("image", [0, 1])
def test_the_operators_own_arguments_are_recorded(photo: Tensor, image: int) -> None:
    model = Mixed()
    with torch.no_grad():
        calls = given_to_operator(model, photo)
        with deformviz.capture(model, image=image) as samplings:
            model(photo)
    assert [s.name for s in samplings] == ["plain", "masked"]
    for s, (call, output) in zip(samplings, calls, strict=True):
        groups, taps = s.groups, s.taps
        assert torch.equal(s.input, call["input"][image])
        assert torch.equal(s.weight, call["weight"])
        assert torch.equal(s.bias, call["bias"])
        assert torch.equal(s.output, output[image])
        for g, k in itertools.product(range(groups), range(taps)):
            channel = 2 * (g * taps + k)
            assert torch.equal(s.offset[g, k, 0], call["offset"][image, channel])
            assert torch.equal(s.offset[g, k, 1], call["offset"][image, channel + 1])
            if call["use_mask"]:
                assert torch.equal(s.mask[g, k], call["mask"][image, g * taps + k])
        assert_recomputes(s, 1e-5)
    plain, masked = samplings
    assert plain.mask is None
    assert masked.mask is not None
    assert (plain.groups, masked.groups) == (2, 3)
    assert (plain.kernel.stride, masked.kernel.dilation) == ((2, 2), (2, 1))
    assert plain.offset.abs().mean() > 0.2  # they do move


@pytest.mark.parametrize(
    ("file", "names", "strides"),
    [
        (
            "aliked-n16.pth",
            [f"block{b}.conv{c}.regular_conv" for b in (3, 4) for c in (1, 2)],
            [8, 8, 32, 32],
        ),
        ("scaled-mnist-dcnv2.pth", ["conv4.regular_conv", "conv5.regular_conv"], [4, 4]),
    ],
)
def test_trained_networks_on_a_photo(
    file: str, names: list[str], strides: list[int], shared_data: Path
) -> None:
    model = trained(file, shared_data)
    pixels = decode(examples.path("cat"), max_side=256).pixels
    grey = isinstance(model, ScaledMnist)
    size = (28, 28) if grey else working_size((pixels.shape[0], pixels.shape[1]))
    x = as_input(pixels, size, channels=1 if grey else 3)
    with torch.no_grad():
        calls = given_to_operator(model, x)
        with deformviz.capture(model) as samplings:
            model(x)
    assert [s.name for s in samplings] == names
    for s, stride, (call, output) in zip(samplings, strides, calls, strict=True):
        assert torch.equal(s.offset.flatten(0, 2), call["offset"][0])
        assert (s.mask is None) == (not grey)
        if s.mask is not None:
            assert torch.equal(s.mask.flatten(0, 1), call["mask"][0])
        assert torch.equal(s.output, output[0])
        assert s.image_map.stride == (stride, stride)
        assert s.image_map.origin == (stride / 2 - 0.5, stride / 2 - 0.5)
        assert_recomputes(s, 2e-5)


def test_an_in_place_operation_afterwards_changes_nothing(photo: Tensor) -> None:
    model = Mixed()
    with torch.no_grad(), deformviz.capture(model) as samplings:
        y = model(photo)
    assert y.min() == 0
    for s in samplings:
        assert s.output.min() < 0  # before its ReLU
    before = [{name: t.clone() for name, t in s.known().items()} for s in samplings]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        photo.zero_()
    for s, tensors in zip(samplings, before, strict=True):
        assert all(torch.equal(t, tensors[name]) for name, t in s.known().items())


def test_all_ways_to_call_the_operator(photo: Tensor) -> None:
    """Through functions, by keywords, in a module without weights, with a weight made up."""

    class Operator(nn.Module):
        def forward(self, x: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
            return deform_conv2d(x, offset, weight)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Module()
            self.inner.kernel = nn.Conv2d(3, 4, 1)
            self.delta = nn.Parameter(torch.rand(4, 3, 1, 1))
            self.operator = Operator()

        def forward(self, x: Tensor) -> Tensor:
            offset = torch.rand(x.shape[0], 2, *x.shape[2:])
            weight = self.inner.kernel.weight
            deform_conv2d(input=x, offset=offset, weight=weight)
            deform_conv2d(x, offset, self.delta)
            deform_conv2d(x, offset, weight.detach())
            self.operator(x, offset, weight)
            self.operator(x, offset, weight * 2)
            return deform_conv2d(x, offset, weight + self.delta)

    model = Model()
    with deformviz.capture(model) as samplings:
        model(photo)
    assert [s.name for s in samplings] == [
        "inner.kernel", "Model", "inner.kernel (2nd call)", "inner.kernel (3rd call)", "operator",
        "Model (2nd call)",
    ]  # fmt: skip


def test_a_layer_that_is_called_again_is_numbered(photo: Tensor) -> None:
    model = Mixed()
    with torch.no_grad(), deformviz.capture(model) as samplings:
        for _ in range(23):
            model(photo[:, :, :16, :16])
    names = [s.name for s in samplings if s.name.startswith("plain")]
    assert names[:4] == ["plain", "plain (2nd call)", "plain (3rd call)", "plain (4th call)"]
    assert names[10:13] == ["plain (11th call)", "plain (12th call)", "plain (13th call)"]
    assert names[20:] == ["plain (21st call)", "plain (22nd call)", "plain (23rd call)"]
    assert len({s.name for s in samplings}) == 46


def test_only_the_models_own_calls_are_recorded(photo: Tensor) -> None:
    model, other = Mixed(), Mixed()
    with deformviz.capture(model) as samplings:
        other(photo)
        deform_conv2d(photo, torch.zeros(2, 2, 64, 96), torch.rand(3, 3, 1, 1))
        assert samplings == []
        model.plain(torch.rand(1, 8, 8, 8), torch.zeros(1, 36, 4, 4))  # a part of it, called alone
    assert [s.name for s in samplings] == ["plain"]


def test_the_models_numbers_stay_what_they_are(photo: Tensor) -> None:
    model = Mixed()
    plain = model(photo)
    plain.sum().backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    with deformviz.capture(model) as samplings:
        seen = model(photo)
        seen.sum().backward()
    assert torch.equal(seen, plain)
    assert len(gradients) > 5
    for p, before in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(p.grad, before)
    assert not any(t.requires_grad for s in samplings for t in s.known().values())


def test_a_plain_model_has_nothing_to_show(photo: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with deformviz.capture(model) as samplings:
        model(photo)
    assert samplings == []


def test_what_is_recorded_can_be_saved_and_shown(photo: Tensor, tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset, self.conv = nn.Conv2d(3, 18, 3, 2, 1), DeformConv2d(3, 4, 3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.conv(x, self.offset(x)))

    model = Net()
    with deformviz.capture(model) as samplings:
        model(photo)
    samplings[0].save(tmp_path / "layer.safetensors")
    loaded = Sampling.load(tmp_path / "layer.safetensors")
    assert torch.equal(loaded.offset, samplings[0].offset)
    pixels = np.zeros((64, 96, 3), np.uint8)
    view = samplings[0].show(pixels, y=3, x=5)
    assert view.state.y == 3


def test_each_image_of_a_batch_is_recorded_as_alone() -> None:
    model = Mixed()
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), capture_batch(model, 2) as images:
        output = model(x)
    with torch.no_grad():
        assert torch.equal(output, model(x))
    assert len(images) == 2
    for image, samplings in enumerate(images):
        with torch.no_grad(), deformviz.capture(model, image=image) as expected:
            model(x)
        assert [s.name for s in samplings] == [s.name for s in expected]
        for s, one in zip(samplings, expected, strict=True):
            assert set(s.known()) == set(one.known()) - {"input", "output", "weight", "bias"}
            assert all(torch.equal(t, getattr(one, name)) for name, t in s.known().items())
            assert (s.kernel, s.image_map) == (one.kernel, one.image_map)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
