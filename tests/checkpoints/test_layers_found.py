"""Which layers of a state dict are deformable, and which only look so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layouts import LAYOUTS, Shape, Shapes, conv, pack

from deformviz.checkpoints import FAMILIES, find_layers

# ---- real files


def shapes_of(path: Path) -> Shapes:
    if not path.is_file():
        pytest.skip(f"no {path.name} here")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def test_aliked_has_its_four_layers_and_no_other(shared_data: Path) -> None:
    layers = find_layers(shapes_of(shared_data / "aliked-n16.pth"))
    names = [f"block{b}.conv{c}.regular_conv" for b in (3, 4) for c in (1, 2)]
    assert [layer.name for layer in layers] == names
    assert {layer.family for layer in layers} == {"ALIKED"}
    assert {layer.kernel_size for layer in layers} == {(3, 3)}
    assert {layer.offset_groups for layer in layers} == {1}
    assert {layer.order for layer in layers} == {"interleaved"}
    assert {layer.mask_activation for layer in layers} == {None}
    assert {layer.assumed for layer in layers} == {frozenset()}
    assert [layer.in_channels for layer in layers] == [32, 64, 64, 128]


def test_scaled_mnist_has_its_two_modulated_layers(shared_data: Path) -> None:
    layers = find_layers(shapes_of(shared_data / "scaled-mnist-dcnv2.pth"))
    assert [layer.name for layer in layers] == ["conv4.regular_conv", "conv5.regular_conv"]
    assert {layer.family for layer in layers} == {"developer0hye"}
    assert {layer.mask_activation for layer in layers} == {"2sigmoid"}
    assert {layer.kernel_size for layer in layers} == {(3, 3)}
    assert layers[0].tensors == {
        "weight": "conv4.regular_conv.weight",
        "bias": "conv4.regular_conv.bias",
        "offset.weight": "conv4.offset_conv.weight",
        "offset.bias": "conv4.offset_conv.bias",
        "mask.weight": "conv4.modulator_conv.weight",
        "mask.bias": "conv4.modulator_conv.bias",
    }


# ---- what only looks so

PLAIN: dict[str, Shapes] = {
    "ALIKED's descriptor head": {"desc_head.agg_weights": (16, 128, 128)}
    | conv("desc_head.offset_conv.0", (32, 128, 3, 3))
    | conv("desc_head.offset_conv.2", (32, 32, 1, 1))
    | conv("desc_head.sf_conv", (128, 128, 1, 1), bias=False),
    "RFR's feature convolutions": conv("m.deform_align.offset_conv1.l3", (16, 32, 3, 3))
    | conv("m.deform_align.offset_conv2.l3", (16, 16, 3, 3))
    | conv("m.deform_align.feat_conv.l3", (16, 32, 3, 3)),
    "a head called offset": conv("head.offset", (2, 64, 1, 1)) | conv("head.conv", (64, 64, 3, 3)),
    "a head of nine points": conv("head.offset", (18, 64, 3, 3))
    | conv("head.conv", (64, 64, 3, 3)),
    "a linear offset": conv("head.offset", (18, 64)) | conv("head.mask", (9, 64)),
    "offsets of a 1 x 1 kernel": conv("x.offset_conv", (32, 64, 3, 3))
    | conv("x.regular_conv", (64, 64, 1, 1)),
    "a conv_offset without its weight": conv("x.conv_offset", (18, 64, 3, 3)),
    "an offset of another kernel": conv("x", (64, 64, 3, 3))
    | conv("x.conv_offset", (18, 64, 1, 1)),
    "groups that do not divide": conv("x", (16, 16, 3, 3))
    | conv("x.conv_offset", (54 * 5, 16, 3, 3)),
    "a bias of another length": {"x.weight": (8, 8, 3, 3), "x.conv_offset.weight": (18, 8, 3, 3)}
    | {"x.conv_offset.bias": (27,)},
    "an empty weight": {"x.weight": (8, 0, 3, 3), "x.conv_offset.weight": (18, 0, 3, 3)},
    "oeway's per-channel offsets": conv("offset32", (64, 32, 3, 3), bias=False)
    | conv("conv32", (32, 32, 3, 3)),
    "an attention without its weights": conv("a.sampling_offsets", (256, 256)),
    "a ResNet": conv("layer1.0.conv1", (64, 64, 1, 1), bias=False)
    | conv("layer1.0.conv2", (64, 64, 3, 3), bias=False)
    | conv("layer1.0.downsample.0", (256, 64, 1, 1), bias=False)
    | conv("fc", (10, 512)),
    "a conditional convolution": {"m.weight": (64, 32, 3, 3)} | conv("m.fc", (4, 32)),
    "experts by a linear layer": {"m.weight": (64, 32, 3, 3)} | conv("m.fc", (8, 32)),
    "a depthwise weight beside one": {"m.weight": (32, 1, 3, 3)} | conv("m.fc", (18, 32)),
    "coordinates of something else": conv("coords_head.conv", (2, 64, 1, 1)),
    "a normalisation after CoordConv": {"coordconv.bn.weight": (32,), "coordconv.bn.bias": (32,)},
    "a plain mask head": conv("roi.mask", (80, 256, 1, 1)) | conv("roi.conv", (256, 256, 3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("shapes", PLAIN.values(), ids=list(PLAIN))
def test_what_only_looks_deformable_is_not_found(shapes: Shapes) -> None:
    assert find_layers(shapes) == []


# ---- what is in doubt


@pytest.mark.parametrize(
    ("rows", "channels", "family", "groups"),
    [
        (18, 64, "mmcv DCNv1", 1),
        (27, 64, "mmcv DCNv2", 1),
        (36, 64, "mmcv DCNv1", 2),
        (54, 64, "mmcv DCNv2", 2),  # G = 3 does not divide 64
        (108, 16, "mmcv DCNv2", 4),  # RFR
        (216, 64, "mmcv DCNv2", 8),  # EDVR's
        (54, 27, "mmcv DCNv1", 3),  # G = 2 does not divide 27
        (108, 18, "mmcv DCNv1", 6),  # G = 4 does not divide 18
    ],
)
def test_groups_that_cannot_divide_the_channels_are_ruled_out(
    rows: int, channels: int, family: str, groups: int
) -> None:
    (layer,) = find_layers(pack("c", (32, channels, 3, 3), rows, "conv_offset", bias=False))
    assert (layer.family, layer.offset_groups, layer.assumed) == (family, groups, frozenset())


@pytest.mark.parametrize(("rows", "groups"), [(54, 2), (108, 4), (216, 8)])
@pytest.mark.parametrize("bias", [True, False])
def test_where_both_fit_v2_is_taken_and_without_a_bias_said_to_be_assumed(
    rows: int, groups: int, bias: bool
) -> None:
    (layer,) = find_layers(pack("c", (32, 48, 3, 3), rows, "conv_offset", bias))
    doubts = set() if bias else {"family", "offset_groups", "mask_activation"}
    assert (layer.family, layer.offset_groups) == ("mmcv DCNv2", groups)
    assert layer.assumed == doubts


def test_channels_of_a_grouped_convolution_are_counted_on_its_offset_convolution() -> None:
    """ResNeXt: 32 groups of 8 channels; the main weight alone would say 8."""
    shapes = conv("layer.conv2", (256, 8, 3, 3), bias=False)
    shapes |= conv("layer.conv2.conv_offset", (216, 256, 3, 3))
    (layer,) = find_layers(shapes)
    assert (layer.in_channels, layer.offset_groups) == (256, 8)


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (5, 5), (7, 3)])
def test_taps_are_counted_on_the_main_weight(kernel: tuple[int, int]) -> None:
    taps = kernel[0] * kernel[1]
    (layer,) = find_layers(pack("c", (8, 16, *kernel), 2 * taps, "conv_offset", bias=False))
    assert (layer.kernel_size, layer.points, layer.offset_groups) == (kernel, taps, 1)


@pytest.mark.parametrize(
    ("rows", "channels", "groups", "points"),
    [(112, 64, 4, 9), (108, 64, 4, 9), (272, 160, 10, 9), (270, 160, 10, 9), (96, 64, 4, 8)],
    ids=["padded", "unpadded", "padded, issue 10", "unpadded, issue 10", "without the centre"],
)
def test_dcnv4_with_and_without_padding_rows(
    rows: int, channels: int, groups: int, points: int
) -> None:
    shapes = conv("d.offset_mask", (rows, channels)) | conv("d.value_proj", (channels, channels))
    (layer,) = find_layers(shapes)
    assert (layer.offset_groups, layer.points) == (groups, points)
    assert layer.kernel_size == (3, 3)


def dcnv3(groups: int, points: int, channels: int, scale: bool = False) -> Shapes:
    shapes = conv("d.offset", (2 * groups * points, channels))
    shapes |= conv("d.mask", (groups * points, channels)) | conv("d.dw_conv.0", (channels, 1, 3, 3))
    return shapes | ({"d.center_feature_scale_proj_weight": (groups, channels)} if scale else {})


def test_dcnv3_without_its_centre_is_told_by_its_rows() -> None:
    (layer,) = find_layers(dcnv3(4, 8, 64))
    assert (layer.offset_groups, layer.points, layer.kernel_size) == (4, 8, (3, 3))


def test_dcnv3_that_could_be_two_things_says_so_unless_its_centre_scale_settles_it() -> None:
    # 72 rows: 8 groups of 9 taps, or 9 groups of 8; 576 channels allow both.
    (layer,) = find_layers(dcnv3(9, 8, 576))
    assert layer.assumed == {"scale", "kernel_size", "offset_groups"}
    assert (layer.offset_groups, layer.points) == (8, 9)
    (layer,) = find_layers(dcnv3(9, 8, 576, scale=True))
    assert layer.assumed == {"scale"}
    assert (layer.offset_groups, layer.points) == (9, 8)


@pytest.mark.parametrize(
    ("level_embed", "levels", "known"),
    [("transformer.level_embed", 4, True), ("model.level_embed", 4, True), (None, 4, False)],
)
def test_levels_of_attention_are_counted_on_the_level_embedding(
    level_embed: str | None, levels: int, known: bool
) -> None:
    module = "model" if level_embed == "model.level_embed" else "transformer"
    name = f"{module}.encoder.layers.0.self_attn"  # model: Hugging Face transformers
    shapes: Shapes = {} if level_embed is None else {level_embed: (levels, 256)}
    shapes |= conv(f"{name}.sampling_offsets", (256, 256))
    shapes |= conv(f"{name}.attention_weights", (128, 256))
    (layer,) = find_layers(shapes)
    assert (layer.name, layer.levels, layer.points) == (name, levels, 4)
    assert ("levels" not in layer.assumed) == known


def test_mask2formers_three_levels() -> None:
    name = "sem_seg_head.pixel_decoder.transformer.encoder.layers.0.self_attn"
    shapes: Shapes = {"sem_seg_head.pixel_decoder.transformer.level_embed": (3, 256)}
    shapes |= conv(f"{name}.sampling_offsets", (192, 256))
    shapes |= conv(f"{name}.attention_weights", (96, 256))
    (layer,) = find_layers(shapes)
    assert (layer.levels, layer.offset_groups, layer.points) == (3, 8, 4)


def test_megvii_kernels_that_are_not_settled_are_assumed_unless_a_bias_counts_the_filters() -> None:
    shapes = {"c.weight": (18 * 24, 8)} | conv("c.routing_fc", (32, 24))
    (layer,) = find_layers(shapes)
    assert (layer.kernel_size, layer.assumed) == ((1, 1), {"kernel_size"})
    (layer,) = find_layers(shapes | {"c.bias": (2,)})
    assert (layer.kernel_size, layer.assumed) == ((3, 3), frozenset())


# ---- whole files


def test_layers_come_in_the_order_of_the_file() -> None:
    """Not in that of the table: each family's piece stands where the file has it."""
    pieces = list(reversed(LAYOUTS.items()))
    shapes = {
        f"part{index}.{key}": shape
        for index, (_, layout) in enumerate(pieces)
        for key, shape in layout.shapes.items()
    }
    layers = find_layers(shapes)
    parts = [int(layer.name.split(".")[0].removeprefix("part")) for layer in layers]
    assert parts == sorted(parts)
    assert {pieces[part][0] for part in parts} == set(LAYOUTS)
    assert [layer.family for layer in find_layers(dict(reversed(shapes.items())))] != [
        layer.family for layer in layers
    ]


