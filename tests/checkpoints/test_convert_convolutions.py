"""Offsets on a regular grid: each family's own arithmetic, restated, against the canonical form."""

from __future__ import annotations

import pytest
import torch
from layouts import conv, pack
from restated import assert_same, normal, only, read
from torch import Tensor
from torchvision.ops import deform_conv2d

from deformviz.checkpoints import Layer, to_canonical

GEOMETRY = {"stride": (2, 1), "padding": (1, 2), "dilation": (2, 1)}


def joint(prefix: str, rows: int, below: str, channels: int = 8, bias: bool = True) -> dict:
    return pack(prefix, (4, channels, 3, 3), rows, below, bias)


def beside(prefix: str, rows: int, channels: int = 8) -> dict:
    return conv(f"{prefix}conv2", (4, channels, 3, 3), False) | conv(
        f"{prefix}conv2_offset", (rows, channels, 3, 3)
    )


MODULATED: dict[str, Layer] = {
    name: only(shapes, name)
    for name, shapes in {
        "mmcv DCNv2": joint("c", 27 * 4, "conv_offset"),
        "YOLO DCNv2": joint("c", 27, "conv_offset_mask") | conv("c.bn", (4,)),
        "chengdazhi DCNv2": joint("c", 27 * 2, "conv_offset_mask"),
        "CharlesShang DCNv2": joint("c", 27, "conv_offset_mask"),
        "EDVR": joint("p.dcn_pack.l1", 27 * 8, "conv_offset"),
        "mmdet 1.x DCNv2": beside("layer3.0.", 27),
        "detectron2 DCNv2": beside("res4.0.", 27 * 4),
        "FeatureAdaption v2": conv("f.conv_offset_mask", (54, 2, 1, 1))
        | conv("f.conv_adaption", (4, 8, 3, 3)),
        "DyHead": conv("t.0.offset", (27, 8, 3, 3)) | conv("t.0.DyConv.1.conv", (4, 8, 3, 3)),
        "mmdet DyHead": conv("b.0.spatial_conv_offset", (27, 8, 3, 3))
        | conv("b.0.spatial_conv_mid.conv", (4, 8, 3, 3), False),
        "torchvision, v2": conv("e.offset_conv", (54, 8, 3, 3)) | conv("e.dcn", (4, 8, 3, 3)),
        "torchvision, v2 beside": conv("e.c1", (4, 8, 3, 3)) | conv("e.offset_c1", (27, 8, 3, 3)),
    }.items()
}


def modulated(
    x: Tensor, raw: Tensor, weight: Tensor, times: float = 1, **geometry: object
) -> Tensor:
    """As mmcv, detectron2, BasicSR and the others write it: three chunks, two of them offsets."""
    first, second, mask = torch.chunk(raw, 3, dim=1)
    offset = torch.cat((first, second), dim=1)
    return deform_conv2d(x, offset, weight, mask=times * torch.sigmoid(mask), **geometry)[0]


@pytest.mark.parametrize("name", MODULATED)
def test_offsets_then_masks_of_one_tensor(name: str) -> None:
    layer, x, weight = MODULATED[name], normal(1, 8, 9, 7), normal(4, 8, 3, 3)
    raw = normal(1, layer.shapes["offset.weight"][0], 4, 9, scale=2.0)
    canonical = to_canonical(layer, raw, **GEOMETRY)
    assert_same(read(canonical, x, weight), modulated(x, raw, weight, **GEOMETRY))


def test_mxnet_v2_takes_twice_the_sigmoid() -> None:
    shapes = {"a_conv2_weight": (4, 8, 3, 3), "a_conv2_offset_weight": (27, 8, 3, 3)}
    layer, x, weight = only(shapes, "MXNet DCNv2"), normal(1, 8, 6, 7), normal(4, 8, 3, 3)
    raw = normal(1, 27, 6, 7)
    canonical = to_canonical(layer, raw, padding=1)
    assert_same(read(canonical, x, weight), modulated(x, raw, weight, times=2, padding=1))


PLAIN: dict[str, Layer] = {
    name: only(shapes, name)
    for name, shapes in {
        "mmcv DCNv1": joint("c", 18 * 2, "conv_offset", bias=False),
        "mmdet 1.x DCNv1": beside("layer3.0.", 18 * 4),
        "detectron2 DCNv1": beside("res4.0.", 18),
        "FeatureAdaption": conv("f.conv_offset", (72, 2, 1, 1))
        | conv("f.conv_adaption", (4, 8, 3, 3)),
        "torchvision, v1": conv("e.offset", (36, 8, 3, 3)) | conv("e.deform", (4, 8, 3, 3)),
        "torchvision, v1 beside": conv("e.c1", (4, 8, 3, 3)) | conv("e.c1_offset", (18, 8, 3, 3)),
    }.items()
}


