"""One layer of every family, in the names and shapes that its code base publishes."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


@dataclass(frozen=True)
class Layout:
    """A piece of a state dict, and what must be found in it.

    Attributes:
        shapes: of all tensors of the module, those that are no layer included.
        name: of the layer; others than this one may be found too.
        kernel: (kh, kw).
        groups: G.
        mask: the activation, or None.
        assumed: what must be assumed.
        where: the model that the shapes are of.
    """

    shapes: Shapes
    name: str
    kernel: tuple[int, int]
    groups: int
    mask: str | None
    assumed: frozenset[str]
    where: str = ""


def conv(prefix: str, weight: Shape, bias: bool = True) -> Shapes:
    """A convolution or a linear layer."""
    return {f"{prefix}.weight": weight} | ({f"{prefix}.bias": weight[:1]} if bias else {})


def norm(prefix: str, channels: int) -> Shapes:
    """A batch normalisation."""
    ends = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{end}": (channels,) for end in ends} | {f"{prefix}.num_batches_tracked": ()}


def pack(prefix: str, main: Shape, rows: int, offset: str, bias: bool) -> Shapes:
    """A weight with its offset convolution below it."""
    end = f"{prefix}.{offset}"
    return conv(prefix, main, bias) | conv(end, (rows, main[1], *main[2:]))


def _sac(prefix: str) -> Shapes:
    return (
        conv(prefix, (128, 128, 3, 3), bias=False)
        | {
            f"{prefix}.weight_diff": (128, 128, 3, 3),
            f"{prefix}.weight_gamma": (128, 1, 1, 1),
            f"{prefix}.weight_beta": (128, 1, 1, 1),
        }
        | conv(f"{prefix}.switch", (1, 128, 1, 1))
        | conv(f"{prefix}.pre_context", (128, 128, 1, 1))
        | conv(f"{prefix}.post_context", (128, 128, 1, 1))
        | conv(f"{prefix}.offset_s", (18, 128, 3, 3))
        | conv(f"{prefix}.offset_l", (18, 128, 3, 3))
    )


def _attention(prefix: str, channels: int, rows: int) -> Shapes:
    return (
        conv(f"{prefix}.sampling_offsets", (2 * rows, channels))
        | conv(f"{prefix}.attention_weights", (rows, channels))
        | conv(f"{prefix}.value_proj", (channels, channels))
        | conv(f"{prefix}.output_proj", (channels, channels))
    )


def _snake(prefix: str) -> Shapes:
    return (
        conv(f"{prefix}.offset_conv", (18, 16, 3, 3))
        | conv(f"{prefix}.dsc_conv_x", (32, 16, 9, 1))
        | conv(f"{prefix}.dsc_conv_y", (32, 16, 1, 9))
        | conv(f"{prefix}.gn", (32,))
    )


def _basicvsr(prefix: str) -> Shapes:
    shapes = conv(prefix, (64, 128, 3, 3))
    for step, channels in enumerate((196, 64, 64)):
        shapes |= conv(f"{prefix}.conv_offset.{2 * step}", (64, channels, 3, 3))
    return shapes | conv(f"{prefix}.conv_offset.6", (432, 64, 3, 3))


def _dcnv3(prefix: str, channels: int, groups: int) -> Shapes:
    return (
        {f"{prefix}.center_feature_scale_proj_weight": (groups, channels)}
        | {f"{prefix}.center_feature_scale_proj_bias": (groups,)}
        | conv(f"{prefix}.dw_conv.0", (channels, 1, 5, 5))
        | conv(f"{prefix}.dw_conv.1.1", (channels,))
        | conv(f"{prefix}.offset", (groups * 18, channels))
        | conv(f"{prefix}.mask", (groups * 9, channels))
        | conv(f"{prefix}.input_proj", (channels, channels))
        | conv(f"{prefix}.output_proj", (channels, channels))
    )


def _dat(prefix: str) -> Shapes:
    return (
        conv(f"{prefix}.conv_offset.0", (128, 1, 5, 5))
        | conv(f"{prefix}.conv_offset.1.norm", (128,))
        | conv(f"{prefix}.conv_offset.3", (2, 128, 1, 1), bias=False)
        | {f"{prefix}.rpe_table": (12, 27, 27)}
        | {k: v for n in "qkv" for k, v in conv(f"{prefix}.proj_{n}", (384, 384, 1, 1)).items()}
        | conv(f"{prefix}.proj_out", (384, 384, 1, 1))
    )


def _lucidrains(prefix: str) -> Shapes:
    return (
        conv(f"{prefix}.to_offsets.0", (64, 1, 6, 6))
        | conv(f"{prefix}.to_offsets.2", (2, 64, 1, 1), bias=False)
        | conv(f"{prefix}.rel_pos_bias.mlp.0.0", (128, 2))
        | {f"{prefix}.to_{n}.weight": (512, 64, 1, 1) for n in "qkv"}
        | conv(f"{prefix}.to_out", (512, 512, 1, 1))
    )


def _none(*names: str) -> frozenset[str]:
    return frozenset(names)


LAYOUTS: dict[str, Layout] = {
    "DCNv3": Layout(
        _dcnv3("levels.0.blocks.0.dcn", 192, 12),
        "levels.0.blocks.0.dcn", (3, 3), 12, "softmax", _none("scale"), "InternImage-H"
    ),
    "DCNv4": Layout(
        conv("levels.2.blocks.0.dcn.offset_mask", (432, 256))
        | conv("levels.2.blocks.0.dcn.value_proj", (256, 256))
        | conv("levels.2.blocks.0.dcn.output_proj", (256, 256)),
        "levels.2.blocks.0.dcn", (3, 3), 16, "unbounded", _none("scale"), "FlashInternImage-T"
    ),
    "RF-DETR": Layout(
        _attention("transformer.decoder.layers.0.cross_attn", 256, 32)
        | conv("refpoint_embed", (3900, 4), bias=False)
        | conv("query_feat", (3900, 256), bias=False),
        "transformer.decoder.layers.0.cross_attn", (1, 1), 16, "softmax",
        _none("family", "offset_groups", "points", "levels"), "RF-DETR-base"
    ),
    "deformable attention": Layout(
        {"transformer.level_embed": (4, 256)}
        | _attention("transformer.encoder.layers.0.self_attn", 256, 128),
        "transformer.encoder.layers.0.self_attn", (1, 1), 8, "softmax",
        _none("offset_groups", "points"), "Deformable DETR"
    ),
    "DAT": Layout(
        _dat("stages.2.attns.1"), "stages.2.attns.1", (1, 1), 3, None, _none("scale"), "DAT-T"
    ),
    "lucidrains deformable attention": Layout(
        _lucidrains("attn"), "attn", (1, 1), 8, None, _none("relative_to", "scale")
    ),
    "BasicVSR++": Layout(
        _basicvsr("deform_align.backward_1"),
        "deform_align.backward_1", (3, 3), 16, "sigmoid", _none("scale"), "BasicVSR++"
    ),
    "C2-Matching": Layout(
        pack("dyn_agg_restore.small_dyn_agg", (256, 256, 3, 3), 216, "conv_offset_mask", True),
        "dyn_agg_restore.small_dyn_agg", (3, 3), 8, "sigmoid", _none("scale")
    ),
    "EDVR": Layout(
        pack("pcd_align.dcn_pack.l3", (64, 64, 3, 3), 216, "conv_offset", True)
        | conv("pcd_align.offset_conv1.l3", (64, 128, 3, 3)),
        "pcd_align.dcn_pack.l3", (3, 3), 8, "sigmoid", _none(), "EDVR-M"
    ),
    "FeatureAdaption v2": Layout(
        conv("head.feature_adapt.conv_offset_mask", (108, 64, 1, 1))
        | conv("head.feature_adapt.conv_adaption", (64, 64, 3, 3)),
        "head.feature_adapt.conv_adaption", (3, 3), 4, "sigmoid", _none()
    ),
    "FeatureAdaption": Layout(
        conv("rpn_head.feature_adaption.conv_offset", (72, 2, 1, 1), bias=False)
        | conv("rpn_head.feature_adaption.conv_adaption", (256, 256, 3, 3), bias=False),
        "rpn_head.feature_adaption.conv_adaption", (3, 3), 4, None, _none(), "GA-RPN"
    ),
    "DyHead": Layout(
        conv("backbone.dyhead_tower.1.offset", (27, 256, 3, 3))
        | conv("backbone.dyhead_tower.1.DyConv.2.conv", (256, 256, 3, 3))
        | conv("backbone.dyhead_tower.1.DyConv.2.bn", (256,))
        | conv("backbone.dyhead_tower.1.AttnConv.1", (1, 256, 1, 1)),
        "backbone.dyhead_tower.1.DyConv.2.conv", (3, 3), 1, "sigmoid", _none()
    ),
    "mmdet DyHead": Layout(
        conv("neck.1.dyhead_blocks.0.spatial_conv_low.conv", (256, 256, 3, 3), bias=False)
        | conv("neck.1.dyhead_blocks.0.spatial_conv_low.norm", (256,))
        | conv("neck.1.dyhead_blocks.0.spatial_conv_offset", (27, 256, 3, 3)),
        "neck.1.dyhead_blocks.0.spatial_conv_low.conv", (3, 3), 1, "sigmoid", _none()
    ),
    "RepPoints": Layout(
        conv("bbox_head.reppoints_cls_conv", (256, 256, 3, 3), bias=False)
        | conv("bbox_head.reppoints_cls_out", (80, 256, 1, 1))
        | conv("bbox_head.reppoints_pts_init_conv", (256, 256, 3, 3))
        | conv("bbox_head.reppoints_pts_init_out", (18, 256, 1, 1))
        | conv("bbox_head.reppoints_pts_refine_out", (18, 256, 1, 1)),
        "bbox_head.reppoints_cls_conv", (3, 3), 1, None, _none("relative_to")
    ),
    "VFNet": Layout(
        conv("bbox_head.vfnet_reg", (4, 256, 3, 3))
        | conv("bbox_head.vfnet_reg_refine_dconv", (256, 256, 3, 3), bias=False),
        "bbox_head.vfnet_reg_refine_dconv", (3, 3), 1, None, _none()
    ),
    "DetectoRS SAC, small": Layout(
        _sac("backbone.layer2.0.conv2"),
        "backbone.layer2.0.conv2.offset_s", (3, 3), 1, None, _none()
    ),
    "DetectoRS SAC, large": Layout(
        _sac("backbone.layer2.0.conv2"),
        "backbone.layer2.0.conv2.offset_l", (3, 3), 1, None, _none()
    ),
    "YOLO DCNv2": Layout(
        pack("model.6.m.0.cv2", (64, 64, 3, 3), 27, "conv_offset_mask", True)
        | norm("model.6.m.0.cv2.bn", 64),
        "model.6.m.0.cv2", (3, 3), 1, "sigmoid", _none("family")
    ),
    "chengdazhi DCNv2": Layout(
        pack("layer3.0.conv2", (256, 256, 3, 3), 108, "conv_offset_mask", True),
        "layer3.0.conv2", (3, 3), 4, "sigmoid", _none("family")
    ),
    "CharlesShang DCNv2": Layout(
        pack("ida_up.proj_1.conv", (64, 128, 3, 3), 27, "conv_offset_mask", True)
        | norm("ida_up.proj_1.actf.0", 64),
        "ida_up.proj_1.conv", (3, 3), 1, "sigmoid", _none("family"), "CenterNet-DLA"
    ),
    "mmcv DCNv2": Layout(
        pack("backbone.layer3.4.conv2", (256, 256, 3, 3), 108, "conv_offset", False),
        "backbone.layer3.4.conv2", (3, 3), 4, "sigmoid", _none(), "mmdet, dcnv2 with group4"
    ),
    "mmcv DCNv1": Layout(
        pack("backbone.layer2.0.conv2", (128, 128, 3, 3), 18, "conv_offset", False)
        | norm("backbone.layer2.0.bn2", 128),
        "backbone.layer2.0.conv2", (3, 3), 1, None, _none(), "mmdet, r50 with dconv"
    ),
    "mmdet 1.x DCNv2": Layout(
        conv("backbone.layer4.2.conv2", (512, 512, 3, 3), bias=False)
        | conv("backbone.layer4.2.conv2_offset", (27, 512, 3, 3)),
        "backbone.layer4.2.conv2", (3, 3), 1, "sigmoid", _none()
    ),
    "mmdet 1.x DCNv1": Layout(
        conv("backbone.layer4.2.conv2", (512, 512, 3, 3), bias=False)
        | conv("backbone.layer4.2.conv2_offset", (72, 512, 3, 3)),
        "backbone.layer4.2.conv2", (3, 3), 4, None, _none()
    ),
    "detectron2 DCNv2": Layout(
        conv("backbone.bottom_up.res4.5.conv2", (256, 256, 3, 3), bias=False)
        | norm("backbone.bottom_up.res4.5.conv2.norm", 256)
        | conv("backbone.bottom_up.res4.5.conv2_offset", (27, 256, 3, 3)),
        "backbone.bottom_up.res4.5.conv2", (3, 3), 1, "sigmoid", _none()
    ),
    "detectron2 DCNv1": Layout(
        conv("backbone.bottom_up.res4.5.conv2", (256, 256, 3, 3), bias=False)
        | norm("backbone.bottom_up.res4.5.conv2.norm", 256)
        | conv("backbone.bottom_up.res4.5.conv2_offset", (18, 256, 3, 3)),
        "backbone.bottom_up.res4.5.conv2", (3, 3), 1, None, _none()
    ),
    "blog v2": Layout(
        conv("conv4.conv", (128, 64, 3, 3), bias=False)
        | conv("conv4.p_conv", (18, 64, 3, 3))
        | conv("conv4.m_conv", (9, 64, 3, 3)),
        "conv4.conv", (3, 3), 1, "sigmoid", _none("outside")
    ),
    "blog v1": Layout(
        conv("conv4.conv", (128, 64, 5, 5), bias=False) | conv("conv4.p_conv", (50, 64, 3, 3)),
        "conv4.conv", (5, 5), 1, None, _none("outside")
    ),
    "LDConv": Layout(
        conv("model.1.conv.0", (64, 32, 5, 1), bias=False)
        | norm("model.1.conv.1", 64)
        | conv("model.1.p_conv", (10, 32, 3, 3))
        | {"model.1.p_n": (1, 10, 1, 1)},
        "model.1.conv.0", (5, 1), 1, None, _none()
    ),
    "DSCNet": Layout(
        _snake("conv0x") | conv("conv0x.gn_offset", (18,)),
        "conv0x", (1, 9), 1, None, _none("kernel_size", "scale")
    ),
    "DSCNet, first release": Layout(
        _snake("conv0x") | norm("conv0x.bn", 18),
        "conv0x", (1, 9), 1, None, _none("kernel_size", "scale")
    ),
    "Deformable Kernels": Layout(
        conv("layer2.0.conv2.rotation_conv", (18, 128, 3, 3))
        | {"layer2.0.conv2.inner_conv.weight": (128, 1, 4, 4)},
        "layer2.0.conv2.inner_conv", (3, 3), 1, None, _none("outside")
    ),
    "Deformable Kernels, global": Layout(
        {"layer2.0.conv2.weight": (128, 1, 4, 4)} | conv("layer2.0.conv2.fc", (18, 128)),
        "layer2.0.conv2", (3, 3), 1, None, _none("family")
    ),
    "CycleMLP": Layout(
        conv("network.0.0.attn.sfc_h", (64, 64, 1, 1))
        | {"network.0.0.attn.sfc_h.offset": (1, 128, 1, 1)}
        | conv("network.0.0.attn.mlp_c", (64, 64), bias=False),
        "network.0.0.attn.sfc_h", (1, 1), 64, None, _none(), "CycleMLP-B1"
    ),
    "DRConv": Layout(
        conv("conv1.conv_kernel.1", (64, 32, 1, 1))
        | conv("conv1.conv_kernel.3", (8 * 32 * 48, 8, 1, 1))
        | conv("conv1.conv_guide", (8, 32, 3, 3)),
        "conv1", (3, 3), 1, None, _none()
    ),
    "megvii DRConv": Layout(
        {"stage1_block1.masknet.weight": (8, 24, 1, 1)}
        | {"stage1_block1.conva_right.conv.weight": (58 * 24, 8)}
        | conv("stage1_block1.conva_right.conv.routing_fc", (64, 24)),
        "stage1_block1.conva_right.conv", (1, 1), 1, None, _none()
    ),
    "CoordConv": Layout(
        conv("net.coordconv1.conv", (32, 66, 3, 3)),
        "net.coordconv1.conv", (3, 3), 1, None, _none("family")
    ),
    "ALIKED v2": Layout(
        conv("block3.conv1.offset_conv", (27, 32, 3, 3))
        | conv("block3.conv1.regular_conv", (64, 32, 3, 3), bias=False),
        "block3.conv1.regular_conv", (3, 3), 1, "sigmoid", _none()
    ),
    "ALIKED": Layout(
        conv("extractor.block3.conv1.offset_conv", (18, 32, 3, 3))
        | conv("extractor.block3.conv1.regular_conv", (64, 32, 3, 3), bias=False),
        "extractor.block3.conv1.regular_conv", (3, 3), 1, None, _none(), "LightGlue"
    ),
    "developer0hye": Layout(
        conv("conv4.offset_conv", (18, 32, 3, 3))
        | conv("conv4.modulator_conv", (9, 32, 3, 3))
        | conv("conv4.regular_conv", (32, 32, 3, 3)),
        "conv4.regular_conv", (3, 3), 1, "2sigmoid", _none("mask_activation", "relative_to")
    ),
    "Deformable-LKA": Layout(
        conv("attn.conv_spatial.offset_net", (98, 96, 7, 7))
        | conv("attn.conv_spatial.deform_conv", (96, 1, 7, 7), bias=False),
        "attn.conv_spatial.deform_conv", (7, 7), 1, None, _none()
    ),
    "MXNet DCNv2": Layout(
        {"res5a_conv2_weight": (512, 512, 3, 3)}
        | {"res5a_conv2_offset_weight": (27, 512, 3, 3), "res5a_conv2_offset_bias": (27,)},
        "res5a_conv2_weight", (3, 3), 1, "2sigmoid", _none("family", "mask_activation")
    ),
    "MXNet DCNv1": Layout(
        {"res5a_branch2b_weight": (512, 512, 3, 3)}
        | {"res5a_branch2b_offset_weight": (72, 512, 3, 3), "res5a_branch2b_offset_bias": (72,)},
        "res5a_branch2b_weight", (3, 3), 4, None, _none("family", "outside")
    ),
    "torchvision, v2 with a mask convolution": Layout(
        conv("enc.offset_conv", (36, 64, 3, 3))
        | conv("enc.mask_conv", (18, 64, 3, 3))
        | conv("enc.conv", (64, 64, 3, 3)),
        "enc.conv", (3, 3), 2, "sigmoid", _none("family", "order", "mask_activation")
    ),
    "torchvision, v2": Layout(
        conv("enc.conv_offset", (27, 64, 3, 3)) | conv("enc.dcn", (64, 64, 3, 3)),
        "enc.dcn", (3, 3), 1, "sigmoid", _none("family", "order", "mask_activation")
    ),
    "torchvision, v1": Layout(
        conv("enc.offset", (50, 64, 3, 3)) | conv("enc.deform_conv", (64, 64, 5, 5)),
        "enc.deform_conv", (5, 5), 1, None, _none("family", "order")
    ),
    "torchvision, v2 beside": Layout(
        conv("conv3", (64, 64, 3, 3)) | conv("offset_conv3", (27, 64, 3, 3)),
        "conv3", (3, 3), 1, "sigmoid", _none("family", "order", "mask_activation")
    ),
    "torchvision, v1 beside": Layout(
        conv("up.conv3", (64, 64, 1, 3)) | conv("up.conv3_offset", (6, 64, 1, 3)),
        "up.conv3", (1, 3), 1, None, _none("family", "order")
    ),
}  # fmt: skip
"""By family. A model's own sizes where one is named, else those of its kind."""
