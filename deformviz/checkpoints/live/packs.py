"""Convolutions with the offset convolution inside: mmcv's packs and their many relatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ...sampling import Sampling
from ..convert import to_canonical
from ..layer import Layer
from .calls import own_copy
from .given_offsets import has_kernel, offset_groups, pairs_of
from .layers import layer_in, part_of
from .reader import Call, Reader, check


class Pack(Reader):
    """`forward(x)`: mmcv's `DeformConv2dPack` and `ModulatedDeformConv2dPack`, the DCNs of others.

    The offset convolution gives everything, raw; `to_canonical` does with it what the pack does.
    """

    def __init__(self, module: nn.Module, path: str, layer: Layer) -> None:
        super().__init__(module)
        self._layer, self._offset = layer, part_of(module, path, layer, "offset")

    @classmethod
    def of(cls, module: nn.Module, path: str) -> Reader | None:
        """A module with a kernel, a number of offset groups, and an offset convolution."""
        if not has_kernel(module):
            return None
        layer = layer_in(module, path)
        if layer is None or "offset.weight" not in layer.tensors:
            return None
        return cls(module, path, _of_version(layer, offset_groups(module)))

    def parts(self) -> Mapping[str, nn.Module]:
        """The offset convolution."""
        return {"offset": self._offset}

    def read(self, call: Call) -> list[Sampling]:
        """One record."""
        x = call.first()
        size = (x.shape[2], x.shape[3])
        raw = call.part(call.made, "offset")
        geometry: dict[str, Any] = dict(pairs_of(self.module))
        canonical = to_canonical(self._layer, raw, size=size, **geometry)
        output = call.output()[0]
        kernel: dict[str, Any] = {
            name: own_copy(tensor)
            for name in ("weight", "bias")
            if (tensor := getattr(self.module, name, None)) is not None
        }
        sampling = canonical.sampling("", size, input=x[0], output=output, **kernel)
        return check([sampling], output)


def _of_version(layer: Layer, groups: int) -> Layer:
    """The layer with a mask or without, which its rows and the module's groups settle."""
    rows = layer.shapes["offset.weight"][0]
    masked = rows == 3 * groups * layer.points
    if masked == (layer.mask_activation is not None):
        return layer
    return layer.override(family=f"mmcv DCNv{2 if masked else 1}")