def test_names_are_unique() -> None:
    shapes = {
        f"{i}.{k}": v for i, lay in enumerate(LAYOUTS.values()) for k, v in lay.shapes.items()
    }
    names = [layer.name for layer in find_layers(shapes)]
    assert len(names) == len(set(names)) > len(LAYOUTS) - 2


def test_three_convolutions_that_share_their_offsets_are_three_layers() -> None:
    shapes = conv("t.0.offset", (27, 64, 3, 3))
    for i in range(3):
        shapes |= conv(f"t.0.DyConv.{i}.conv", (64, 64, 3, 3))
    assert [layer.name for layer in find_layers(shapes)] == [
        f"t.0.DyConv.{i}.conv" for i in range(3)
    ]


@pytest.mark.parametrize("name", ["pcd_align.L1_dcnpack", "pcd_align.cas_dcnpack"])
def test_the_names_of_the_first_edvr(name: str) -> None:
    (layer,) = find_layers(pack(name, (64, 64, 3, 3), 216, "conv_offset_mask", bias=True))
    assert (layer.name, layer.family, layer.offset_groups) == (name, "EDVR", 8)


def test_a_module_alone_has_its_layer_too() -> None:
    shapes: Shapes = {"weight": (8, 8, 3, 3), "conv_offset.weight": (18, 8, 3, 3)}
    (layer,) = find_layers(shapes)
    assert (layer.name, layer.tensors["offset.weight"]) == ("weight", "conv_offset.weight")


