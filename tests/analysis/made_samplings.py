"""Records that the tests of this folder measure, put together from plain tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from deformviz import Kernel, Sampling

Point = tuple[float, float]


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    """Numbers from 0 to 1, float64."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(
    offset: Tensor, size: int | tuple[int, int] = 3, input_size: Any = None, **more: Any
) -> Sampling:
    """A stride 1 layer that keeps its map's size, for an odd kernel, from its offsets."""
    kernel = Kernel.of(size)
    kernel = Kernel.of(size, padding=(kernel.size[0] // 2, kernel.size[1] // 2))
    output_size = tuple(offset.shape[-2:])
    fields = {"name": "a layer", "kernel": kernel, **more}
    return Sampling(
        offset=offset, input_size=input_size or output_size, output_size=output_size, **fields
    )


def random_layer(
    size: tuple[int, int], groups: int = 2, reference: bool = False, seed: int = 0, **more: Any
) -> Sampling:
    """Strides, paddings and dilations that all differ; the base points at random if asked for."""
    kernel = Kernel.of(size, stride=(2, 1), padding=(3, 2), dilation=(1, 2))
    output_size = kernel.output_size((9, 11))
    shape = (groups, kernel.taps, 2, *output_size)
    return Sampling(
        "a random layer", (9, 11), output_size, kernel, 2 * normal(*shape, seed=seed),
        reference=5 * normal(*shape, seed=seed + 1) if reference else None, **more,
    )  # fmt: skip


def points_of(s: Sampling, group: int, y: int, x: int) -> list[tuple[Point, Point]]:
    """Each tap before and after its offset, by the definition of a strided, dilated convolution."""
    found = []
    for k in range(s.offset.shape[1]):
        i, j = divmod(k, s.kernel.size[1])
        base: Point = (
            y * s.kernel.stride[0] - s.kernel.padding[0] + i * s.kernel.dilation[0],
            x * s.kernel.stride[1] - s.kernel.padding[1] + j * s.kernel.dilation[1],
        )
        if s.reference is not None:
            base = (
                s.reference[group, k, 0, y, x].item(),
                s.reference[group, k, 1, y, x].item(),
            )
        dy, dx = s.offset[group, k, :, y, x].tolist()
        found.append((base, (base[0] + dy, base[1] + dx)))
    return found


def moved_by(change: Callable[[float, float], Point], size: int = 3, side: int = 4) -> Sampling:
    """A kernel of which each tap (y, x), seen from the centre, goes to change(y, x)."""
    offset = torch.zeros(1, size * size, 2, side, side, dtype=torch.float64)
    for k in range(size * size):
        y, x = k // size - (size - 1) / 2, k % size - (size - 1) / 2
        to = change(y, x)
        offset[0, k, 0], offset[0, k, 1] = to[0] - y, to[1] - x
    return layer(offset, size)


def turned(degrees: float, times: float = 1.0) -> Callable[[float, float], Point]:
    """Turn clockwise as seen on the screen, where y points down, and scale."""
    angle = math.radians(degrees)

    def change(y: float, x: float) -> Point:
        # To the right, (0, 1), goes down, (1, 0), by a quarter turn.
        turned_y = math.cos(angle) * y + math.sin(angle) * x
        turned_x = math.cos(angle) * x - math.sin(angle) * y
        return (times * turned_y, times * turned_x)

    return change