@pytest.mark.parametrize("name", PLAIN)
def test_offsets_alone(name: str) -> None:
    layer, x, weight = PLAIN[name], normal(1, 8, 9, 7), normal(4, 8, 3, 3)
    raw = normal(1, layer.shapes["offset.weight"][0], 4, 9, scale=2.0)
    canonical = to_canonical(layer, raw, **GEOMETRY)
    assert canonical.mask is None
    assert_same(read(canonical, x, weight), deform_conv2d(x, raw, weight, **GEOMETRY)[0])


@pytest.mark.parametrize(
    ("name", "main", "mask", "times"),
    [
        ("developer0hye", "regular_conv", "modulator_conv", 2),
        ("torchvision, v2 with a mask convolution", "conv", "mask_conv", 1),
    ],
)
def test_a_mask_convolution_of_its_own(name: str, main: str, mask: str, times: int) -> None:
    shapes = conv("e.offset_conv", (18, 8, 3, 3)) | conv(f"e.{mask}", (9, 8, 3, 3))
    layer = only(shapes | conv(f"e.{main}", (4, 8, 3, 3)), name)
    x, weight, raw, raw_mask = normal(1, 8, 6, 7), normal(4, 8, 3, 3), *both(6, 7)
    canonical = to_canonical(layer, raw, raw_mask, padding=1)
    modulator = times * torch.sigmoid(raw_mask)
    theirs = deform_conv2d(x, raw, weight, mask=modulator, padding=1)[0]
    assert_same(read(canonical, x, weight), theirs)


def both(h: int, w: int) -> tuple[Tensor, Tensor]:
    return normal(1, 18, h, w, scale=2.0), normal(1, 9, h, w, seed=1)


def test_deformable_lka_is_depthwise_with_large_kernels() -> None:
    shapes = conv("a.offset_net", (98, 4, 7, 7)) | conv("a.deform_conv", (4, 1, 7, 7), False)
    layer, x, weight = only(shapes, "Deformable-LKA"), normal(1, 4, 9, 8), normal(4, 1, 7, 7)
    raw = normal(1, 98, 9, 8, scale=2.0)
    canonical = to_canonical(layer, raw, padding=9, dilation=3)
    theirs = deform_conv2d(x, raw, weight, padding=9, dilation=3)[0]
    assert_same(read(canonical, x, weight), theirs)


@pytest.mark.parametrize(("name", "rows"), [("ALIKED", 18), ("ALIKED v2", 27)])
def test_aliked_clamps_to_a_quarter_of_the_longer_side(name: str, rows: int) -> None:
    shapes = conv("block3.conv1.offset_conv", (rows, 4, 3, 3)) | conv(
        "block3.conv1.regular_conv", (4, 4, 3, 3), False
    )
    layer, x, weight = only(shapes, name), normal(1, 4, 6, 8), normal(4, 4, 3, 3)
    raw = normal(1, rows, 6, 8, scale=3.0)
    limit = max(6, 8) / 4
    assert raw[:, :18].abs().max() > limit, "or nothing would be clamped"
    mask = torch.sigmoid(raw[:, 18:]) if rows == 27 else None
    theirs = deform_conv2d(x, raw[:, :18].clamp(-limit, limit), weight, mask=mask, padding=1)[0]
    canonical = to_canonical(layer, raw, padding=1, size=(6, 8))
    assert_same(read(canonical, x, weight), theirs)


@pytest.mark.parametrize(("branch", "times"), [("small", 1), ("large", 3)])
def test_detectors_branches_differ_in_padding_and_dilation(branch: str, times: int) -> None:
    shapes = conv("c", (4, 4, 3, 3), False) | {"c.weight_diff": (4, 4, 3, 3)}
    shapes |= {"c.weight_gamma": (4, 1, 1, 1), "c.weight_beta": (4, 1, 1, 1)}
    shapes |= conv("c.pre_context", (4, 4, 1, 1))
    shapes |= conv("c.offset_s", (18, 4, 3, 3)) | conv("c.offset_l", (18, 4, 3, 3))
    layer = only(shapes, f"DetectoRS SAC, {branch}")
    x, weight, raw = normal(1, 4, 8, 8), normal(4, 4, 3, 3), normal(1, 18, 4, 4)
    canonical = to_canonical(layer, raw, stride=2, padding=1)
    theirs = deform_conv2d(x, raw, weight, stride=2, padding=times, dilation=times)[0]
    assert_same(read(canonical, x, weight), theirs)


