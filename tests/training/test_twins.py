"""Networks and their plain twins: as many parameters, and the same thing before the first step."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deformviz.operators import ActiveShift2d, DeformConv2d, ModulatedDeformConv2d
from deformviz.training import TASKS
from deformviz.training.twins import twin_of


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def variants(name: str) -> list[dict[str, Any]]:
    """All that builds another network."""
    knobs = TASKS[name].knobs
    building = [n for n in ("operator", "kernel", "asked", "regions", "start") if n in knobs]
    return [
        dict(zip(building, values, strict=True))
        for values in product(*(knobs[n].values for n in building))
    ]


@pytest.mark.parametrize(
    ("name", "knobs"), [(name, knobs) for name in TASKS for knobs in variants(name)]
)
def test_twins_have_equal_parameters(name: str, knobs: dict[str, Any]) -> None:
    """The plain one has no fewer, and as few more as a width in whole channels allows.

    That is a twentieth for the networks of glyphs, and more only where there are some hundreds.
    """
    subject, plain = TASKS[name].build(TASKS[name].settle(knobs)).values()
    most = 1.08 if name in ("scale", "shifts") else 1.3
    assert count(subject) <= count(plain) <= most * count(subject)


def test_the_twin_is_the_narrowest_that_is_as_large() -> None:
    net = nn.Linear(7, 3, bias=False)
    assert twin_of(net, lambda width: nn.Linear(width, 2, bias=False)).in_features == 11


@pytest.mark.parametrize("operator", ["Deformable Conv v1", "Deformable Conv v2"])
@pytest.mark.parametrize("kernel", [3, 5])
def test_zero_offsets_start_as_plain_convolutions(operator: str, kernel: int) -> None:
    """The same network with conv2d in place of each deformable layer gives the same."""
    torch.manual_seed(0)
    task = TASKS["scale"]
    net = task.build(task.settle({"operator": operator, "kernel": kernel}))["deformable"].eval()
    x = torch.rand(2, 3, 64, 64)
    ours = net(x)
    layers = [module for module in net.modules() if isinstance(module, DeformConv2d)]
    assert len(layers) == 3
    assert {type(layer) for layer in layers} == {
        ModulatedDeformConv2d if operator.endswith("v2") else DeformConv2d
    }
    for layer in layers:
        assert not any(p.any() for p in layer.offset_conv.parameters())

        def plain(x: torch.Tensor, layer: DeformConv2d = layer) -> torch.Tensor:
            return F.conv2d(x, layer.weight, layer.bias, padding=kernel // 2)

        layer.forward = plain  # type: ignore[method-assign]
    torch.testing.assert_close(ours, net(x), rtol=1e-4, atol=1e-5)


def test_zero_shifts_start_as_1x1_convolutions() -> None:
    torch.manual_seed(0)
    task = TASKS["shifts"]
    net = task.build(task.settle())["Active Shift"].eval()
    x = torch.rand(2, 3, 32, 32)
    ours = net(x)
    layers = [module for module in net.modules() if isinstance(module, ActiveShift2d)]
    assert len(layers) == 3
    for layer in layers:
        assert not layer.shift.any()
        layer.forward = layer.conv.forward  # type: ignore[method-assign]
    torch.testing.assert_close(ours, net(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["scale", "shifts"])
def test_a_random_start_is_none_at_zero(name: str) -> None:
    task = TASKS[name]
    net = next(iter(task.build(task.settle({"start": "random"})).values()))
    for key, tensor in net.state_dict().items():
        if key.endswith(("offset_conv.weight", ".shift")):
            assert tensor.any()


@pytest.mark.parametrize(
    ("name", "knob", "learned"),
    [
        ("scale", "offset_rate", ("offset_conv.", "mask_conv.")),
        ("regions", "guide_rate", ("guide_conv.",)),
        ("shifts", "shift_rate", (".shift",)),
    ],
)
def test_what_moves_the_taps_learns_at_its_own_rate(
    name: str, knob: str, learned: tuple[str, ...]
) -> None:
    task = TASKS[name]
    for value in task.knobs[knob].values:
        knobs = task.settle({knob: value})
        net = next(iter(task.build(knobs).values()))
        rates = {
            parameter: group["lr"]
            for group in task.groups(net, knobs, 0.5)
            for parameter in group["params"]  # type: ignore[attr-defined]
        }
        rest = {rates[p] for key, p in net.named_parameters() if not any(n in key for n in learned)}
        own = {rates[p] for key, p in net.named_parameters() if any(n in key for n in learned)}
        assert [rate / max(rest) for rate in own] == [pytest.approx(value)]
        assert len(rest) == 1


@pytest.mark.parametrize("name", TASKS)
def test_a_twin_has_one_rate(name: str) -> None:
    task = TASKS[name]
    plain = task.build(task.settle())["plain"]
    groups = [g for g in task.groups(plain, task.settle(), 0.5) if g["params"]]
    assert [group["lr"] for group in groups] == [0.5]
    assert sum(p.numel() for p in groups[0]["params"]) == count(plain)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TASKS)
def test_knobs_are_checked(name: str) -> None:
    task = TASKS[name]
    assert task.settle() == {key: knob.default for key, knob in task.knobs.items()}
    for knob in task.knobs.values():
        assert knob.default in knob.values
    with pytest.raises(ValueError, match="has no knob colour: its knobs are"):
        task.settle({"colour": 3})
    with pytest.raises(ValueError, match=r"steps must be one of .*; got 7"):
        task.settle({"steps": 7})
