"""`capture` on modules that the dispatcher does not know: forward hooks, module by module."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from foreign_modules import (
    DCNv3,
    DCNv4,
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
    MSDeformAttn,
)
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

import deformviz
from deformviz import Sampling, operators
from deformviz.analysis import recompute
from deformviz.checkpoints import find_layers
from deformviz.checkpoints.live.recorded import Recorded, totals_of
from deformviz.inspection import inspect_network

GEOMETRY = {"stride": 2, "padding": (2, 1), "dilation": (2, 1), "groups": 2, "deform_groups": 3}


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    """Whatever cannot be read would only be a warning: here it is an error."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def everywhere(s: Sampling) -> Tensor:
    """All of its output, recomputed from the record alone: [O, h, w] in float64."""
    h, w = s.output_size
    grid = torch.cartesian_prod(torch.arange(h), torch.arange(w))
    return recompute(s, grid).T.reshape(-1, h, w)


def assert_recomputes(s: Sampling, output: Tensor, tolerance: float = 1e-5) -> None:
    assert output.std() > 1e-3
    assert s.output is None or torch.equal(s.output, output)
    torch.testing.assert_close(
        everywhere(s), output.double(), rtol=0, atol=tolerance * float(output.abs().max())
    )


class Inside(nn.Module):
    """A layer in a model, with an in-place operation behind it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.neck = nn.ModuleList([layer])
        self.given: Tensor | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        y = self.neck[0](*args, **kwargs)
        self.given = y.detach().clone()
        return y.mul_(0)


def run(layer: nn.Module, *args: Any, image: int = 1, **kwargs: Any) -> tuple[list[Sampling], Any]:
    """The records of a layer inside a model, and its output for one image."""
    model = Inside(layer)
    with torch.no_grad(), deformviz.capture(model, image=image) as samplings:
        model(*args, **kwargs)
    assert model.given is not None
    return samplings, model.given[image]


# ------------------------------------------------------------------------------- convolutions


def test_mmcv_v1_with_given_offsets() -> None:
    layer = DeformConv2d(6, 4, (3, 2), **GEOMETRY)
    x, offset = torch.randn(2, 6, 10, 9), torch.randn(2, 36, 5, 5)
    (s,), output = run(layer, x, offset)
    assert s.name == "neck.0"
    assert (s.kernel.size, s.kernel.stride, s.kernel.padding, s.kernel.dilation) == (
        (3, 2), (2, 2), (2, 1), (2, 1),
    )  # fmt: skip
    assert torch.equal(s.offset, offset[1].reshape(3, 6, 2, 5, 5))
    assert torch.equal(s.weight, layer.weight)
    assert s.weight.data_ptr() != layer.weight.data_ptr()
    assert (s.mask, s.bias) == (None, None)
    assert_recomputes(s, output)


def test_mmcv_v2_with_given_offsets_by_keyword() -> None:
    layer = ModulatedDeformConv2d(6, 4, (3, 2), **GEOMETRY)
    x, offset, mask = torch.randn(2, 6, 10, 9), torch.randn(2, 36, 5, 5), torch.rand(2, 18, 5, 5)
    (s,), output = run(layer, x, mask=mask, offset=offset)
    assert torch.equal(s.mask, mask[1].reshape(3, 6, 5, 5))
    assert torch.equal(s.bias, layer.bias)
    assert_recomputes(s, output)


@pytest.mark.parametrize(
    ("kind", "taps_and_groups"),
    [
        (DeformConv2dPack, {"kernel_size": (3, 2), **GEOMETRY}),
        (ModulatedDeformConv2dPack, {"kernel_size": (3, 2), **GEOMETRY}),
        # 54 and 108 rows: v1 with 3 and 6 groups, or v2 with 2 and 4.
        (DeformConv2dPack, {"kernel_size": 3, "padding": 1, "deform_groups": 3}),
        (ModulatedDeformConv2dPack, {"kernel_size": 3, "padding": 1, "deform_groups": 2}),
        (DeformConv2dPack, {"kernel_size": 3, "padding": 1, "deform_groups": 6}),
    ],
)
def test_mmcv_packs(kind: type[nn.Module], taps_and_groups: dict[str, Any]) -> None:
    layer = kind(6, 4, **taps_and_groups)
    x = torch.randn(2, 6, 10, 9)
    (s,), output = run(layer, x)
    with torch.no_grad():
        raw = layer.conv_offset(x)[1]
    rows = 2 * s.groups * s.taps
    assert s.groups == layer.deform_groups
    assert torch.equal(s.offset.flatten(0, 2), raw[:rows])
    if kind is DeformConv2dPack:
        assert s.mask is None
    else:
        torch.testing.assert_close(s.mask.flatten(0, 1), raw[rows:].sigmoid())
    assert_recomputes(s, output)


def test_old_names_of_the_groups() -> None:
    layer = ModulatedDeformConv2dPack(6, 4, 3, padding=1, deform_groups=2)
    layer.deformable_groups = layer.deform_groups

    class Older(nn.Module):  # as detectron2 and CharlesShang name it
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = layer.weight, layer.bias
            self.deformable_groups = 2
            self.stride, self.padding, self.dilation = 1, 1, 1

        def forward(self, input: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
            return ModulatedDeformConv2d.forward(layer, input, offset, mask)

    x, offset, mask = torch.randn(2, 6, 7, 8), torch.randn(2, 36, 7, 8), torch.rand(2, 18, 7, 8)
    (s,), output = run(Older(), x, offset, mask)
    assert s.groups == 2
    assert_recomputes(s, output)


def test_a_pack_that_calls_torchvisions_operator_is_told_once() -> None:
    """As BasicSR's does where torchvision is there; its offsets come from a second map."""

    class DCNv2Pack(ModulatedDeformConv2dPack):
        def forward(self, x: Tensor, feat: Tensor) -> Tensor:
            first, second, mask = self.conv_offset(feat).chunk(3, dim=1)
            return deform_conv2d(
                x, torch.cat([first, second], dim=1), self.weight, self.bias, padding=1,
                mask=mask.sigmoid(),
            )  # fmt: skip

    layer = DCNv2Pack(6, 4, 3, padding=1, deform_groups=3)
    (s,), output = run(layer, torch.randn(2, 6, 7, 8), torch.randn(2, 6, 7, 8))
    assert s.name == "neck.0"
    assert_recomputes(s, output)


