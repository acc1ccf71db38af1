"""Families with a sampling rule of their own: the blogs' version, snakes, regions, fixed steps.

Rows of `FAMILIES`.
"""

from __future__ import annotations

from dataclasses import replace

from ..family import Family
from .conv_shapes import (
    channel_steps,
    coordinates,
    global_kernel,
    linear_kernel,
    local_kernel,
    mixed_regions,
    regions,
    snake,
    strided,
)

_BLOG = Family(
    name="blog v1",
    source="4uiiurz1/pytorch-deform-conv-v2 and its many copies, deform_conv_v2.py",
    keys={
        "weight": "conv.weight",
        "bias?": "conv.bias",
        "offset.weight": "p_conv.weight",
        "offset.bias?": "p_conv.bias",
    },
    read=strided,
    order="blocked",
    relative_to="tap, from 1",
    run="own kernel",
    assumed=frozenset({"outside"}),
    note="Positions are counted from 1 on the padded map, so that with a padding other than 1 all "
    "taps are off by 1 - padding pixels. The first version rounds down in the padding (outside: "
    "inside), later copies fade to zero. The offsets' bias starts at random.",
)
_LINE = {
    "weight.x": "dsc_conv_x.weight",
    "bias.x?": "dsc_conv_x.bias",
    "weight.y": "dsc_conv_y.weight",
    "bias.y?": "dsc_conv_y.bias",
}
_SNAKE = Family(
    name="DSCNet",
    source="YaoleiQi/DSCNet, S3_DSConv_pro.py",
    keys={
        "offset.weight": "offset_conv.weight",
        "offset.bias?": "offset_conv.bias",
        **_LINE,
        "norm.weight": "gn_offset.weight",
        "norm.bias": "gn_offset.bias",
    },
    read=snake,
    order="blocked",
    outside="clamp",
    relative_to="chain",
    run="normalised",
    assumed=frozenset({"scale", "kernel_size"}),
    note="A line of taps along x that moves in y, or along y that moves in x; each tap adds to the "
    "one nearer to the centre. Which of the two, and extend_scope, the file does not hold.",
)
_KERNELS = Family(
    name="Deformable Kernels",
    source="hangg7/deformable-kernels, deformable_kernels/modules/deform_kernel.py",
    keys={
        "weight": "inner_conv.weight",
        "offset.weight": "rotation_conv.weight",
        "offset.bias?": "rotation_conv.bias",
    },
    read=local_kernel,
    relative_to="kernel scope",
    run="",
    assumed=frozenset({"outside"}),
    note="The input is read on the regular grid; what is resampled is the kernel, and the map of "
    "the record is the kernel's scope. Channel c takes group c % G, not c // (C / G).",
)

OWN_RULES = (
    replace(
        _BLOG,
        name="blog v2",
        keys=dict(_BLOG.keys) | {"mask.weight": "m_conv.weight", "mask.bias?": "m_conv.bias"},
        mask_activation="sigmoid",
    ),
    _BLOG,
    Family(
        name="LDConv",
        source="CV-ZhangXin/LDConv (AKConv), LDConv.py",
        keys={
            "weight": "conv.0.weight",
            "bias?": "conv.0.bias",
            "offset.weight": "p_conv.weight",
            "offset.bias?": "p_conv.bias",
            "base?": "p_n",
        },
        read=linear_kernel,
        order="blocked",
        outside="clamp-double",
        relative_to="top left",
        run="own kernel",
        note="N taps in rows of round(sqrt(N)), anchored at the top left. The last row and column "
        "count twice, the corner four times, and so does what lies outside.",
    ),
    _SNAKE,
    replace(
        _SNAKE,
        name="DSCNet, first release",
        source="YaoleiQi/DSCNet, S3_DSConv.py",
        keys={
            **{role: key for role, key in _SNAKE.keys.items() if not role.startswith("norm")},
            "norm.weight": "bn.weight",
            "norm.bias": "bn.bias",
            "norm.mean": "bn.running_mean",
            "norm.var": "bn.running_var",
        },
        outside="inside",
        relative_to="chain, free ends",
        note="As DSCNet, but the two taps at the ends move alone, not with the chain.",
    ),
    _KERNELS,
    replace(
        _KERNELS,
        name="Deformable Kernels, global",
        keys={"weight": "weight", "offset.weight": "fc.weight", "offset.bias?": "fc.bias"},
        read=global_kernel,
        outside="clamp",
        layout="vector",
        assumed=frozenset({"family"}),
        note="One resampling of the kernel for the whole image. " + _KERNELS.note,
    ),
    Family(
        name="CycleMLP",
        source="ShoufaChen/CycleMLP, cycle_mlp.py: CycleFC",
        keys={"weight": "weight", "bias?": "bias", "offset": "offset"},
        read=channel_steps,
        packing="constant",
        run="constant",
        note="Fixed integer steps, one for each channel; sfc_h steps along x.",
    ),
    Family(
        name="DRConv",
        source="shallowtoil/DRConv-PyTorch, drconv.py",
        keys={
            "guide.weight": "conv_guide.weight",
            "guide.bias?": "conv_guide.bias",
            "hidden.weight": "conv_kernel.1.weight",
            "hidden.bias?": "conv_kernel.1.bias",
            "filters.weight": "conv_kernel.3.weight",
            "filters.bias?": "conv_kernel.3.bias",
        },
        read=regions,
        relative_to="nothing",
        packing="none",
        note="Regular taps; the guide chooses each position's filter.",
    ),
    Family(
        name="megvii DRConv",
        source="megvii-research/DRConv, DRConv.py",
        keys={
            "weight": "weight",
            "out.bias?": "bias",
            "routing.weight": "routing_fc.weight",
            "routing.bias?": "routing_fc.bias",
            "guide.weight?": "^masknet.weight",
        },
        read=mixed_regions,
        relative_to="nothing",
        packing="none",
        note="Regular taps; the filters are mixed of a bank. The guide belongs to the block, and "
        "its later layers read another map than the guide does.",
    ),
    Family(
        name="CoordConv",
        source="uber-research/CoordConv; mkocabas/CoordConv-pytorch",
        keys={"weight": "weight", "bias?": "bias"},
        read=coordinates,
        within=r"(?i)coord_?conv[^.]*(\.conv)?$",
        relative_to="nothing",
        packing="none",
        assumed=frozenset({"family"}),
        note="A convolution of two or three channels more; only its name says so.",
    ),
)
