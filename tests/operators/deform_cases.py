"""Calls of a deformable convolution, to be computed by each backend and by others."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import pytest
import reference
import torch
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from deformviz.operators import Backend, deform_conv2d

Pair = tuple[int, int]

every_backend = pytest.mark.parametrize("backend", ["grid_sample", "embedding_bag", "torchvision"])


@dataclass
class Case:
    """One call's arguments, named as torchvision names them."""

    input: Tensor
    offset: Tensor
    weight: Tensor
    bias: Tensor | None
    stride: Pair
    padding: Pair
    dilation: Pair
    mask: Tensor | None

    def arguments(self) -> dict[str, object]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def ours(self, backend: Backend) -> Tensor:
        return deform_conv2d(**self.arguments(), backend=backend)

    def torchvision(self) -> Tensor:
        return torchvision_deform_conv2d(**self.arguments())

    def loop(self) -> Tensor:
        return reference.deform_conv2d(**self.arguments())

    def to(self, dtype: torch.dtype) -> Case:
        return Case(
            **{k: v.to(dtype) if isinstance(v, Tensor) else v for k, v in self.arguments().items()}
        )

    def leaves(self) -> dict[str, Tensor]:
        """Turn every tensor into a leaf that wants a gradient, and return them by name."""
        found = {k: v for k, v in self.arguments().items() if isinstance(v, Tensor)}
        for name, tensor in found.items():
            setattr(self, name, tensor.detach().clone().requires_grad_())
        return {name: getattr(self, name) for name in found}


def make_case(
    batch: int = 1,
    channels: int = 4,
    outputs: int = 4,
    size: Pair = (6, 7),
    kernel: Pair = (3, 3),
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    offset_groups: int = 1,
    sigma: float = 5.0,
    grain: float | None = None,
    masked: bool = True,
    biased: bool = True,
    seed: int = 0,
) -> Case:
    """Random tensors in float64; `grain` rounds the offsets to its multiples."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    h, w = reference.output_size(size, kernel, stride, padding, dilation)
    taps = kernel[0] * kernel[1]
    offset = sigma * normal(batch, 2 * offset_groups * taps, h, w)
    return Case(
        input=normal(batch, channels, *size),
        offset=offset if grain is None else (offset / grain).round() * grain,
        weight=normal(outputs, channels // groups, *kernel),
        bias=normal(outputs) if biased else None,
        stride=stride,
        padding=padding,
        dilation=dilation,
        mask=normal(batch, offset_groups * taps, h, w) if masked else None,
    )


def pairs(low: int, high: int) -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    groups, offset_groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, dilation = draw(pairs(1, 5)), draw(pairs(1, 3))
    padding, beyond = draw(pairs(0, 4)), draw(pairs(0, 5))
    extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = [max(1, e - 2 * p) for e, p in zip(extent, padding, strict=True)]
    return make_case(
        batch=draw(st.integers(1, 3)),
        channels=math.lcm(groups, offset_groups) * draw(st.integers(1, 2)),
        outputs=groups * draw(st.integers(1, 3)),
        size=(least[0] + beyond[0], least[1] + beyond[1]),
        kernel=kernel,
        stride=draw(pairs(1, 3)),
        padding=padding,
        dilation=dilation,
        groups=groups,
        offset_groups=offset_groups,
        sigma=draw(st.sampled_from([0.3, 5.0])),
        grain=draw(st.sampled_from([None, None, 1.0, 0.5])),
        masked=draw(st.booleans()),
        biased=draw(st.booleans()),
        seed=draw(st.integers(0, 2**31)),
    )


def assert_same_gradients(case: Case, backend: Backend) -> None:
    leaves = case.leaves()
    expected, ours = case.torchvision(), case.ours(backend)
    upstream = torch.randn(expected.shape, dtype=torch.float64)
    wanted = torch.autograd.grad(expected, list(leaves.values()), upstream)
    got = torch.autograd.grad(ours, list(leaves.values()), upstream)
    for name, w, g in zip(leaves, wanted, got, strict=True):
        torch.testing.assert_close(g, w, rtol=0, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
