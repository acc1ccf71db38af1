"""Users of torchvision's operator, who name their offset convolutions as they like; MXNet's ports.

Rows of `FAMILIES`: published code first, then the likely names, of which everything is assumed.
"""

from __future__ import annotations

from dataclasses import replace

from ..family import Family
from .conv_shapes import larger, tap_conv
from .packs import BESIDE

_REGULAR = {
    "weight": "regular_conv.weight",
    "bias?": "regular_conv.bias",
    "offset.weight": "offset_conv.weight",
    "offset.bias?": "offset_conv.bias",
}
_ALIKED = Family(
    name="ALIKED",
    source="Shiaoming/ALIKED, nets/blocks.py: DeformableConv2d",
    keys=_REGULAR,
    read=tap_conv(2),
    relative_to="tap, clamped",
    scale=0.25,
    within=r"(^|\.)block\d+\.conv\d+$",
    run="like main",
    note="Offsets are clamped to a quarter of the map's longer side.",
)
_MAINS = (
    "deform_conv|deform_conv2d|deformconv|deformable_conv|deformable_conv2d|deform|dcn|dcn_conv"
    "|dconv|conv_deform|regular_conv"
)
_OFFSETS = "offset_conv|conv_offset|offset_net|offset|offsets|offset_layer|offset_conv2d"


def _all(names: str, ending: str) -> str:
    """Each of the alternatives, with an ending."""
    return "|".join(f"{name}.{ending}" for name in names.split("|"))


_MXNET = Family(
    name="MXNet DCNv2",
    source="msracver/Deformable-ConvNets, DCNv2_op/example_symbol.py; rfcn/symbols for v1",
    keys={
        "weight": "{n}_weight",
        "bias?": "{n}_bias",
        "offset.weight": "{n}_offset_weight",
        "offset.bias?": "{n}_offset_bias",
    },
    read=tap_conv(3, rival=True),
    mask_activation="2sigmoid",
    run="like main",
    assumed=frozenset({"family", "mask_activation"}),
    note="A port of MXNet's parameters. Its example takes 2 * sigmoid, the paper sigmoid.",
)
_GENERIC_KEYS = {
    "weight": _all(_MAINS, "weight"),
    "bias?": _all(_MAINS, "bias"),
    "offset.weight": _all(_OFFSETS, "weight"),
    "offset.bias?": _all(_OFFSETS, "bias"),
}
_BESIDE = BESIDE | {
    "offset.weight": "{n}_offset.weight|offset_{n}.weight",
    "offset.bias?": "{n}_offset.bias|offset_{n}.bias",
}
_MASKS = "modulator_conv|mask_conv|conv_mask|modulation_conv|mask_net|mask|modulator"
_GENERIC = Family(
    name="torchvision, v1",
    source="users of torchvision.ops.deform_conv2d with names of their own",
    keys=_GENERIC_KEYS,
    read=larger(tap_conv(2, rival=True, own_kernel=True)),
    run="like main",
    assumed=frozenset({"family", "order"}),
    note="Recognised by a likely name and fitting shapes: check it by the layer's own output.",
)
TORCHVISION = (
    replace(_ALIKED, name="ALIKED v2", read=tap_conv(3), mask_activation="sigmoid"),
    _ALIKED,
    Family(
        name="developer0hye",
        source="developer0hye/PyTorch-Deformable-Convolution-v2, dcn.py",
        keys=_REGULAR
        | {"mask.weight": "modulator_conv.weight", "mask.bias?": "modulator_conv.bias"},
        read=tap_conv(2),
        mask_activation="2sigmoid",
        run="like main",
        assumed=frozenset({"mask_activation", "relative_to"}),
        note="Copies with the same names clamp the offsets to a quarter of the map, or take a "
        "plain sigmoid.",
    ),
    Family(
        name="Deformable-LKA",
        source="xmindflow/deformableLKA: DeformConv",
        keys={
            "weight": "deform_conv.weight",
            "bias?": "deform_conv.bias",
            "offset.weight": "offset_net.weight",
            "offset.bias?": "offset_net.bias",
        },
        read=larger(tap_conv(2)),
        run="like main",
        note="Depthwise: 5 x 5, then 7 x 7 with dilation 3.",
    ),
    _MXNET,
    replace(
        _MXNET,
        name="MXNet DCNv1",
        read=tap_conv(2, rival=True),
        mask_activation=None,
        outside="inside",
        assumed=frozenset({"family", "outside"}),
        note="A port of MXNet's parameters. The operator of 2017 drops points outside the map and "
        "holds the last pixel between H - 1 and H.",
    ),
    replace(
        _GENERIC,
        name="torchvision, v2 with a mask convolution",
        keys=_GENERIC_KEYS
        | {
            "weight": _all(_MAINS + "|conv", "weight"),
            "bias?": _all(_MAINS + "|conv", "bias"),
            "mask.weight": _all(_MASKS, "weight"),
            "mask.bias?": _all(_MASKS, "bias"),
        },
        read=larger(tap_conv(2, own_kernel=True)),
        mask_activation="sigmoid",
        assumed=_GENERIC.assumed | {"mask_activation"},
    ),
    replace(
        _GENERIC,
        name="torchvision, v2",
        read=larger(tap_conv(3, rival=True, own_kernel=True)),
        mask_activation="sigmoid",
        assumed=_GENERIC.assumed | {"mask_activation"},
    ),
    _GENERIC,
    replace(
        _GENERIC,
        name="torchvision, v2 beside",
        keys=_BESIDE,
        read=larger(tap_conv(3, rival=True)),
        mask_activation="sigmoid",
        assumed=_GENERIC.assumed | {"mask_activation"},
    ),
    replace(
        _GENERIC,
        name="torchvision, v1 beside",
        keys=_BESIDE,
        read=larger(tap_conv(2, rival=True)),
    ),
)