def test_a_pack_whose_offsets_come_from_a_second_map() -> None:
    class Pack(ModulatedDeformConv2dPack):
        def forward(self, x: Tensor, feat: Tensor) -> Tensor:
            first, second, mask = self.conv_offset(feat).chunk(3, dim=1)
            offset = torch.cat([first, second], dim=1)
            return ModulatedDeformConv2d.forward(self, x, offset, mask.sigmoid())

    x = torch.randn(2, 6, 7, 8)
    (s,), output = run(Pack(6, 4, 3, padding=1), x, torch.randn(2, 6, 7, 8))
    assert torch.equal(s.input, x[1])
    assert_recomputes(s, output)


# -------------------------------------------------------------------------- DCNv3 and DCNv4

AGGREGATIONS = [
    {},
    {"offset_scale": 2.0},
    {"kernel_size": 5, "pad": 2},
    {"dilation": 2, "pad": 2},
    {"remove_center": True, "offset_scale": 0.5},
    {"center_feature_scale": True},
    {"center_feature_scale": True, "remove_center": True},
]


@pytest.mark.parametrize("options", AGGREGATIONS, ids=str)
def test_dcnv3(options: dict[str, Any]) -> None:
    layer = DCNv3(24, group=3, **options)
    before_projection: list[Tensor] = []
    layer.output_proj.register_forward_pre_hook(
        lambda _, args: before_projection.append(args[0].detach().clone())
    )
    x = torch.randn(2, 6, 7, 24)
    (s,), _ = run(layer, x)
    with torch.no_grad():
        assert torch.equal(s.input, layer.input_proj(x)[1].permute(2, 0, 1))
    more = int(options.get("center_feature_scale", False))
    assert (s.groups, s.taps) == (3, layer.points + more)
    torch.testing.assert_close(s.mask.sum(1), torch.ones(3, 6, 7))
    assert_recomputes(s, before_projection[0][1].permute(2, 0, 1))


