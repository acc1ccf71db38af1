"""Convolutions that carry their offset convolution with them: mmcv, detectron2 and kin.

Rows of `FAMILIES`, tried in their order: the narrower names stand first.
"""

from __future__ import annotations

from dataclasses import replace

from ..family import Family
from .conv_shapes import paired, several, tap_conv

PACK = {
    "weight": "weight",
    "bias?": "bias",
    "offset.weight": "conv_offset.weight",
    "offset.bias?": "conv_offset.bias",
}
MASK_PACK = PACK | {
    "offset.weight": "conv_offset_mask.weight",
    "offset.bias?": "conv_offset_mask.bias",
}
_EITHER_PACK = PACK | {
    "offset.weight": "conv_offset.weight|conv_offset_mask.weight",
    "offset.bias?": "conv_offset.bias|conv_offset_mask.bias",
}
BESIDE = {
    "weight": "{n}.weight",
    "bias?": "{n}.bias",
    "offset.weight": "{n}_offset.weight",
    "offset.bias?": "{n}_offset.bias",
}


def versions(v1: Family) -> tuple[Family, Family]:
    """Deformable Conv v2, then v1, under the same names: v2 first, as it is the likelier."""
    v2 = replace(
        v1,
        name=v1.name.replace("v1", "v2"),
        source=v1.source.replace("/deform_conv.py", "/modulated_deform_conv.py"),
        read=tap_conv(3, rival=True),
        mask_activation="sigmoid",
    )
    return v2, v1


ALIGNMENT = (
    Family(
        name="BasicVSR++",
        source="open-mmlab/mmagic, basicvsr_plusplus_net.py: SecondOrderDeformableAlignment",
        keys=PACK | {"offset.weight": "conv_offset.6.weight", "offset.bias?": "conv_offset.6.bias"},
        read=paired(tap_conv(3, own_input=False)),
        mask_activation="sigmoid",
        relative_to="flow",
        scale=10.0,
        assumed=frozenset({"scale"}),
        own_input=False,
        note="Offsets are scale * tanh(raw) plus optical flow: the first half of the groups "
        "follows flow 1, the second flow 2. The scale, max_residue_magnitude, is not in the file.",
    ),
    Family(
        name="C2-Matching",
        source="yumingj/C2-Matching, dcn_v2.py: DCN_sep_pre_multi_offset",
        keys=MASK_PACK,
        read=tap_conv(3),
        within=r"dyn_agg$",
        mask_activation="sigmoid",
        relative_to="pre-offset",
        scale=10.0,
        assumed=frozenset({"scale"}),
        own_input=False,
        note="Offsets are scale * tanh(raw) plus offsets of a matching, the same for each group.",
    ),
    Family(
        name="EDVR",
        source="XPixelGroup/BasicSR, basicsr/archs/arch_util.py: DCNv2Pack",
        keys=_EITHER_PACK,
        read=tap_conv(3),
        within=r"(^|[._])dcn_?pack(\.|$)",
        mask_activation="sigmoid",
        own_input=False,
        run="like main",
        note="Offsets come from a second feature map. Its authors warn where their mean is large: "
        "training of such alignment is known to come apart.",
    ),
)

PACKS = (
    Family(
        name="YOLO DCNv2",
        source="forks of ultralytics: DCNv2 with torch.ops.torchvision.deform_conv2d",
        keys=MASK_PACK | {"norm.weight": "bn.weight", "norm.bias?": "bn.bias"},
        read=tap_conv(3),
        mask_activation="sigmoid",
        run="undilated",
        assumed=frozenset({"family"}),
        note="Some forks bound the offsets by 3 * tanh, which the file does not show.",
    ),
    Family(
        name="chengdazhi DCNv2",
        source="chengdazhi/Deformable-Convolution-V2-PyTorch, modules/modulated_dcn.py",
        keys=MASK_PACK,
        read=several(tap_conv(3)),
        mask_activation="sigmoid",
        run="undilated",
        assumed=frozenset({"family"}),
        note="The same names and rules as CharlesShang's; told apart by having several groups.",
    ),
    Family(
        name="CharlesShang DCNv2",
        source="CharlesShang/DCNv2, dcn_v2.py; CenterNet, FairMOT, YOLACT++",
        keys=MASK_PACK,
        read=tap_conv(3),
        mask_activation="sigmoid",
        run="undilated",
        assumed=frozenset({"family"}),
        note="The offset convolution has no dilation.",
    ),
    *versions(
        Family(
            name="mmcv DCNv1",
            source="open-mmlab/mmcv, mmcv/ops/deform_conv.py",
            keys=PACK,
            read=tap_conv(2, rival=True),
            run="like main",
        )
    ),
    *versions(
        Family(
            name="mmdet 1.x DCNv1",
            source="open-mmlab/mmdetection 1.x, mmdet/models/backbones/resnet.py",
            keys=BESIDE,
            read=tap_conv(2, rival=True),
            within=r"(^|\.)layer\d+\.\d+$",
            run="like main",
        )
    ),
    *versions(
        Family(
            name="detectron2 DCNv1",
            source="facebookresearch/detectron2, detectron2/modeling/backbone/resnet.py",
            keys=BESIDE,
            read=tap_conv(2, rival=True),
            within=r"(^|\.)res\d+\.\d+$",
            run="like main",
            note="The code calls the chunks offset_x and offset_y; they are (dy, dx) per tap.",
        )
    ),
)
