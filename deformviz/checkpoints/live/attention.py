"""Multi-scale deformable attention: Deformable DETR's module and its many copies."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...geometry import Pair
from ...sampling import Sampling
from ..convert import to_canonical
from ..layer import Layer
from .layers import layer_in, number, part_of
from .reader import Call, Reader, check

_PROJECTIONS = ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
_SHOWN = ("attention_mask",)
_HIDDEN = ("input_padding_mask", "key_padding_mask", "padding_mask")
"""Masks of tokens by what True says in them: Hugging Face turned the meaning round."""


class MultiScaleAttention(Reader):
    """`MSDeformAttn`, mmcv's `MultiScaleDeformableAttention` and those of Hugging Face.

    A record a level, of what happens between `value_proj` and `output_proj`: heads are groups, the
    queries a column, and the reference points the base. With several levels, the output is a sum
    over all of them, so that none of the records holds one.
    """

    def __init__(self, module: nn.Module, path: str, layer: Layer) -> None:
        super().__init__(module)
        self._layer = layer
        self._parts = {role: part_of(module, path, layer, role) for role in ("offset", "mask")}
        self._parts |= {
            "value": module.get_submodule("value_proj"),
            "output": module.get_submodule("output_proj"),
        }

    @classmethod
    def of(cls, module: nn.Module, path: str) -> Reader | None:
        """A module with the four projections, and as many heads, levels and points as it says."""
        if not all(isinstance(getattr(module, p, None), nn.Module) for p in _PROJECTIONS):
            return None
        layer = layer_in(module, path)
        heads = number(module, "n_heads", "num_heads")
        levels = number(module, "n_levels", "num_levels")
        points = number(module, "n_points", "num_points")
        if layer is None or None in (heads, levels, points):
            return None
        layer = layer.override(offset_groups=heads, levels=levels, points=points)
        return cls(module, path, layer)

    def parts(self) -> Mapping[str, nn.Module]:
        """The four projections."""
        return self._parts

    def read(self, call: Call) -> list[Sampling]:
        """A record a level, checked by their sum."""
        sizes = _sizes(call)
        values = torch.split(_values(call), [h * w for h, w in sizes])
        reference = _reference(call, self._layer.levels)
        output = call.part(call.given, "output")[0].T[..., None]  # [C, Q, 1]
        single = self._layer.levels == 1
        found = []
        for level, (size, value) in enumerate(zip(sizes, values, strict=True)):
            canonical = to_canonical(
                self._layer, call.part(call.made, "offset"), call.part(call.made, "mask"),
                size=size, base=reference, level=level,
            )  # fmt: skip
            found.append(
                canonical.sampling(
                    "" if single else f"level {level}", size,
                    input=value.T.reshape(-1, *size), output=output if single else None,
                )
            )  # fmt: skip
        call.total = None if single else output
        return check(found, output)


def _sizes(call: Call) -> list[Pair]:
    """(H, W) of each level, however the argument is called and held."""
    for name, value in call.arguments.items():
        if "spatial_shapes" in name and value is not None:
            rows = value.tolist() if isinstance(value, Tensor) else value
            return [(int(h), int(w)) for h, w in rows]
    raise ValueError("it was not given the sizes of its levels (spatial_shapes)")


def _values(call: Call) -> Tensor:
    """The projected tokens of all levels [S, C], zero where they are masked out."""
    value = call.part(call.made, "value")[0]
    for names, kept in ((_SHOWN, True), (_HIDDEN, False)):
        for name in names:
            mask = call.arguments.get(name)
            if isinstance(mask, Tensor) and mask.dtype == torch.bool and mask.dim() == 2:
                hidden = call.copy(mask)[0] != kept
                value = value.masked_fill(hidden[:, None], 0)
    return value


def _reference(call: Call, levels: int) -> Tensor:
    """Reference points [1, Q, L, 2 or 4]; some hold one for all levels."""
    reference = call.tensor("reference_points")
    if reference.dim() != 4:
        raise ValueError(f"reference points must be [B, Q, L, 2 or 4], got {list(reference.shape)}")
    return reference.expand(-1, -1, levels, -1) if reference.shape[2] == 1 else reference
