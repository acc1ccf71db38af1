"""The layers of deformable convolution: what they start as, what they compute, how they learn."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from deform_cases import Pair, every_backend
from torch import Tensor, nn
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz.operators import (
    Backend,
    DeformConv2d,
    ModulatedDeformConv2d,
    activate_mask,
    deform_conv_layers,
    parameter_groups,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def wake(layer: DeformConv2d, std: float = 0.5) -> DeformConv2d:
    """Give the offset and mask convolutions, which start at zero, something to say."""
    for name, parameter in layer.named_parameters():
        if "_conv." in name:
            nn.init.normal_(parameter, std=std)
    return layer


@pytest.mark.parametrize("kernel", [1, 2, 3, (5, 2)], ids=str)
@pytest.mark.parametrize("offset_groups", [1, 2])
def test_v1_layer_equals_torchvision_with_its_own_offsets(
    kernel: int | Pair, offset_groups: int
) -> None:
    layer = DeformConv2d(
        4, 6, kernel, stride=(2, 1), padding=2, dilation=(1, 2), groups=2,
        offset_groups=offset_groups,
    )  # fmt: skip
    wake(layer).double()
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    conv = layer.offset_conv
    offset = F.conv2d(x, conv.weight, conv.bias, (2, 1), 2, (1, 2))
    expected = torchvision_deform_conv2d(
        x, offset, layer.weight, layer.bias, (2, 1), (2, 2), (1, 2)
    )
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", ["sigmoid", "2sigmoid", "softmax"])
def test_v2_layer_equals_torchvision_with_its_own_offsets_and_mask(activation: str) -> None:
    layer = ModulatedDeformConv2d(4, 6, 3, padding=1, offset_groups=2, mask_activation=activation)
    wake(layer).double()
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    offset = F.conv2d(x, layer.offset_conv.weight, layer.offset_conv.bias, padding=1)
    raw = F.conv2d(x, layer.mask_conv.weight, layer.mask_conv.bias, padding=1)
    if activation == "softmax":  # over the nine taps of each group
        mask = torch.cat([raw[:, :9].softmax(1), raw[:, 9:].softmax(1)], dim=1)
    else:
        mask = (2 if activation == "2sigmoid" else 1) / (1 + torch.exp(-raw))
    expected = torchvision_deform_conv2d(x, offset, layer.weight, layer.bias, padding=1, mask=mask)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("layer", "factor"),
    [
        (DeformConv2d(4, 6, 3, stride=2, padding=1, groups=2), 1),
        (ModulatedDeformConv2d(4, 6, 3, stride=2, padding=1, groups=2), 0.5),
        (
            ModulatedDeformConv2d(
                4, 6, 3, stride=2, padding=1, groups=2, mask_activation="2sigmoid"
            ),
            1,
        ),
        (
            ModulatedDeformConv2d(
                4, 6, 3, stride=2, padding=1, groups=2, mask_activation="softmax"
            ),
            1 / 9,
        ),
    ],
    ids=["v1", "v2 sigmoid", "v2 2sigmoid", "v2 softmax"],
)
def test_a_new_layer_is_a_convolution_times_its_first_mask(
    layer: DeformConv2d, factor: float
) -> None:
    x = torch.randn(2, 4, 7, 6)
    expected = F.conv2d(x, layer.weight * factor, layer.bias, 2, 1, 1, 2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("activation", ["tanh", "Sigmoid", ""])
def test_an_unknown_mask_activation_is_named(activation: str) -> None:
    with pytest.raises(ValueError, match=rf"sigmoid.*2sigmoid.*softmax.*{activation!r}"):
        activate_mask(torch.zeros(1, 9, 1, 1), 9, activation)
    with pytest.raises(ValueError, match="mask_activation"):
        ModulatedDeformConv2d(2, 2, 3, mask_activation=activation)


def test_offset_groups_that_do_not_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="offset_groups must divide in_channels, got 3 and 4"):
        DeformConv2d(4, 4, 3, offset_groups=3)


@pytest.mark.parametrize("kind", [DeformConv2d, ModulatedDeformConv2d])
def test_offset_and_mask_convolutions_start_at_zero_in_weight_and_bias(
    kind: type[DeformConv2d],
) -> None:
    """Copies zero the weight alone, so that torch's default bias moves the first points."""
    started = {n: p for n, p in kind(4, 4, 3).named_parameters() if "_conv." in n}
    assert {n.rsplit(".")[-1] for n in started} == {"weight", "bias"}
    assert len(started) == (2 if kind is DeformConv2d else 4)
    for name, parameter in started.items():
        assert parameter.count_nonzero() == 0, name


def sgd_steps(layer: DeformConv2d, groups: list[dict[str, object]]) -> dict[str, Tensor]:
    """How far one step of plain SGD moves each parameter, from fixed data."""
    before = {n: p.detach().clone() for n, p in layer.named_parameters()}
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(7), requires_grad=True)
    optimizer = torch.optim.SGD(groups)
    layer(x).square().sum().backward()
    optimizer.step()
    return {n: p.detach() - before[n] for n, p in layer.named_parameters()}


def fresh_layer() -> ModulatedDeformConv2d:
    torch.manual_seed(3)
    return ModulatedDeformConv2d(4, 4, 3, padding=1)


