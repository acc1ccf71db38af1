"""Deformable convolutions inside detection heads and DetectoRS, whose offsets come from elsewhere.

Rows of `FAMILIES`.
"""

from __future__ import annotations

from dataclasses import replace

from ..family import Family
from .conv_shapes import atrous, box, centre_points, tap_conv
from .packs import MASK_PACK, PACK

HEADS = (
    Family(
        name="FeatureAdaption v2",
        source="variants of CenterPoint and GA-RPN: FeatureAdaption",
        keys=MASK_PACK | {"weight": "conv_adaption.weight", "bias?": "conv_adaption.bias"},
        read=tap_conv(3, own_kernel=True, own_input=False),
        mask_activation="sigmoid",
        run="own kernel",
        own_input=False,
    ),
    Family(
        name="FeatureAdaption",
        source="open-mmlab/mmdetection, guided_anchor_head.py; CenterPoint: FeatureAdaption",
        keys=PACK | {"weight": "conv_adaption.weight", "bias?": "conv_adaption.bias"},
        read=tap_conv(2, own_kernel=True, own_input=False),
        run="own kernel",
        own_input=False,
        note="Offsets come from the predicted anchor shapes (GA-RPN) or from the feature itself "
        "(CenterPoint), by a 1 x 1 convolution.",
    ),
    Family(
        name="DyHead",
        source="microsoft/DynamicHead, dyhead/dyhead.py",
        keys={
            "weight": "DyConv.{i}.conv.weight",
            "bias?": "DyConv.{i}.conv.bias",
            "offset.weight": "offset.weight",
            "offset.bias?": "offset.bias",
        },
        read=tap_conv(3),
        mask_activation="sigmoid",
        run="like main",
        own_input=False,
        note="One offset map of the middle level moves the taps on three levels; DyConv.2 has "
        "stride 2 and reads the level above in resolution.",
    ),
    Family(
        name="mmdet DyHead",
        source="open-mmlab/mmdetection, mmdet/models/necks/dyhead.py",
        keys={
            "weight": "spatial_conv_high.conv.weight|spatial_conv_mid.conv.weight"
            "|spatial_conv_low.conv.weight",
            "offset.weight": "spatial_conv_offset.weight",
            "offset.bias?": "spatial_conv_offset.bias",
        },
        read=tap_conv(3),
        mask_activation="sigmoid",
        run="like main",
        own_input=False,
        note="One offset map of the middle level moves the taps on three levels; the low one has "
        "stride 2.",
    ),
    Family(
        name="RepPoints",
        source="microsoft/RepPoints, src/reppoints_head/reppoints_head.py",
        keys={
            "weight": "reppoints_cls_conv.weight|reppoints_pts_refine_conv.weight",
            "offset.weight": "reppoints_pts_init_out.weight",
            "offset.bias?": "reppoints_pts_init_out.bias",
            "hidden.weight": "reppoints_pts_init_conv.weight",
            "hidden.bias?": "reppoints_pts_init_conv.bias",
        },
        read=centre_points,
        relative_to="centre",
        run="two steps",
        own_input=False,
        assumed=frozenset({"relative_to"}),
        note="Points are relative to the position's centre; without center_init, which the file "
        "does not show, a grid is added to them first.",
    ),
    Family(
        name="VFNet",
        source="open-mmlab/mmdetection, mmdet/models/dense_heads/vfnet_head.py",
        keys={"weight": "vfnet_reg_refine_dconv.weight|vfnet_cls_dconv.weight"},
        read=box,
        relative_to="box",
        packing="none",
        note="No offsets are learned: nine points lie on the predicted box, given as distances "
        "(left, top, right, bottom) in pixels of the map.",
    ),
)

_SWITCHABLE = {
    "weight": "weight",
    "bias?": "bias",
    "other.weight": "weight_diff",
    "gamma.weight": "weight_gamma",
    "beta.weight": "weight_beta",
    "context.weight": "pre_context.weight",
    "context.bias": "pre_context.bias",
}
_SAC = Family(
    name="DetectoRS SAC, small",
    source="open-mmlab/mmcv, mmcv/ops/saconv.py: SAConv2d",
    keys=_SWITCHABLE | {"offset.weight": "offset_s.weight", "offset.bias?": "offset_s.bias"},
    read=atrous,
    run="pooled",
    note="Two branches read the same map, and a learned switch mixes them; offsets come from the "
    "map pooled over 5 x 5. The weight is standardised.",
)
ATROUS = (
    _SAC,
    replace(
        _SAC,
        name="DetectoRS SAC, large",
        keys=_SWITCHABLE | {"offset.weight": "offset_l.weight", "offset.bias?": "offset_l.bias"},
        relative_to="tap, atrous",
        scale=3.0,
        note="The branch with three times the padding and dilation. " + _SAC.note,
    ),
)