def test_reppoints_takes_the_regular_taps_off_its_points() -> None:
    shapes = conv("h.reppoints_cls_conv", (4, 4, 3, 3), False)
    shapes |= conv("h.reppoints_pts_init_conv", (6, 4, 3, 3))
    shapes |= conv("h.reppoints_pts_init_out", (18, 6, 1, 1))
    layer, x, weight = only(shapes, "RepPoints"), normal(1, 4, 6, 5), normal(4, 4, 3, 3)
    points = normal(1, 18, 6, 5, scale=2.0)
    steps = [step for row in (-1, 0, 1) for column in (-1, 0, 1) for step in (row, column)]
    dcn_offset = points - torch.tensor(steps).double().view(1, 18, 1, 1)
    canonical = to_canonical(layer, points, padding=1)
    assert_same(read(canonical, x, weight), deform_conv2d(x, dcn_offset, weight, padding=1)[0])


def test_vfnet_reads_nine_points_of_a_box() -> None:
    shapes = conv("h.vfnet_cls_dconv", (4, 4, 3, 3), False)
    layer, x, weight = only(shapes, "VFNet"), normal(1, 4, 6, 5), normal(4, 4, 3, 3)
    box = normal(1, 4, 6, 5).abs()
    x1, y1, x2, y2 = box[0]
    star = torch.zeros(18, 6, 5, dtype=torch.float64)
    for channel, value in {
        0: -y1, 1: -x1, 2: -y1, 4: -y1, 5: x2, 7: -x1, 11: x2,
        12: y2, 13: -x1, 14: y2, 16: y2, 17: x2,
    }.items():  # fmt: skip
        star[channel] = value
    steps = [step for row in (-1, 0, 1) for column in (-1, 0, 1) for step in (row, column)]
    offset = star - torch.tensor(steps).double().view(18, 1, 1)
    canonical = to_canonical(layer, None, padding=1, base=box)
    assert_same(read(canonical, x, weight), deform_conv2d(x, offset[None], weight, padding=1)[0])


def basicvsr() -> Layer:
    shapes = conv("d", (4, 8, 3, 3))
    for step in (0, 2, 4):
        shapes |= conv(f"d.conv_offset.{step}", (4, 4, 3, 3))
    return only(shapes | conv("d.conv_offset.6", (27 * 4, 4, 3, 3)), "BasicVSR++")


