"""The operators' definitions written as loops over single numbers: slow, and plain to check.

Nothing here comes from the package under test, and nothing is vectorised.
"""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor

Pair = tuple[int, int]
Rows = list[list[float]]


def bilinear(rows: Rows, y: float, x: float) -> float:
    """Read a map [H][W] at a real point; pixels outside are zero, as is a point not finite."""
    if not (math.isfinite(y) and math.isfinite(x)):
        return 0.0
    height, width = len(rows), len(rows[0])
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row, column in product((top, top + 1), (left, left + 1)):
        if 0 <= row < height and 0 <= column < width:
            total += (1 - abs(y - row)) * (1 - abs(x - column)) * rows[row][column]
    return total


def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """How often a window that spans its dilated taps fits on the padded map, counted."""
    counts = []
    for axis in (0, 1):
        first, count = -padding[axis], 0
        while first + dilation[axis] * (kernel[axis] - 1) <= size[axis] - 1 + padding[axis]:
            first, count = first + stride[axis], count + 1
        counts.append(count)
    return (counts[0], counts[1])


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    """The published formula; offset [B, 2GK, h, w] holds dy, dx of tap 0, dy, dx of tap 1, ..."""
    batch, channels, height, width = input.shape
    outputs, per_group, kh, kw = weight.shape
    taps = kh * kw
    offset_groups = offset.shape[1] // (2 * taps)
    size = output_size((height, width), (kh, kw), stride, padding, dilation)
    result = torch.zeros(batch, outputs, *size, dtype=torch.float64)
    maps, moves, kernels = input.tolist(), offset.tolist(), weight.tolist()
    factors = None if mask is None else mask.tolist()
    for b, o, oy, ox in product(range(batch), range(outputs), range(size[0]), range(size[1])):
        first_channel = o // (outputs // (channels // per_group)) * per_group
        total = 0.0 if bias is None else float(bias[o])
        for i, u, v in product(range(per_group), range(kh), range(kw)):
            channel, k = first_channel + i, u * kw + v
            group = channel // (channels // offset_groups)
            dy = moves[b][2 * (group * taps + k)][oy][ox]
            dx = moves[b][2 * (group * taps + k) + 1][oy][ox]
            y = oy * stride[0] - padding[0] + u * dilation[0] + dy
            x = ox * stride[1] - padding[1] + v * dilation[1] + dx
            factor = 1.0 if factors is None else factors[b][group * taps + k][oy][ox]
            total += kernels[o][i][u][v] * factor * bilinear(maps[b][channel], y, x)
        result[b, o, oy, ox] = total
    return result


def dr_conv2d(
    input: Tensor,
    weight: Tensor,
    guide: Tensor,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Tensor:
    """For each pixel: find the region of the largest score, then apply that region's filter."""
    batch, channels, height, width = input.shape
    regions, outputs, per_group, kh, kw = weight.shape[1:]
    size = output_size((height, width), (kh, kw), stride, padding, dilation)
    result = torch.zeros(batch, outputs, *size, dtype=torch.float64)
    maps, filters, scores = input.tolist(), weight.tolist(), guide.tolist()
    for b, oy, ox in product(range(batch), range(size[0]), range(size[1])):
        chosen = 0
        for t in range(1, regions):
            if scores[b][t][oy][ox] > scores[b][chosen][oy][ox]:
                chosen = t
        for o in range(outputs):
            first_channel = o // (outputs // (channels // per_group)) * per_group
            total = 0.0
            for i, u, v in product(range(per_group), range(kh), range(kw)):
                y = oy * stride[0] - padding[0] + u * dilation[0]
                x = ox * stride[1] - padding[1] + v * dilation[1]
                if 0 <= y < height and 0 <= x < width:
                    value = maps[b][first_channel + i][y][x]
                    total += filters[b][chosen][o][i][u][v] * value
            result[b, o, oy, ox] = total
    return result


def channel_groups(channels: int, groups: int) -> list[int]:
    """The group of each channel: contiguous, nearly equal, the longer groups first."""
    small, longer = divmod(channels, groups)
    sizes = [small + 1 if g < longer else small for g in range(groups)]
    return [g for g, size in enumerate(sizes) for _ in range(size)]


def spatial_shift(input: Tensor, shifts: list[Pair], border: str) -> Tensor:
    """out(y, x) = in(y - dy, x - dx) pixel by pixel, with the border rule spelt out."""
    batch, channels, height, width = input.shape
    maps, result = input.tolist(), input.clone()
    of_channel = channel_groups(channels, len(shifts))
    for b, c, y, x in product(range(batch), range(channels), range(height), range(width)):
        dy, dx = shifts[of_channel[c]]
        row, column = y - dy, x - dx
        if 0 <= row < height and 0 <= column < width:
            result[b, c, y, x] = maps[b][c][row][column]
        elif border == "zero":
            result[b, c, y, x] = 0.0
        elif border == "replicate":
            row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
            result[b, c, y, x] = maps[b][c][row][column]
        elif border == "circular":
            result[b, c, y, x] = maps[b][c][row % height][column % width]
        else:
            assert border == "keep"  # the result began as a copy of the input
    return result


def channel_shift(input: Tensor, shift: Tensor) -> Tensor:
    """Each channel read at its own real distance: out_c(y, x) = in_c(y + dy_c, x + dx_c)."""
    batch, channels, height, width = input.shape
    maps, moves = input.tolist(), shift.tolist()
    result = torch.zeros(batch, channels, height, width, dtype=torch.float64)
    for b, c, y, x in product(range(batch), range(channels), range(height), range(width)):
        dy, dx = moves[c]
        result[b, c, y, x] = bilinear(maps[b][c], y + dy, x + dx)
    return result
