"""What `operators.py` measures: the shapes, and each way to compute a deformable convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchvision
from measuring import WAYS, Function
from torch import Tensor

from deformviz.operators import deform_conv2d


@dataclass(frozen=True)
class Shape:
    """A modulated deformable convolution of one image, C channels to C, stride 1, padded."""

    channels: int
    size: int
    kernel: int
    groups: int = 1

    def __str__(self) -> str:
        grouped = f", {self.groups} groups" if self.groups > 1 else ""
        return f"{self.channels} × {self.size}², kernel {self.kernel}{grouped}"

    def tensors(self, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Input, offset (normal, of one pixel), weight and mask, the same at each call."""
        random = torch.Generator().manual_seed(0)
        c, n, k = self.channels, self.size, self.kernel
        shapes = [(1, c, n, n), (1, 2 * self.groups * k * k, n, n), (c, c, k, k)]
        tensors = [torch.randn(s, generator=random) for s in shapes]
        tensors[2] /= (c * k * k) ** 0.5
        mask = torch.rand((1, self.groups * k * k, n, n), generator=random)
        x, offset, weight, mask = (tensor.to(device) for tensor in (*tensors, mask))
        return x, offset, weight, mask


SHAPES = (
    Shape(3, 256, 3), Shape(3, 512, 3), Shape(3, 512, 7), Shape(64, 56, 3), Shape(64, 128, 3),
    Shape(128, 64, 3, 8), Shape(256, 28, 3), Shape(256, 128, 3), Shape(512, 14, 3),
)  # fmt: skip
BESIDE = (Shape(64, 130, 3), Shape(3, 258, 3))
"""Sizes just above a power of two, to which `grid_sample` rounds a map up; not in the means."""

AUTO = {"cpu": "grid_sample", "cuda": "torchvision"}
"""What `backend="auto"` chooses, which is not measured twice."""

QUICK = (Shape(3, 256, 3), Shape(64, 56, 3), Shape(256, 28, 3))


def columns() -> dict[str, Function]:
    """Each way to the same result, and last the plain convolution as the floor."""
    return {
        "torchvision": _torchvision,
        "copied gather": copied_gather,
        "grid_sample": _ours(backend="grid_sample"),
        "embedding_bag": _ours(backend="embedding_bag"),
        "compile=True": _ours(compile=True),
        "conv2d": lambda x, offset, weight, mask: F.conv2d(x, weight, padding=_same(weight)),
    }


def _same(weight: Tensor) -> int:
    """The padding that keeps the size."""
    return weight.shape[-1] // 2


def _torchvision(x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
    output: Tensor = torchvision.ops.deform_conv2d(
        x, offset, weight, None, 1, _same(weight), 1, mask
    )
    return output


def _ours(**how: object) -> Function:
    def run(x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
        return deform_conv2d(x, offset, weight, None, 1, _same(weight), 1, mask, **how)

    return run


def copied_gather(x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
    """The arithmetic of the widely copied pure-PyTorch code, with the border rule put right.

    Four gathers of the whole map, one for each neighbour, each weighed by its share; the samples
    laid out as a map k times as large, and a convolution of stride k over it.
    """
    batch, channels, height, width = x.shape
    k = weight.shape[-1]
    groups = offset.shape[1] // (2 * k * k)
    padded = F.pad(x, (1, 1, 1, 1)).reshape(batch, groups, channels // groups, -1)
    taps = torch.arange(k, device=x.device) - k // 2
    rows, row_taps = torch.arange(height, device=x.device), taps.repeat_interleave(k)
    columns, column_taps = torch.arange(width, device=x.device), taps.repeat(k)
    moved = offset.reshape(batch, groups, k * k, 2, height, width)
    y = moved[:, :, :, 0] + row_taps[:, None, None] + rows[:, None] + 1
    x_ = moved[:, :, :, 1] + column_taps[:, None, None] + columns + 1
    y, x_ = y.clamp(0, height + 1), x_.clamp(0, width + 1)
    total = x.new_zeros(())
    for dy in (0, 1):
        for dx in (0, 1):
            at_y, at_x = y.detach().floor() + dy, x_.detach().floor() + dx
            share = (1 - (y - at_y).abs()) * (1 - (x_ - at_x).abs())  # [B, G, K, h, w]
            index = at_y.clamp(max=height + 1) * (width + 2) + at_x.clamp(max=width + 1)
            index = index.long().flatten(2)[:, :, None].expand(-1, -1, padded.shape[2], -1)
            read = padded.gather(3, index).unflatten(3, share.shape[2:])  # [B, G, D, K, h, w]
            total = total + share[:, :, None] * read
    total = total * mask.reshape(batch, groups, 1, k * k, height, width)
    total = total.reshape(batch, channels, k, k, height, width)
    return F.conv2d(
        total.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, k * height, -1), weight, stride=k
    )


def check(shape: Shape, device: str) -> None:
    """AssertionError unless all columns but the floor give what torchvision gives."""
    tensors = shape.tensors(device)
    ways = columns()
    with torch.no_grad():
        expected = ways.pop("torchvision")(*tensors)
        del ways["conv2d"]
        for function in ways.values():
            torch.testing.assert_close(function(*tensors), expected, rtol=1e-3, atol=1e-3)


def one_call(shape: Shape, column: str, way: str) -> Callable[..., None]:
    """For a process of its own: a function that computes it once."""
    run, tensors = WAYS[way](columns()[column]), shape.tensors()

    def call() -> None:
        run(*tensors)

    return call