@pytest.mark.parametrize("options", [o for o in AGGREGATIONS if "kernel_size" not in o], ids=str)
@pytest.mark.parametrize("size", [(6, 6), (5, 8)], ids=str)
def test_dcnv4(options: dict[str, Any], size: tuple[int, int]) -> None:
    layer = DCNv4(48, group=3, **options)  # 81 rows, padded to 88; 72 without the centre
    before_projection: list[Tensor] = []
    layer.output_proj.register_forward_pre_hook(
        lambda _, args: before_projection.append(args[0].detach().clone())
    )
    x = torch.randn(2, size[0] * size[1], 48)
    shape = {} if size == (6, 6) else {"shape": size}
    (s,), _ = run(layer, x, **shape)
    assert s.input_size == s.output_size == size
    assert s.mask.min() < 0  # it is unbounded
    assert_recomputes(s, before_projection[0][1].T.reshape(48, *size))


# ---------------------------------------------------------------------------------- attention


def attention_call(
    levels: int, boxes: bool, padded: bool, queries: int = 11
) -> tuple[list[tuple[int, int]], dict[str, Any]]:
    sizes = [(6, 8), (3, 4), (2, 2)][:levels]
    tokens = sum(h * w for h, w in sizes)
    arguments: dict[str, Any] = {
        "query": torch.randn(2, queries, 32),
        "reference_points": torch.rand(2, queries, levels, 4 if boxes else 2),
        "input_flatten": torch.randn(2, tokens, 32),
        "input_spatial_shapes": torch.tensor(sizes),
        "input_level_start_index": torch.zeros(levels, dtype=torch.long),
    }
    if padded:
        arguments["input_padding_mask"] = torch.rand(2, tokens) > 0.7
    return sizes, arguments


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("levels", [1, 3])
def test_multi_scale_attention(levels: int, boxes: bool, padded: bool) -> None:
    layer = MSDeformAttn(32, levels, 4, 5)
    before_projection: list[Tensor] = []
    layer.output_proj.register_forward_pre_hook(
        lambda _, args: before_projection.append(args[0].detach().clone())
    )
    sizes, arguments = attention_call(levels, boxes, padded)
    samplings, _ = run(layer, **arguments)
    names = ["neck.0"] if levels == 1 else [f"neck.0 level {level}" for level in range(levels)]
    assert [s.name for s in samplings] == names
    assert [s.input_size for s in samplings] == sizes
    reference = arguments["reference_points"][1]
    for level, (s, size) in enumerate(zip(samplings, sizes, strict=True)):
        assert (s.groups, s.taps, s.output_size) == (4, 5, (11, 1))
        expected = reference[:, level, :2].flip(-1) * torch.tensor(size) - 0.5  # [Q, 2]
        assert s.reference is not None
        torch.testing.assert_close(s.reference[2, 3, :, :, 0].T, expected)
    output = before_projection[0][1].T[..., None]
    total = torch.stack([everywhere(s) for s in samplings]).sum(0)
    torch.testing.assert_close(total, output.double(), rtol=0, atol=1e-5)
    if levels == 1:
        assert_recomputes(samplings[0], output)
    else:
        assert all(s.output is None for s in samplings)
        assert (everywhere(samplings[0]) - output).abs().max() > 1e-2  # one level is not enough


def test_one_reference_point_for_all_levels() -> None:
    layer = MSDeformAttn(32, 3, 4, 2)
    _, arguments = attention_call(3, True, False)
    arguments["reference_points"] = arguments["reference_points"][:, :, :1]
    samplings, _ = run(layer, **arguments)
    assert len(samplings) == 3