# ---- any file

ENDS = sorted(
    {
        name.removeprefix("^").replace("{n}", "conv2").replace("{i}", "1")
        for family in FAMILIES
        for names in family.keys.values()
        for name in names.split("|")
    }
)
MODULES = st.sampled_from(["", "a.", "block3.conv1.", "res4.0."])
NAMES = st.one_of(st.text(max_size=12), st.builds("{}{}".format, MODULES, st.sampled_from(ENDS)))
SIZES = st.sampled_from([0, 1, 2, 3, 4, 8, 9, 18, 27, 54, 108])
SHAPES = st.lists(SIZES, max_size=5).map(tuple)


@given(st.dictionaries(NAMES, SHAPES, max_size=12))
def test_any_names_and_shapes_give_an_answer(shapes: dict[str, Shape]) -> None:
    for layer in find_layers(shapes):
        assert set(layer.tensors.values()) <= set(shapes)
        assert layer.offset_groups >= 1
        assert layer.in_channels % layer.offset_groups == 0


@given(st.dictionaries(st.text(max_size=12), SHAPES, max_size=8))
def test_tensors_that_are_no_part_of_a_layer_do_not_change_it(others: dict[str, Shape]) -> None:
    layout = LAYOUTS["mmcv DCNv2"].shapes
    others = {f"unrelated.{key}": shape for key, shape in others.items()}
    layers = find_layers(others | layout)
    assert find_layers(layout)[0] in layers
