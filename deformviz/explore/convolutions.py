"""Convolution and its deformable, dynamic and coordinate-aware kin, on the Explore page.

Each applies the chosen kernel to every colour by itself, so that the output is a picture. What is
made up is made on the CPU, so that all devices draw the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..fields import mask_field, offset_field
from ..geometry import Kernel
from ..guides import guide_map
from ..kernels import KERNELS, kernel_weight
from ..operators import (
    COORDINATES,
    DRConv2d,
    add_coordinates,
    conv2d_sampling,
    deform_conv2d,
    deform_conv2d_sampling,
    dr_conv2d_sampling,
)
from ..sampling import Sampling
from .learned import (
    check_coord_conv,
    check_deform,
    check_dr_conv,
    prepare_coord_conv,
    prepare_deform,
    prepare_dr_conv,
    uses_network,
)
from .recipe import COLORS, Check, Operator, gap
from .second import by_torchvision, with_coordinates
from .settings import Settings


def _depthwise_weight(settings: Settings, x: Tensor) -> Tensor:
    """[3, 1, kh, kw]."""
    weight = kernel_weight(settings.weights, settings.kernel_size, settings.seed)
    return weight.to(x).expand(3, 1, -1, -1)


def _prepare_conv(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    k = settings.kernel
    weight = _depthwise_weight(settings, x)
    return partial(conv2d_sampling, x, weight, None, k.stride, k.padding, k.dilation, 3)


def _check_conv(settings: Settings, x: Tensor) -> Check:
    ours = _prepare_conv(settings, x)()
    claim = "equals torchvision's deform_conv2d with zero offsets"
    return Check(claim, gap(ours.output, by_torchvision(ours)))


def _offset(settings: Settings, x: Tensor) -> Tensor:
    """[1, 2 * G * K, h, w]; of three groups, the first moves forth and the last moves back."""
    s = settings
    one = offset_field(s.field, s.kernel, x[0].cpu(), s.strength, s.seed).to(x)  # [K, 2, h, w]
    if s.offset_groups == 1:
        return one.flatten(0, 1)[None]
    signs = torch.linspace(1, -1, s.offset_groups)
    return (signs.to(x)[:, None, None, None, None] * one).flatten(0, 2)[None]


def _mask(settings: Settings, x: Tensor) -> Tensor:
    """[1, G * K, h, w]; of one group it takes no more memory than its field."""
    s = settings
    mask = mask_field(s.mask, s.kernel, x[0].cpu(), s.mask_strength, s.seed).to(x)  # [K, h, w]
    return mask.expand(s.offset_groups, -1, -1, -1).flatten(0, 1)[None]


def _deform_arguments(settings: Settings, x: Tensor, modulated: bool) -> dict[str, Any]:
    k = settings.kernel
    return {
        "input": x,
        "offset": _offset(settings, x),
        "weight": _depthwise_weight(settings, x),
        "stride": k.stride,
        "padding": k.padding,
        "dilation": k.dilation,
        "mask": _mask(settings, x) if modulated else None,
    }


def _prepare_deform(settings: Settings, x: Tensor, modulated: bool) -> Callable[[], Sampling]:
    if uses_network(settings):
        return prepare_deform(settings, x)
    return partial(deform_conv2d_sampling, **_deform_arguments(settings, x, modulated))


def _check_deform(settings: Settings, x: Tensor, modulated: bool) -> Check:
    if uses_network(settings):
        return check_deform(settings, x)
    arguments = _deform_arguments(settings, x, modulated)
    arguments["offset"] = torch.zeros_like(arguments["offset"])
    arguments["mask"] = None
    k = settings.kernel
    geometry = (k.stride, k.padding, k.dilation)
    other = F.conv2d(x, arguments["weight"], None, *geometry, groups=3)
    return Check("zero offsets give conv2d", gap(deform_conv2d(**arguments)[0], other))


# DRConv: a kernel for each region.


def _dr_weight(settings: Settings, x: Tensor) -> Tensor:
    """[1, m, 3, I, kh, kw]: the named kernels in turn, or those of an untrained generator."""
    s = settings
    if s.generated:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(s.seed)
            layer = DRConv2d(3, 3, s.kernel_size, s.regions, groups=3)
        filters = layer.to(x.device).filters(x)
        return filters / filters.abs().sum(dim=(3, 4, 5), keepdim=True).clamp(min=1e-6)
    names = list(KERNELS)
    names = names[names.index(s.weights) :] + names[: names.index(s.weights)]
    names += ["random"] * s.regions  # beyond the named ones, each with a seed of its own
    weights = [
        kernel_weight(name, s.kernel_size, s.seed + t) for t, name in enumerate(names[: s.regions])
    ]
    if s.kernel.taps == 1:  # where all kernels are one number, regions differ by it
        weights = [torch.full((1, 1), (t + 1) / s.regions) for t in range(s.regions)]
    return torch.stack(weights).to(x)[None, :, None, None].expand(-1, -1, 3, -1, -1, -1)


def _prepare_dr_conv(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    if uses_network(settings):
        return prepare_dr_conv(settings, x)
    s, k = settings, settings.kernel
    guide = guide_map(s.guide, k, x[0].cpu(), s.regions, s.seed)[None].to(x)
    geometry = (k.stride, k.padding, k.dilation)
    return partial(dr_conv2d_sampling, x, _dr_weight(s, x), guide, *geometry)


def _check_dr_conv(settings: Settings, x: Tensor) -> Check:
    if uses_network(settings):
        return check_dr_conv(settings, x)
    ours, k = _prepare_dr_conv(settings, x)(), settings.kernel
    assert ours.weight is not None
    assert ours.region is not None
    patches = F.unfold(x, k.size, k.dilation, k.padding, k.stride).reshape(3, k.taps, -1)
    own = ours.weight.flatten(2)[ours.region.flatten()]  # [N, 3, K]
    other = (patches * own.permute(1, 2, 0)).sum(dim=1).reshape(1, 3, *ours.output_size)
    return Check("equals each patch times its own region's kernel", gap(ours.output, other))


# CoordConv: the chosen kernel for each colour, plus a share of one coordinate.


def _coord_weight(settings: Settings, x: Tensor) -> Tensor:
    """[3, 5 or 6, kh, kw]: red takes x, green takes y, blue takes the radius."""
    s = settings
    weight = x.new_zeros(3, 6 if s.radius else 5, *s.kernel_size)
    centre = kernel_weight("identity", s.kernel_size).to(x)
    for colour in range(3):
        weight[colour, colour] = _depthwise_weight(s, x)[colour, 0]
        if 3 + colour < weight.shape[1]:
            weight[colour, 3 + colour] = s.coordinate_weight * centre
    return weight


def _prepare_coord_conv(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    if uses_network(settings):
        return prepare_coord_conv(settings, x)
    k, weight = settings.kernel, _coord_weight(settings, x)

    def call() -> Sampling:
        inputs = add_coordinates(x, settings.radius)
        sampling = conv2d_sampling(
            inputs, weight, None, k.stride, k.padding, k.dilation, name="CoordConv"
        )
        return replace(sampling, channel_names=(*COLORS, *COORDINATES)[: inputs.shape[1]])

    return call


def _check_coord_conv(settings: Settings, x: Tensor) -> Check:
    if uses_network(settings):
        return check_coord_conv(settings, x)
    ours, k = _prepare_coord_conv(settings, x)(), settings.kernel
    inputs = with_coordinates(x, settings.radius)
    other = F.conv2d(inputs, _coord_weight(settings, x), None, k.stride, k.padding, k.dilation)
    return Check("equals conv2d over coordinates 2i / (n − 1) − 1", gap(ours.output, other))


def _reads(settings: Settings) -> tuple[Kernel, int]:
    return (Kernel.of(3, padding=1) if uses_network(settings) else settings.kernel), 1


def _reads_in_groups(settings: Settings) -> tuple[Kernel, int]:
    return _reads(settings) if uses_network(settings) else (settings.kernel, settings.offset_groups)


_GEOMETRY = ("stride", "dilation", "weights")
_DEFORMABLE = (*_GEOMETRY, "field", "strength", "offset_groups", "learned_layer")

CONVOLUTIONS: dict[str, Operator] = {
    "Convolution": Operator("", _GEOMETRY, _reads, _prepare_conv, _check_conv),
    "Deformable Conv v1": Operator(
        "arXiv 1703.06211",
        _DEFORMABLE,
        _reads_in_groups,
        partial(_prepare_deform, modulated=False),
        partial(_check_deform, modulated=False),
    ),
    "Deformable Conv v2": Operator(
        "arXiv 1811.11168",
        (*_DEFORMABLE, "mask", "mask_strength"),
        _reads_in_groups,
        partial(_prepare_deform, modulated=True),
        partial(_check_deform, modulated=True),
    ),
    "DRConv": Operator(
        "arXiv 2003.12243",
        (*_GEOMETRY, "guide", "regions", "generated"),
        _reads,
        _prepare_dr_conv,
        _check_dr_conv,
    ),
    "CoordConv": Operator(
        "arXiv 1807.03247",
        (*_GEOMETRY, "radius", "coordinate_weight", "parameters"),
        _reads,
        _prepare_coord_conv,
        _check_coord_conv,
    ),
}
