"""Families without a spatial weight: DCNv3, DCNv4 and the deformable attentions.

Rows of `FAMILIES`.
"""

from __future__ import annotations

from dataclasses import replace

from ..family import Family
from .attention_shapes import aggregation, attention, key_grid, packed_aggregation

_MULTI_SCALE = Family(
    name="deformable attention",
    source="fundamentalvision/Deformable-DETR, ms_deform_attn.py; mmcv, DINO, Mask2Former, "
    "Hugging Face transformers",
    keys={
        "offset.weight": "sampling_offsets.weight",
        "offset.bias?": "sampling_offsets.bias",
        "mask.weight": "attention_weights.weight",
        "mask.bias?": "attention_weights.bias",
        "levels?": "^level_embed|^level_embeds",
    },
    read=attention(usual_points=4, channels_per_head=32),
    order="interleaved-xy",
    mask_activation="softmax",
    relative_to="reference",
    layout="queries",
    note="Heads are groups; channels are (head, level, point, (x, y)). The softmax is over all "
    "levels and points of a head. Heads and points are not in the file.",
)

ATTENTION = (
    Family(
        name="DCNv3",
        source="OpenGVLab/InternImage, ops_dcnv3/modules/dcnv3.py",
        keys={
            "offset.weight": "offset.weight",
            "offset.bias?": "offset.bias",
            "mask.weight": "mask.weight",
            "mask.bias?": "mask.bias",
            "depthwise.weight": "dw_conv.0.weight",
            "centre.weight?": "center_feature_scale_proj_weight",
        },
        read=aggregation,
        order="columns-xy",
        mask_activation="softmax",
        relative_to="grid centre",
        layout="map, channels last",
        assumed=frozenset({"scale"}),
        note="No spatial weight: the mask is the weight. offset_scale stretches the taps, too, and "
        "is not in the file: 1 in the small models, 2 in L and XL.",
    ),
    Family(
        name="DCNv4",
        source="OpenGVLab/DCNv4, DCNv4_op/DCNv4/modules/dcnv4.py",
        keys={
            "offset.weight": "offset_mask.weight",
            "offset.bias?": "offset_mask.bias",
            "value.weight": "value_proj.weight",
            "centre.weight?": "center_feature_scale_proj_weight",
        },
        read=packed_aggregation,
        order="columns-xy",
        mask_activation="unbounded",
        relative_to="grid centre",
        packing="per group",
        layout="map, channels last",
        assumed=frozenset({"scale"}),
        note="The mask is the weight, and may be negative. offset_scale is not in the file: 1 in T "
        "and S, 0.5 in B, 2 in L.",
    ),
    replace(
        _MULTI_SCALE,
        name="RF-DETR",
        source="roboflow/rf-detr, rfdetr/models/ops/modules/ms_deform_attn.py; LW-DETR",
        keys=dict(_MULTI_SCALE.keys)
        | {"refpoint.weight": "^refpoint_embed.weight", "query.weight": "^query_feat.weight"},
        read=attention(usual_points=2, channels_per_head=16),
        within=r"(^|\.)decoder\.layers\.\d+\.cross_attn$",
        assumed=frozenset({"family"}),
    ),
    _MULTI_SCALE,
    Family(
        name="DAT",
        source="LeapLabTHU/DAT, models/dat_blocks.py: DAttentionBaseline",
        keys={
            "offset.weight": "conv_offset.3.weight",
            "offset.bias?": "conv_offset.3.bias",
            "hidden.weight": "conv_offset.0.weight",
            "query.weight": "proj_q.weight",
            "out.weight": "proj_out.weight",
        },
        read=key_grid,
        relative_to="key grid",
        layout="groups as images",
        scale=-1.0,
        assumed=frozenset({"scale"}),
        note="One point for each key, shared by all queries; zero offsets lie half a pixel off. "
        "The scale is offset_range_factor, not in the file; below 0 points are clamped instead.",
    ),
    Family(
        name="lucidrains deformable attention",
        source="lucidrains/deformable-attention, deformable_attention_2d.py",
        keys={
            "offset.weight": "to_offsets.2.weight",
            "offset.bias?": "to_offsets.2.bias",
            "hidden.weight": "to_offsets.0.weight",
            "query.weight": "to_q.weight",
            "out.weight": "to_out.weight",
        },
        read=key_grid,
        order="interleaved-xy",
        relative_to="key grid, unnormalised",
        layout="groups as images",
        scale=4.0,
        assumed=frozenset({"relative_to", "scale"}),
        note="Before its pull request 7, rows and columns of the key grid were swapped (relative "
        "to: key grid, transposed). The scale is the downsample factor where none was given.",
    ),
)
