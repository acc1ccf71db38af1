"""The operators of this project: each module says itself where it reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from ... import operators
from ...geometry import once
from ...sampling import Sampling
from .calls import own_copy
from .reader import Call, Reader, check

_KINDS = (
    operators.ActiveShift2d,
    operators.Conv2d,
    operators.CoordConv2d,
    operators.DRConv2d,
    operators.DeformConv2d,
    operators.SpatialShift2d,
)


class Own(Reader):
    """Runs the layer once more, on one image, and keeps the output of the model's own run."""

    @classmethod
    def of(cls, module: nn.Module, path: str) -> Reader | None:
        """An operator of `deformviz.operators`, or a subclass of one."""
        return cls(module) if isinstance(module, _KINDS) else None

    def read(self, call: Call) -> list[Sampling]:
        """One record."""
        assert isinstance(self.module, _KINDS)
        sampling = self.module.sampling(call.first())
        tensors: dict[str, Any] = {name: _kept(t) for name, t in sampling.known().items()}
        tensors["output"] = output = call.output()[0]
        return check([replace(sampling, name="", **tensors)], output)


def _kept(tensor: Tensor) -> Tensor:
    """A copy of its own, in which what was repeated is still there once."""
    return own_copy(once(tensor)).expand_as(tensor)