def test_parameter_groups_move_offsets_a_tenth_as_far() -> None:
    plain = fresh_layer()
    full = sgd_steps(plain, [{"params": plain.parameters(), "lr": 0.01}])
    layer = fresh_layer()
    grouped = sgd_steps(layer, parameter_groups(layer, lr=0.01))
    assert set(full) == {
        "weight", "bias", "offset_conv.weight", "offset_conv.bias", "mask_conv.weight",
        "mask_conv.bias",
    }  # fmt: skip
    for name, step in full.items():
        assert step.abs().max() > 0, name
        factor = 0.1 if "_conv." in name else 1.0
        torch.testing.assert_close(grouped[name], factor * step, msg=lambda m, n=name: f"{n}: {m}")


def test_the_copied_backward_hook_changes_no_step() -> None:
    """The copied hook rebinds its own arguments and returns nothing."""

    def copied_hook(module: nn.Module, grad_input: object, grad_output: object) -> None:
        grad_input = tuple(g * 0.1 for g in grad_input if g is not None)
        grad_output = tuple(g * 0.1 for g in grad_output if g is not None)

    plain = fresh_layer()
    full = sgd_steps(plain, [{"params": plain.parameters(), "lr": 0.01}])
    hooked = fresh_layer()
    hooked.offset_conv.register_full_backward_hook(copied_hook)
    got = sgd_steps(hooked, [{"params": hooked.parameters(), "lr": 0.01}])
    assert full["offset_conv.weight"].abs().max() > 0
    torch.testing.assert_close(got["offset_conv.weight"], full["offset_conv.weight"])


def test_parameter_groups_hold_each_parameter_once() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), DeformConv2d(4, 4, 3), nn.Sequential(ModulatedDeformConv2d(4, 2, 3))
    )
    groups = parameter_groups(model, lr=1.0, offset_factor=0.25)
    assert [g["lr"] for g in groups] == [1.0, 0.25]
    ids = [id(p) for g in groups for p in g["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    slow = {id(p) for p in groups[1]["params"]}
    assert slow == {id(p) for n, p in model.named_parameters() if "_conv." in n}


def test_parameter_groups_hold_a_shared_offset_convolution_once() -> None:
    model = nn.Sequential(DeformConv2d(4, 4, 3), DeformConv2d(4, 4, 3))
    model[1].offset_conv = model[0].offset_conv
    ids = [id(p) for g in parameter_groups(model, lr=1.0) for p in g["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())


def test_parameter_groups_of_a_model_without_offsets() -> None:
    model = nn.Linear(2, 2)
    torch.optim.SGD(groups := parameter_groups(model, lr=1.0))
    assert [len(g["params"]) for g in groups] == [2, 0]


def test_an_exported_layer_has_the_same_gradients() -> None:
    layer, x = wake(ModulatedDeformConv2d(4, 6, 3, padding=1)).double(), torch.randn(2, 4, 6, 5)
    x = x.double().requires_grad_()
    exported = torch.export.export(layer, (x.detach(),)).module()
    (expected,) = torch.autograd.grad(layer(x).square().sum(), x)
    (got,) = torch.autograd.grad(exported(x).square().sum(), x)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)


# --- the backend -----------------------------------------------------------------------------


@every_backend
@pytest.mark.parametrize("kind", [DeformConv2d, ModulatedDeformConv2d])
def test_a_layer_hands_its_backend_on(kind: type[DeformConv2d], backend: Backend) -> None:
    layer = wake(kind(4, 6, 3, padding=1, backend=backend)).double()
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    expected = torchvision_deform_conv2d(
        x, layer.offset_conv(x), layer.weight, layer.bias, padding=1, mask=layer.mask(x)
    )
    with mock.patch.object(
        deform_conv_layers, "deform_conv2d", wraps=deform_conv_layers.deform_conv2d
    ) as called:
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)
    assert called.call_args.kwargs == {"backend": backend, "compile": False}


@pytest.mark.parametrize("kind", [DeformConv2d, ModulatedDeformConv2d])
def test_a_layer_to_compile_says_so_when_it_runs(kind: type[DeformConv2d]) -> None:
    layer = wake(kind(4, 6, 3, padding=1, compile=True)).double()
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    expected = torchvision_deform_conv2d(
        x, layer.offset_conv(x), layer.weight, layer.bias, padding=1, mask=layer.mask(x)
    )
    with mock.patch.object(
        deform_conv_layers, "deform_conv2d", wraps=deform_conv_layers.deform_conv2d
    ) as called:
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-10)
    assert called.call_args.kwargs == {"backend": "auto", "compile": True}


@pytest.mark.parametrize("kind", [DeformConv2d, ModulatedDeformConv2d])
def test_a_layer_of_an_unknown_backend_cannot_be(kind: type[DeformConv2d]) -> None:
    with pytest.raises(ValueError, match=r"backend must be one of .*grid_sample.*, got 'cudnn'"):
        kind(4, 4, 3, backend="cudnn")
    with pytest.raises(ValueError, match=r"compile=True needs .*auto.*got 'embedding_bag'"):
        kind(4, 4, 3, backend="embedding_bag", compile=True)
