"""Deformable convolution by a gather that `torch.compile` has fused, and a matrix product.

The map is laid out channels-last, so that a point's four neighbours are four rows of numbers: one
loop reads, weighs and adds them, with nothing written but the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from . import deform_conv_grid
from .deform_conv_call import Call

STRIP_ELEMENTS = 2**18
"""So many numbers are sampled at once: 1 MiB, which stays in a core's own cache."""

_CHANNELS = range(32, 256)
"""Of so many channels per offset group the fused gather is 1.3 to 1.4 times as fast as
`grid_sample`. Of fewer, a row is too short to fill the processor's vectors; of more, the matrix
product takes nearly all of the time."""

_broken = False
"""Whether compiling has failed in this process: it is not tried again."""


def forward(call: Call) -> Tensor:
    """[B, O, h, w], without a gradient.

    By `grid_sample` where that is faster, in grouped convolutions, and where nothing
    can be compiled.
    """
    fitting = call.channels_per_offset_group in _CHANNELS and call.groups == 1
    if _broken or not fitting or not call.offset.numel():
        return deform_conv_grid.forward(call)
    try:
        return _forward(call, _compiled())
    except Exception as error:  # whatever a compiler that is missing or broken makes it raise
        _give_up(error)
    return deform_conv_grid.forward(call)


def _forward(call: Call, gather: Callable[..., Tensor]) -> Tensor:
    batch, (h, w) = call.input.shape[0], call.output_size
    output = call.input.new_empty(batch, call.weight.shape[0], h, w)
    ringed = F.pad(call.input, (1, 1, 1, 1))
    ringed = ringed.view(batch, call.offset_groups, -1, *ringed.shape[2:])
    maps = ringed.permute(0, 1, 3, 4, 2).contiguous()  # [B, G, H + 2, W + 2, D]
    grid = call.kernel.regular_grid((h, w), call.offset)  # [K, 2, h, w]
    by_channel = call.weight.reshape(len(call.weight), call.offset_groups, -1, call.kernel.taps)
    kernels = by_channel.transpose(2, 3).flatten(1)  # [O, G * D, K] as [O, G * K * D]
    rows = min(h, max(1, STRIP_ELEMENTS // (call.input.shape[1] * call.kernel.taps * w)))
    for image in range(batch):
        for top in range(0, h, rows):
            # The last strip begins earlier instead of being shorter: one shape is compiled once.
            first = min(top, h - rows)
            strip = (..., slice(first, first + rows), slice(None))
            mask = None if call.mask is None else call.mask[image][strip]
            columns = gather(maps[image], grid[strip], call.offset[image][strip], mask)
            product = kernels @ columns.flatten(0, 1).flatten(1).mT  # [O, rows * w]
            output[image][strip].copy_(product.view(-1, rows, w))
    return output


def _gather(map: Tensor, grid: Tensor, offset: Tensor, mask: Tensor | None) -> Tensor:
    """Sample a map [G, H + 2, W + 2, D], with a border of zeros, for some rows: [r, w, G, K, D].

    Args:
        map: channels-last, one image.
        grid: the regular taps, [K, 2, r, w].
        offset: [G, K, 2, r, w].
        mask: [G, K, r, w] or None.
    """
    y, x = (grid + offset).permute(3, 4, 0, 1, 2).unbind(-1)  # two of [r, w, G, K]
    factor = 1 if mask is None else mask.permute(2, 3, 0, 1)
    group = torch.arange(map.shape[0], device=map.device)[:, None]
    rows, columns = _neighbours(y, map.shape[1]), _neighbours(x, map.shape[2])
    corners = [
        map[group, row, column] * (row_weight * column_weight * factor)[..., None]
        for row, row_weight in rows
        for column, column_weight in columns
    ]
    return corners[0] + corners[1] + corners[2] + corners[3]


def _neighbours(coordinate: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """The pixels below and above each coordinate of one axis, with the border, and their weights.

    `bilinear` has the same rule with a gradient, for an operator that sums on its own.
    """
    coordinate = coordinate.nan_to_num(nan=-2.0).clamp(-2, size - 1)
    below = coordinate.floor()
    fraction = coordinate - below
    pixel = below.to(torch.int64) + 1
    return [
        (pixel.clamp(0, size - 1), 1 - fraction),
        ((pixel + 1).clamp(0, size - 1), fraction),
    ]


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(_gather, fullgraph=True)


def _give_up(error: Exception) -> None:
    global _broken
    _broken = True
    told = str(error).strip().splitlines() or [type(error).__name__]
    warnings.warn(
        f"compile=True has no effect, as torch.compile failed: {told[0]} (it needs a C++ "
        "compiler, such as g++, on the PATH or named by CXX)",
        UserWarning,
        stacklevel=2,
    )
