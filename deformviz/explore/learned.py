"""What shipped networks learned, in place of something made up: their last layer, on any photo.

A deformable layer reads the network's own features, which `image_map` lays over the photo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from ..fields import mask_field, offset_field
from ..operators import deform_conv2d_sampling
from ..sampling import Sampling
from ..training import shipped, watch
from .recipe import Check, gap
from .settings import LEARNED, OFFSETS, Settings

NETWORKS = {"Deformable Conv v1": "scale-v1", "Deformable Conv v2": "scale", "DRConv": "regions"}
"""Which of the shipped networks has an operator's last layer."""


def uses_network(settings: Settings) -> bool:
    """Whether something that the operator depends on is to be what a network learned."""
    asked = {
        "Deformable Conv v1": (settings.field,),
        "Deformable Conv v2": (settings.field, settings.mask),
        "DRConv": (settings.guide,),
    }
    return LEARNED in asked.get(settings.operator, ())


def last_layer(operator: str, x: Tensor) -> Sampling:
    """Run an operator's network on an image [1, 3, H, W] and record its last layer."""
    recorded = watch(_network(NETWORKS[operator], str(x.device)), x)
    return replace(recorded[-1], name=operator)


@lru_cache(maxsize=8)
def _network(name: str, device: str) -> nn.Module:
    return shipped(name).network().to(device)


def prepare_deform(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    """The last deformable layer, with what was learned or with what is made up on its features."""
    s, layer = settings, last_layer(settings.operator, x)
    assert layer.input is not None
    assert layer.weight is not None
    strength = OFFSETS[s.field].default if s.strength is None else s.strength
    features, k = layer.input, layer.kernel
    if s.field == LEARNED:
        offset = strength * layer.offset[0]  # [K, 2, h, w]
    else:
        offset = offset_field(s.field, k, features.cpu(), strength, s.seed).to(features)
    mask = None
    if layer.mask is not None and s.mask == LEARNED:
        mask = (1 - s.mask_strength * (1 - layer.mask[0]))[None]  # [1, K, h, w]
    elif layer.mask is not None:
        mask = mask_field(s.mask, k, features.cpu(), s.mask_strength, s.seed).to(features)[None]
    return partial(
        deform_conv2d_sampling, features[None], offset.flatten(0, 1)[None], layer.weight,
        layer.bias, k.stride, k.padding, k.dilation, mask, image_map=layer.image_map,
    )  # fmt: skip


def check_deform(settings: Settings, x: Tensor) -> Check:
    """The layer against torchvision's operator."""
    ours = prepare_deform(settings, x)()
    assert ours.input is not None
    assert ours.weight is not None
    k = ours.kernel
    tensors = (ours.input[None], ours.offset.flatten(0, 2)[None], ours.weight, ours.bias)
    other = torchvision.ops.deform_conv2d(
        *(None if t is None else t.cpu() for t in tensors), k.stride, k.padding, k.dilation,
        None if ours.mask is None else ours.mask.flatten(0, 1)[None].cpu(),
    )  # fmt: skip
    return Check("equals torchvision's deform_conv2d", gap(ours.output, other))


def check_dr_conv(settings: Settings, x: Tensor) -> Check:
    """The layer against each patch times the filter of its region."""
    ours = last_layer(settings.operator, x)
    assert ours.input is not None
    assert ours.weight is not None
    assert ours.region is not None
    k = ours.kernel
    patches = F.unfold(ours.input[None], k.size, k.dilation, k.padding, k.stride)[0]  # [C K, N]
    own = ours.weight.flatten(2)[ours.region.flatten()]  # [N, O, C K]
    other = torch.einsum("noi,in->on", own, patches).reshape(1, -1, *ours.output_size)
    return Check("equals each patch times its own region's kernel", gap(ours.output, other))