def test_basicvsr_adds_two_flows_to_a_bounded_residue() -> None:
    layer, x, weight = basicvsr(), normal(1, 8, 6, 5), normal(4, 8, 3, 3)
    raw = normal(1, 108, 6, 5)
    flow_1, flow_2 = normal(1, 2, 6, 5), normal(1, 2, 6, 5, seed=1)
    first, second, mask = torch.chunk(raw, 3, dim=1)
    residue = 10 * torch.tanh(torch.cat((first, second), dim=1))
    one, two = torch.chunk(residue, 2, dim=1)  # (x, y) flows are added as (y, x)
    one = one + flow_1.flip(1).repeat(1, one.shape[1] // 2, 1, 1)
    two = two + flow_2.flip(1).repeat(1, two.shape[1] // 2, 1, 1)
    offset = torch.cat([one, two], dim=1)
    theirs = deform_conv2d(x, offset, weight, mask=torch.sigmoid(mask), padding=1)[0]
    flows = torch.stack([flow_1, flow_2], dim=1)
    canonical = to_canonical(layer, raw, padding=1, base=flows)
    assert_same(read(canonical, x, weight), theirs)


def test_basicvsr_without_flows_is_its_residue() -> None:
    layer, raw = basicvsr().override(scale=4.0), normal(1, 108, 3, 3)
    canonical = to_canonical(layer, raw, padding=1)
    expected = (4 * torch.tanh(raw[:, :72])).reshape(1, 4, 9, 2, 3, 3)
    torch.testing.assert_close(canonical.offset, expected)


def test_c2_matching_adds_a_match_of_each_tap() -> None:
    layer = only(joint("r.small_dyn_agg", 27 * 2, "conv_offset_mask"), "C2-Matching")
    x, weight, raw = normal(1, 8, 6, 5), normal(4, 8, 3, 3), normal(1, 54, 6, 5)
    match = normal(1, 9, 6, 5, 2, scale=2.0)  # (x, y)
    first, second, mask = torch.chunk(raw, 3, dim=1)
    offset = 10 * torch.tanh(torch.cat((first, second), dim=1))
    repeated = match.repeat([1, 2, 1, 1, 1])
    offset[:, 0::2] += repeated[..., 1]
    offset[:, 1::2] += repeated[..., 0]
    theirs = deform_conv2d(x, offset, weight, mask=torch.sigmoid(mask), padding=1)[0]
    canonical = to_canonical(layer, raw, padding=1, base=match)
    assert_same(read(canonical, x, weight), theirs)


# ---- orders


def plain(groups: int = 1) -> Layer:
    return only(joint("c", 18 * groups, "conv_offset", bias=False), "mmcv DCNv1")


def channel(order: str, group: int, i: int, j: int, axis: int, kernel: int = 3) -> int:
    """Where dy (axis 0) or dx (axis 1) of tap (i, j) stands, counted out."""
    taps = kernel * kernel
    place = 1 - axis if order.endswith("-xy") else axis
    tap = j * kernel + i if order.startswith("columns") else i * kernel + j
    within = place * taps + tap if order.startswith("blocked") else 2 * tap + place
    return group * 2 * taps + within


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "order",
    ["interleaved", "interleaved-xy", "blocked", "blocked-xy", "columns", "columns-xy"],
)
def test_each_order_finds_each_tap(order: str, groups: int) -> None:
    layer = plain(groups).override(order=order)
    raw = torch.arange(18.0 * groups).reshape(1, -1, 1, 1)
    offset = to_canonical(layer, raw).offset
    for group in range(groups):
        for i in range(3):
            for j in range(3):
                for axis in (0, 1):
                    found = offset[0, group, i * 3 + j, axis, 0, 0]
                    assert found == channel(order, group, i, j, axis)


def test_a_wrong_order_reads_elsewhere() -> None:
    x, weight, raw = normal(1, 8, 6, 7), normal(4, 8, 3, 3), normal(1, 18, 6, 7)
    right = read(to_canonical(plain(), raw, padding=1), x, weight)
    for order in ("interleaved-xy", "blocked", "blocked-xy", "columns", "columns-xy"):
        wrong = to_canonical(plain().override(order=order), raw, padding=1)
        assert (read(wrong, x, weight) - right).abs().max() > 0.1


# ---- what does not fit


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (torch.zeros(1, 27, 4, 4), r"must be \[B, 18, h, w\], got \[1, 27, 4, 4\]"),
        (torch.zeros(18, 4, 4), "has 4 axes"),
        (None, "give raw_offset"),
    ],
)
def test_a_tensor_of_another_layer_is_refused(raw: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_canonical(plain(), raw)


def test_masks_of_their_own_are_asked_for() -> None:
    shapes = conv("e.offset_conv", (18, 8, 3, 3)) | conv("e.modulator_conv", (9, 8, 3, 3))
    layer = only(shapes | conv("e.regular_conv", (4, 8, 3, 3)), "developer0hye")
    with pytest.raises(ValueError, match="give raw_mask"):
        to_canonical(layer, torch.zeros(1, 18, 4, 4))
    with pytest.raises(ValueError, match=r"raw masks .* must be \[1, 9, 4, 4\]"):
        to_canonical(layer, torch.zeros(1, 18, 4, 4), torch.zeros(1, 9, 3, 4))


def test_boxes_are_asked_for() -> None:
    layer = only(conv("h.vfnet_cls_dconv", (4, 4, 3, 3), False), "VFNet")
    with pytest.raises(ValueError, match=r"give base=\[B, 4, h, w\]"):
        to_canonical(layer, None)


@pytest.mark.parametrize("outside", ["clamp", "clamp-double", "inside"])
def test_a_rule_of_the_border_asks_for_the_map(outside: str) -> None:
    with pytest.raises(ValueError, match="size="):
        to_canonical(plain().override(outside=outside), torch.zeros(1, 18, 4, 4))


def test_half_precision_is_converted_in_float32() -> None:
    raw = torch.full((1, 18, 4, 4), 0.3, dtype=torch.float16)
    offset = to_canonical(plain(), raw, padding=1).offset
    assert offset.dtype == torch.float32
    assert offset.unique().tolist() == [float(torch.tensor(0.3, dtype=torch.float16))]


def test_each_image_of_a_batch_has_its_own_record() -> None:
    raw = normal(3, 18, 4, 4)
    canonical = to_canonical(plain(), raw, padding=1)
    for index in range(3):
        alone = to_canonical(plain(), raw[index : index + 1], padding=1)
        assert torch.equal(canonical.sampling("a", (4, 4), index).offset, alone.offset[0])