def test_the_sum_of_several_levels_is_kept_and_verified() -> None:
    layer = MSDeformAttn(32, 3, 4, 5)
    model = Inside(layer)
    _, arguments = attention_call(3, False, True)
    with deformviz.capture(model) as samplings:
        model(**arguments)
    names = tuple(f"neck.0 level {level}" for level in range(3))
    ((parts, total),) = totals_of(samplings).items()
    assert parts == names
    torch.testing.assert_close(
        sum(everywhere(s) for s in samplings), total.double(), rtol=0, atol=1e-5
    )
    photo = np.zeros((32, 32, 3), np.uint8)
    layers = find_layers({key: tuple(t.shape) for key, t in model.state_dict().items()})
    network = inspect_network(samplings, photo, "net.pth", layers=layers)
    for row in network.layers:
        assert row.verified is not None
        assert row.verified.ok
        assert row.layer is not None
        assert (row.layer.offset_groups, row.layer.points) == (4, 5)
    wrong = [replace(samplings[0], offset=samplings[0].offset.flip(2)), *samplings[1:]]
    network = inspect_network(Recorded(wrong, totals_of(samplings)), photo, "net.pth")
    assert not any(row.verified.ok for row in network.layers if row.verified)
    # Without the sum, no level can be checked.
    network = inspect_network(list(samplings), photo, "net.pth")
    assert [row.verified for row in network.layers] == [None] * 3


# -------------------------------------------------------------------------------- our own

OWN = [
    operators.DeformConv2d(4, 6, 3, stride=2, padding=1, offset_groups=2),
    operators.ModulatedDeformConv2d(4, 6, 3, padding=2, dilation=2, mask_activation="softmax"),
    operators.DRConv2d(4, 6, 3, regions=3, padding=1),
    operators.CoordConv2d(4, 6, 3, padding=1),
    operators.Conv2d(4, 6, 3, padding=1),
    operators.ActiveShift2d(4, 6),
    operators.CycleFC(4, 6, (1, 3)),
    operators.SpatialShift2d([(1, 0), (0, -1)]),
]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("layer", OWN, ids=lambda layer: type(layer).__name__)
def test_our_own_operators(layer: nn.Module, autocast: bool) -> None:
    for name, parameter in layer.named_parameters():
        if "offset_conv" in name:
            nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 4, 8, 9)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        (s,), output = run(layer, x)
    assert s.name == "neck.0"
    assert_recomputes(s, output, 2e-2 if autocast else 1e-5)
    parameters = {p.data_ptr() for p in layer.parameters()}
    assert not parameters & {t.data_ptr() for t in s.known().values()}


# ------------------------------------------------------------------------ what is not as it seems


class Otherwise(DeformConv2dPack):
    """Looks like mmcv's pack, and bounds its offsets by tanh as some forks do."""

    def forward(self, x: Tensor) -> Tensor:
        return DeformConv2d.forward(self, x, self.conv_offset(x).tanh())


def test_a_look_alike_is_left_out_with_a_warning() -> None:
    model = nn.Sequential(Otherwise(6, 4, 3, padding=1), nn.ReLU())
    x = torch.randn(1, 6, 10, 9)
    expected = model(x)
    with (
        pytest.warns(UserWarning, match=r"0 \(Otherwise\) is not recorded: .* another output"),
        deformviz.capture(model) as samplings,
    ):
        assert torch.equal(model(x), expected)
    assert samplings == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "spatial_shapes"),
        ({"spatial_shapes": [(3, 3)]}, "reference_points"),
        ({"spatial_shapes": [(3, 3)], "reference_points": torch.rand(1, 9, 2)}, r"\[B, Q, L, 2"),
        ({"spatial_shapes": [(2, 3)], "reference_points": torch.rand(1, 9, 1, 2)}, "split"),
        ({"spatial_shapes": [9], "reference_points": torch.rand(1, 9, 1, 2)}, "unpack"),
    ],
)
def test_an_attention_that_cannot_be_read_is_left_out_with_a_warning(
    arguments: dict[str, Any], message: str
) -> None:
    class Model(MSDeformAttn):
        def forward(self, tokens: Tensor, **kwargs: Any) -> Tensor:
            self.sampling_offsets(tokens), self.attention_weights(tokens)
            return self.output_proj(self.value_proj(tokens))

    with (
        pytest.warns(UserWarning, match=rf"the model \(Model\) is not recorded: .*{message}"),
        deformviz.capture(model := Model(32, 1, 4, 5)) as samplings,
    ):
        model(torch.randn(1, 9, 32), **arguments)
    assert samplings == []
