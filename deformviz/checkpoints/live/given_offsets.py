"""Convolutions that are handed their offsets: mmcv's, detectron2's and their many relatives."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...geometry import Pair, as_pair
from ...sampling import Sampling
from .calls import sampling_of_call
from .layers import number
from .reader import Call, Reader, check

_GROUPS = ("deform_groups", "deformable_groups", "num_deformable_groups")


class GivenOffsets(Reader):
    """`forward(x, offset)` or `forward(x, offset, mask)`, in the channel order of torchvision.

    mmcv's `DeformConv2d` and `ModulatedDeformConv2d`, detectron2's `DeformConv` and
    `ModulatedDeformConv`, CharlesShang's `DCNv2`.
    """

    @classmethod
    def of(cls, module: nn.Module, path: str) -> Reader | None:
        """A module with a kernel and a number of offset groups."""
        return cls(module) if has_kernel(module) else None

    def read(self, call: Call) -> list[Sampling]:
        """One record."""
        offset = call.tensor("offset")
        mask = call.tensor("mask") if "mask" in call.arguments else None
        arguments = geometry_of(self.module) | {
            "input": call.first(),
            "weight": self.module.weight,
            "bias": getattr(self.module, "bias", None),
            "offset": offset,
            "mask": mask,
            "use_mask": mask is not None,
        }
        output = call.output()
        return check([sampling_of_call(arguments, output, name="")], output[0])


def has_kernel(module: nn.Module) -> bool:
    """Whether it has what every such convolution has, under the names that all of them use."""
    weight = getattr(module, "weight", None)
    grouped = number(module, *_GROUPS) is not None
    return grouped and isinstance(weight, Tensor) and weight.dim() == 4


def offset_groups(module: nn.Module) -> int:
    """G."""
    groups = number(module, *_GROUPS)
    assert groups is not None, "has_kernel was not asked"
    return groups


def pairs_of(module: nn.Module) -> dict[str, Pair]:
    """Stride, padding and dilation."""
    return {name: as_pair(getattr(module, name)) for name in ("stride", "padding", "dilation")}


def geometry_of(module: nn.Module) -> dict[str, Any]:
    """The same, as arguments of torchvision's operator."""
    pairs = pairs_of(module)
    short = {"stride": "stride", "padding": "pad", "dilation": "dilation"}
    return {
        f"{short[name]}_{axis}": pair[index]
        for name, pair in pairs.items()
        for index, axis in enumerate("hw")
    }
