"""A layer of a file, run on a feature map, against the same layer written out with torch's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from layouts import LAYOUTS, Shapes, conv, norm, pack
from restated import normal
from torch import Tensor
from torchvision.ops import deform_conv2d

from deformviz import ImageMap, Sampling
from deformviz.analysis import recompute
from deformviz.checkpoints import Layer, family_of, find_layers, run_layer

State = dict[str, Tensor]


def random_state(shapes: Shapes) -> State:
    """Random weights; a variance is positive."""
    state = {
        key: normal(*shape, seed=i, scale=0.3) for i, (key, shape) in enumerate(shapes.items())
    }
    return {k: v.abs() + 0.5 if k.endswith("running_var") else v for k, v in state.items()}


def layer_in(shapes: Shapes, family: str) -> tuple[Layer, State]:
    (layer,) = [one for one in find_layers(shapes) if one.family == family]
    return layer, random_state(shapes)


def assert_gives(record: Sampling, theirs: Tensor) -> None:
    """The record's output is theirs, and its own terms add up to it."""
    assert record.output is not None
    assert theirs.std() > 1e-2
    torch.testing.assert_close(record.output, theirs[0], rtol=1e-9, atol=1e-9)
    h, w = record.output_size
    corners = torch.tensor([[0, 0], [h - 1, w - 1], [h // 2, w // 2]])
    expected = record.output[:, corners[:, 0], corners[:, 1]].T
    torch.testing.assert_close(recompute(record, corners), expected, rtol=1e-9, atol=1e-9)


def chunked(
    x: Tensor, raw: Tensor, state: State, name: str, times: int = 1, **geometry: Any
) -> Tensor:
    first, second, mask = raw.chunk(3, dim=1)
    return deform_conv2d(
        x, torch.cat((first, second), 1), state[f"{name}.weight"], state.get(f"{name}.bias"),
        mask=mask.sigmoid(), **geometry,
    )  # fmt: skip


@pytest.mark.parametrize("geometry", [{}, {"stride": 2, "padding": 2, "dilation": 2}])
@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("mmcv DCNv2", "c"),
        ("detectron2 DCNv2", "res3.0.conv2"),
        ("mmdet 1.x DCNv2", "layer2.1.conv2"),
    ],
)
def test_the_offset_convolution_is_like_the_main_one(
    family: str, name: str, geometry: dict[str, int]
) -> None:
    below = f"{name}.conv_offset" if family == "mmcv DCNv2" else f"{name}_offset"
    shapes = conv(name, (4, 8, 3, 3)) | conv(below, (54, 8, 3, 3))
    layer, state = layer_in(shapes, family)
    x = normal(1, 8, 9, 7)
    full = {"stride": 1, "padding": 1, "dilation": 1} | geometry
    raw = F.conv2d(x, state[f"{below}.weight"], state[f"{below}.bias"], **full)
    assert_gives(run_layer(layer, state, x, **geometry), chunked(x, raw, state, name, **full))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("family", ["CharlesShang DCNv2", "YOLO DCNv2", "chengdazhi DCNv2"])
def test_packs_with_a_mask_in_their_name(family: str, stride: int) -> None:
    rows = 108 if family.startswith("cheng") else 27
    shapes = pack("c", (4, 8, 3, 3), rows, "conv_offset_mask", bias=True)
    layer, state = layer_in(shapes | (norm("c.bn", 4) if family.startswith("YOLO") else {}), family)
    x, end = normal(1, 8, 9, 7), "c.conv_offset_mask"
    raw = F.conv2d(x, state[f"{end}.weight"], state[f"{end}.bias"], stride, padding=1)
    theirs = chunked(x, raw, state, "c", stride=stride, padding=1)
    assert_gives(run_layer(layer, state, x, stride, padding=1), theirs)


def test_a_grouped_v1_without_biases() -> None:
    shapes = conv("c", (8, 2, 3, 3), False) | conv("c.conv_offset", (36, 8, 3, 3), False)
    layer, state = layer_in(shapes, "mmcv DCNv1")
    x = normal(1, 8, 6, 7)
    raw = F.conv2d(x, state["c.conv_offset.weight"], padding=1)
    assert_gives(run_layer(layer, state, x), deform_conv2d(x, raw, state["c.weight"], padding=1))


def test_a_mask_convolution_of_its_own() -> None:
    shapes = conv("c.offset_conv", (18, 8, 3, 3)) | conv("c.modulator_conv", (9, 8, 3, 3))
    layer, state = layer_in(shapes | conv("c.regular_conv", (4, 8, 3, 3)), "developer0hye")
    x = normal(1, 8, 6, 7)
    raw, mask = (
        F.conv2d(x, state[f"c.{n}_conv.weight"], state[f"c.{n}_conv.bias"], padding=1)
        for n in ("offset", "modulator")
    )
    main, bias = state["c.regular_conv.weight"], state["c.regular_conv.bias"]
    theirs = deform_conv2d(x, raw, main, bias, padding=1, mask=2 * mask.sigmoid())
    assert_gives(run_layer(layer, state, x), theirs)


def test_a_depthwise_kernel_of_seven_with_dilation_three() -> None:
    shapes = conv("c.offset_net", (98, 4, 7, 7)) | conv("c.deform_conv", (4, 1, 7, 7), False)
    layer, state = layer_in(shapes, "Deformable-LKA")
    x, geometry = normal(1, 4, 9, 8), {"padding": 9, "dilation": 3}
    raw = F.conv2d(x, state["c.offset_net.weight"], state["c.offset_net.bias"], **geometry)
    theirs = deform_conv2d(x, raw, state["c.deform_conv.weight"], **geometry)
    assert_gives(run_layer(layer, state, x, dilation=3), theirs)


def test_an_offset_kernel_of_another_size_keeps_the_map() -> None:
    shapes = conv("e.offset", (50, 8, 3, 3)) | conv("e.deform_conv", (4, 8, 5, 5))
    layer, state = layer_in(shapes, "torchvision, v1")
    x = normal(1, 8, 6, 7)
    raw = F.conv2d(x, state["e.offset.weight"], state["e.offset.bias"], padding=1)
    main, bias = state["e.deform_conv.weight"], state["e.deform_conv.bias"]
    assert_gives(run_layer(layer, state, x), deform_conv2d(x, raw, main, bias, padding=2))


@pytest.mark.parametrize("name", ["EDVR", "DyHead", "FeatureAdaption", "RepPoints"])
def test_offsets_of_another_feature_map(name: str) -> None:
    shapes, main, stride = {
        "EDVR": (pack("dcn_pack.l1", (4, 8, 3, 3), 27 * 8, "conv_offset", True), "dcn_pack.l1", 1),
        "DyHead": (
            conv("t.DyConv.2.conv", (4, 8, 3, 3)) | conv("t.offset", (27, 8, 3, 3)),
            "t.DyConv.2.conv",
            2,
        ),
        "FeatureAdaption": (
            conv("f.conv_adaption", (4, 8, 3, 3)) | conv("f.conv_offset", (72, 2, 1, 1), False),
            "f.conv_adaption",
            1,
        ),
        "RepPoints": (
            conv("h.reppoints_cls_conv", (4, 8, 3, 3), False)
            | conv("h.reppoints_pts_init_conv", (6, 5, 3, 3))
            | conv("h.reppoints_pts_init_out", (18, 6, 1, 1)),
            "h.reppoints_cls_conv",
            1,
        ),
    }[name]
    layer, state = layer_in(shapes, name)
    x = normal(1, 8, 8, 10)
    channels = {"FeatureAdaption": 2, "RepPoints": 5}.get(name, 8)
    other = normal(1, channels, 8 // stride, 10 // stride, seed=3)
    geometry = {"stride": stride, "padding": 1}
    if name == "FeatureAdaption":
        raw = F.conv2d(other, state["f.conv_offset.weight"])
        bias = state["f.conv_adaption.bias"]
        theirs = deform_conv2d(x, raw, state[f"{main}.weight"], bias, **geometry)
    elif name == "RepPoints":
        first, last = "h.reppoints_pts_init_conv", "h.reppoints_pts_init_out"
        raw = F.conv2d(other, state[f"{first}.weight"], state[f"{first}.bias"], padding=1).relu()
        raw = F.conv2d(raw, state[f"{last}.weight"], state[f"{last}.bias"])
        steps = [s for row in (-1, 0, 1) for column in (-1, 0, 1) for s in (row, column)]
        raw = raw - torch.tensor(steps).double().view(1, 18, 1, 1)
        theirs = deform_conv2d(x, raw, state[f"{main}.weight"], **geometry)
    else:
        below = "dcn_pack.l1.conv_offset" if name == "EDVR" else "t.offset"
        raw = F.conv2d(other, state[f"{below}.weight"], state[f"{below}.bias"], padding=1)
        theirs = chunked(x, raw, state, main, **geometry)
    record = run_layer(layer, state, x, stride, padding=1, offset_feature=other)
    assert_gives(record, theirs)
    with pytest.raises(ValueError, match="give it as offset_feature"):
        run_layer(layer, state, x, stride, padding=1)


def aligned(shape: tuple[int, ...] = (4, 8, 3, 3)) -> tuple[Shapes, str]:
    shapes = conv("c", shape, False) | {"c.weight_diff": shape}
    shapes |= {"c.weight_gamma": (4, 1, 1, 1), "c.weight_beta": (4, 1, 1, 1)}
    shapes |= conv("c.switch", (1, 8, 1, 1)) | conv("c.pre_context", (8, 8, 1, 1))
    return shapes | conv("c.offset_s", (18, 8, 3, 3)) | conv("c.offset_l", (18, 8, 3, 3)), "c"


@pytest.mark.parametrize("branch", ["small", "large"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_branch_of_detectors(branch: str, stride: int) -> None:
    shapes, _ = aligned()
    layer, state = layer_in(shapes, f"DetectoRS SAC, {branch}")
    x = normal(1, 8, 8, 8)
    mean = F.adaptive_avg_pool2d(x, 1)
    x_in = x + F.conv2d(mean, state["c.pre_context.weight"], state["c.pre_context.bias"])
    pooled = F.avg_pool2d(F.pad(x_in, (2, 2, 2, 2), mode="reflect"), 5, stride=1, padding=0)
    end = f"c.offset_{branch[0]}"
    raw = F.conv2d(pooled, state[f"{end}.weight"], state[f"{end}.bias"], stride, padding=1)
    weight = state["c.weight"]
    weight = weight - weight.mean(dim=(1, 2, 3), keepdim=True)
    weight = weight / torch.sqrt(weight.view(4, -1).var(dim=1) + 1e-5).view(4, 1, 1, 1)
    weight = state["c.weight_gamma"] * weight + state["c.weight_beta"]
    times = 1 if branch == "small" else 3
    weight = weight if branch == "small" else weight + state["c.weight_diff"]
    theirs = deform_conv2d(x_in, raw, weight, stride=stride, padding=times, dilation=times)
    assert_gives(run_layer(layer, state, x, stride), theirs)


def test_the_blogs_version_at_its_usual_size_is_torchvisions() -> None:
    shapes = conv("b.conv", (4, 8, 3, 3), False) | conv("b.p_conv", (18, 8, 3, 3))
    layer, state = layer_in(shapes | conv("b.m_conv", (9, 8, 3, 3)), "blog v2")
    x = normal(1, 8, 7, 6)
    raw, mask = (
        F.conv2d(x, state[f"b.{n}_conv.weight"], state[f"b.{n}_conv.bias"], 2, padding=1)
        for n in "pm"
    )
    interleaved = torch.stack([raw[:, :9], raw[:, 9:]], dim=2).flatten(1, 2)
    theirs = deform_conv2d(
        x, interleaved, state["b.conv.weight"], stride=2, padding=1, mask=mask.sigmoid()
    )
    assert_gives(run_layer(layer, state, x, stride=2), theirs)


def test_ldconv_runs_on_a_map_of_its_own_shape() -> None:
    shapes = conv("m.conv.0", (4, 8, 4, 1), False) | conv("m.p_conv", (8, 8, 3, 3))
    layer, state = layer_in(shapes | {"m.p_n": (1, 8, 1, 1)}, "LDConv")
    state["m.p_conv.weight"] *= 0
    state["m.p_conv.bias"] *= 0
    state["m.p_n"] = torch.tensor([0.0, 0, 1, 1, 0, 1, 0, 1]).double().view(1, 8, 1, 1)
    x = normal(1, 8, 6, 6)
    record = run_layer(layer, state, x)
    # Without offsets, and away from the border, it is a 2 x 2 convolution.
    theirs = F.conv2d(x, state["m.conv.0.weight"].view(4, 8, 2, 2))
    assert record.output is not None
    torch.testing.assert_close(record.output[:, :4, :4], theirs[0, :, :4, :4])
    assert record.output_size == (6, 6)


@pytest.mark.parametrize("first", [False, True], ids=["pro", "first release"])
@pytest.mark.parametrize("along_x", [True, False])
def test_dscnet_normalises_before_it_moves(first: bool, along_x: bool) -> None:
    shapes = conv("s.offset_conv", (6, 8, 3, 3))
    shapes |= conv("s.dsc_conv_x", (4, 8, 3, 1)) | conv("s.dsc_conv_y", (4, 8, 1, 3))
    shapes |= norm("s.bn", 6) if first else conv("s.gn_offset", (6,))
    layer, state = layer_in(shapes, "DSCNet, first release" if first else "DSCNet")
    layer = layer.override(kernel_size=(1, 3) if along_x else (3, 1))
    x = normal(1, 8, 7, 6)
    raw = F.conv2d(x, state["s.offset_conv.weight"], state["s.offset_conv.bias"], padding=1)
    if first:
        stats = (state[f"s.bn.{end}"] for end in ("running_mean", "running_var", "weight", "bias"))
        raw = F.batch_norm(raw, *stats)
    else:
        raw = F.group_norm(raw, 3, state["s.gn_offset.weight"], state["s.gn_offset.bias"])
    steps = torch.tanh(raw[0, :3] if along_x else raw[0, 3:])
    steps[1] = 0  # three taps: the two at the ends move by their own step in either release
    record = run_layer(layer, state, x)
    moved = record.points() - record.kernel.regular_grid((7, 6), x)
    across = moved[0, :, 0] if along_x else moved[0, :, 1]
    inside = slice(2, 4)  # where nothing leaves the map
    torch.testing.assert_close(across[:, inside, inside], steps[:, inside, inside])
    weight = state["s.dsc_conv_x.weight" if along_x else "s.dsc_conv_y.weight"]
    assert record.weight is not None
    assert torch.equal(record.weight.flatten(2), weight.flatten(2))
    bias = state["s.dsc_conv_x.bias" if along_x else "s.dsc_conv_y.bias"]
    assert record.bias is not None
    assert torch.equal(record.bias, bias)
    assert record.output is not None
    centre = torch.tensor([[3, 3]])
    torch.testing.assert_close(record.output[:, 3, 3][None], recompute(record, centre))


def test_cyclemlp_needs_no_convolution_for_its_steps() -> None:
    shapes = conv("c.sfc_h", (5, 6, 1, 1)) | {"c.sfc_h.offset": (1, 12, 1, 1)}
    layer, state = layer_in(shapes, "CycleMLP")
    state["c.sfc_h.offset"] = torch.tensor([0, 0, 0, 1, 0, -1] * 2).double().view(1, 12, 1, 1)
    x = normal(1, 6, 5, 7)
    offset = state["c.sfc_h.offset"].expand(1, -1, 5, 7)
    theirs = deform_conv2d(x, offset, state["c.sfc_h.weight"], state["c.sfc_h.bias"])
    assert_gives(run_layer(layer, state, x), theirs)


def test_mxnets_first_operator_on_a_map() -> None:
    shapes = {"a_weight": (4, 8, 3, 3), "a_offset_weight": (18, 8, 3, 3), "a_offset_bias": (18,)}
    layer, state = layer_in(shapes, "MXNet DCNv1")
    x = normal(1, 8, 6, 6)
    state["a_offset_weight"] *= 0.1
    record = run_layer(layer, state, x)
    raw = F.conv2d(x, state["a_offset_weight"], state["a_offset_bias"], padding=1)
    theirs = deform_conv2d(x, raw, state["a_weight"], padding=1)[0]
    assert record.output is not None
    points = record.base() + raw[0].view(1, 9, 2, 6, 6)
    inside = ((points >= 0) & (points <= 5)).all(dim=2).all(dim=1)[0]  # [h, w]
    assert inside.any()
    assert not inside.all()
    torch.testing.assert_close(record.output[:, inside], theirs[:, inside])


# ---- real files


def real(path: Path, name: str) -> tuple[Layer, State]:
    """A layer of a file, its weights in float64, so that the comparison may be a close one."""
    if not path.is_file():
        pytest.skip(f"no {path.name} here")
    state = torch.load(path, map_location="cpu", weights_only=True)
    layers = find_layers({key: tuple(tensor.shape) for key, tensor in state.items()})
    (layer,) = [one for one in layers if one.name.startswith(name)]
    return layer, {key: tensor.double() for key, tensor in state.items()}


@pytest.mark.parametrize("name", ["block3.conv1", "block3.conv2", "block4.conv1", "block4.conv2"])
def test_aliked_computes_what_torchvision_does(shared_data: Path, name: str) -> None:
    layer, state = real(shared_data / "aliked-n16.pth", name)
    x = 10 * normal(1, layer.in_channels, 12, 16)
    weight, bias = state[f"{name}.offset_conv.weight"], state[f"{name}.offset_conv.bias"]
    offset, limit = F.conv2d(x, weight, bias, padding=1), max(12, 16) / 4
    assert offset.abs().max() > limit, "or the clamp would not bind"
    main = state[f"{name}.regular_conv.weight"]
    theirs = deform_conv2d(x, offset.clamp(-limit, limit), main, padding=1)
    record = run_layer(layer, state, x, image_map=ImageMap.of_stride(8))
    assert_gives(record, theirs)
    assert record.image_map == ImageMap.of_stride(8)
    assert record.name == layer.name


@pytest.mark.parametrize("name", ["conv4", "conv5"])
def test_scaled_mnist_computes_what_torchvision_does(shared_data: Path, name: str) -> None:
    layer, state = real(shared_data / "scaled-mnist-dcnv2.pth", name)
    x = normal(1, 32, 14, 14).relu()
    raw, mask = (
        F.conv2d(x, state[f"{name}.{n}.weight"], state[f"{name}.{n}.bias"], padding=1)
        for n in ("offset_conv", "modulator_conv")
    )
    main, bias = state[f"{name}.regular_conv.weight"], state[f"{name}.regular_conv.bias"]
    theirs = deform_conv2d(x, raw, main, bias, padding=1, mask=2 * mask.sigmoid())
    assert_gives(run_layer(layer, state, x), theirs)


# ---- what cannot be run


@pytest.mark.parametrize(
    "name", ["DCNv3", "DCNv4", "deformable attention", "DAT", "BasicVSR++", "DRConv", "VFNet"]
)
def test_what_takes_more_than_an_offset_convolution_says_so(name: str) -> None:
    assert family_of(name).run == ""
    layer, state = layer_in(LAYOUTS[name].shapes, name)
    with pytest.raises(ValueError, match="give what its offset layers return to to_canonical"):
        run_layer(layer, state, torch.zeros(1, layer.in_channels, 4, 4))


def test_what_does_not_fit_is_refused() -> None:
    layer, state = layer_in(pack("c", (4, 8, 3, 3), 27, "conv_offset", True), "mmcv DCNv2")
    with pytest.raises(ValueError, match=r"reads a map \[1, 8, H, W\], got \[1, 7, 5, 5\]"):
        run_layer(layer, state, torch.zeros(1, 7, 5, 5))
    with pytest.raises(ValueError, match=r"reads a map \[1, 8, H, W\], got \[2, 8, 5, 5\]"):
        run_layer(layer, state, torch.zeros(2, 8, 5, 5))
    with pytest.raises(ValueError, match="input must be"):
        run_layer(layer, state, torch.zeros(8, 5, 5))
    del state["c.weight"]
    with pytest.raises(ValueError, match=r"needs the tensor 'c\.weight'"):
        run_layer(layer, state, torch.zeros(1, 8, 5, 5))


def test_no_gradient_is_kept() -> None:
    layer, state = layer_in(pack("c", (4, 8, 3, 3), 27, "conv_offset", True), "mmcv DCNv2")
    state = {key: tensor.requires_grad_() for key, tensor in state.items()}
    record = run_layer(layer, state, normal(1, 8, 5, 5).requires_grad_())
    assert not any(tensor.requires_grad for tensor in record.known().values())
