"""DCNv3 and DCNv4: points that are only weighed and added up, between two linear layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt

import torch
from torch import Tensor, nn

from ...geometry import Kernel, Pair
from ...sampling import Sampling
from ..canonical import Canonical
from ..convert import to_canonical
from ..layer import Layer
from .layers import layer_in, part_of
from .reader import Call, Reader, check

_ATTRIBUTES = ("group", "kernel_size", "stride", "pad", "dilation", "offset_scale")


class Aggregation(Reader):
    """`DCNv3`, `DCNv3_pytorch` and `DCNv4`; channels come last.

    The record is of what happens between `input_proj` (DCNv4: `value_proj`) and `output_proj`: its
    input is the projected map, its output what the output projection is given. With
    `center_feature_scale` that mixes in the map itself, which the record shows as one point more.
    """

    def __init__(self, module: nn.Module, path: str, layer: Layer) -> None:
        super().__init__(module)
        said = {name: getattr(module, name) for name in _ATTRIBUTES}
        k, removed = int(said["kernel_size"]), int(getattr(module, "remove_center", 0))
        self._layer = layer.override(
            kernel_size=(k, k),
            offset_groups=int(said["group"]),
            points=k * k - removed,
            scale=float(said["offset_scale"]),
        )
        self._stride, self._pad, self._dilation = (
            int(said[name]) for name in ("stride", "pad", "dilation")
        )
        roles = [role for role in ("offset", "mask") if f"{role}.weight" in layer.tensors]
        self._parts = {role: part_of(module, path, layer, role) for role in roles}
        self._parts |= {"value": _value_of(module), "output": module.get_submodule("output_proj")}
        centre = getattr(module, "center_feature_scale_module", None)
        if isinstance(centre, nn.Module):
            self._parts["centre"] = centre

    @classmethod
    def of(cls, module: nn.Module, path: str) -> Reader | None:
        """A module with the published attributes and linear layers."""
        if not all(hasattr(module, name) for name in (*_ATTRIBUTES, "output_proj")):
            return None
        layer = layer_in(module, path)
        if layer is None or layer.family not in ("DCNv3", "DCNv4"):
            return None
        return cls(module, path, layer)

    def parts(self) -> Mapping[str, nn.Module]:
        """The projections, what gives offsets and masks, and the centre's scale."""
        return self._parts

    def read(self, call: Call) -> list[Sampling]:
        """One record."""
        size = _map_size(call)
        raw = {role: _as_map(call.part(call.made, role), size) for role in self._raw()}
        canonical = to_canonical(
            self._layer,
            raw["offset"],
            raw.get("mask"),
            stride=self._stride,
            padding=self._pad,
            dilation=self._dilation,
            size=size,
        )
        value = _as_map(call.part(call.made, "value"), size)[0]
        output = _as_map(call.part(call.given, "output"), canonical.offset.shape[-2:])[0]
        output = output.permute(2, 0, 1)
        if "centre" in self._parts:
            scale = _as_map(call.part(call.made, "centre"), size)  # [1, h, w, G]
            canonical = _with_centre(canonical, scale.permute(0, 3, 1, 2))
        sampling = canonical.sampling("", size, input=value.permute(2, 0, 1), output=output)
        return check([sampling], output)

    def _raw(self) -> list[str]:
        return [role for role in ("offset", "mask") if role in self._parts]


def _value_of(module: nn.Module) -> nn.Module:
    """What projects the map that is read."""
    name = "input_proj" if hasattr(module, "input_proj") else "value_proj"
    return module.get_submodule(name)


def _map_size(call: Call) -> Pair:
    """(H, W): DCNv4 is handed tokens, and their size or a square."""
    value = call.part(call.made, "value")
    if value.dim() == 4:
        return (value.shape[1], value.shape[2])
    shape = call.arguments.get("shape")
    side = isqrt(value.shape[1])
    return (side, side) if shape is None else (int(shape[0]), int(shape[1]))


def _as_map(tensor: Tensor, size: Pair | torch.Size) -> Tensor:
    """[1, H, W, C] of that or of tokens [1, H * W, C]."""
    return tensor if tensor.dim() == 4 else tensor.reshape(1, *size, -1)


def _with_centre(canonical: Canonical, scale: Tensor) -> Canonical:
    """Mix: x * (1 - s) + centre * s. All masks times 1 - s, and a point more with mask s.

    Args:
        canonical: of K points.
        scale: [1, G, h, w], s.
    """
    mask, h, w = canonical.mask, *scale.shape[-2:]
    assert mask is not None
    groups = canonical.offset.shape[1]
    base = canonical.base().expand(1, groups, -1, -1, -1, -1)
    here = Kernel.of(1).anchors((h, w), canonical.offset).expand(1, groups, 1, 2, h, w)
    still = torch.zeros_like(here)
    scale = scale.to(mask)[:, :, None]  # [1, G, 1, h, w]
    return replace(
        canonical,
        kernel=Kernel.of((1, canonical.offset.shape[2] + 1)),
        offset=torch.cat([canonical.offset, still], dim=2),
        mask=torch.cat([mask * (1 - scale), scale], dim=2),
        reference=torch.cat([base, here], dim=2),
    )
