"""Deformable convolution by `F.grid_sample` and a matrix product, forward and backward.

Points go to `grid_sample` normalised to [-1, 1], which rounds. Here it costs nothing: the map is
called one of 2^n rows and columns, or of 2^n + 1 with `align_corners`, so that to normalise is to
divide by a power of two. A point on a pixel's centre then stays on it, and its derivative is the
one to the right, as everywhere else. Of what is missing to that size, two rows and columns are
there, of zeros; no point gets beyond them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import Kernel, Pair
from .deform_conv_call import Call, Strip, strips

FORWARD_ELEMENTS = 2**19
"""So many numbers are worked on at once, 2 MiB that stay in the processor's cache. Measured: a
quarter or four times of it changes little."""

_FEW_CHANNELS = 8
"""So many share the work that a point takes by itself, or more."""

_NOWHERE = 9.0
"""A normalised coordinate far outside of every map."""


class _Grid:
    """What all strips of a call share: the map, and the regular taps, normalised."""

    def __init__(self, call: Call) -> None:
        size = (call.input.shape[2], call.input.shape[3])
        powers = (_power(size[0]), _power(size[1]))
        aligned = (_power(size[0] - 1), _power(size[1] - 1))
        self.aligned = (aligned[0] + 1) * (aligned[1] + 1) < powers[0] * powers[1]
        if self.aligned:
            powers = aligned
        self.scale = (2 / powers[0], 2 / powers[1])
        self.size = (powers[0] + self.aligned, powers[1] + self.aligned)
        self.there = size
        self.map = _enlarged(call.input, call.offset_groups, self.size)
        shift = 0.0 if self.aligned else 0.5  # of a pixel's centre from its edge, where -1 lies
        self.base = _regular_taps(call, self.scale, shift)
        # The first row and column beyond the map, where all that is read is zero.
        self.end = [
            (there + shift) * scale - 1 if there < most else None
            for there, most, scale in zip(size, self.size, self.scale, strict=True)
        ]

    def maps(self, strip: Strip) -> Tensor:
        """[b * parts * G, D, H', W']: a view, unless there are both parts and offset groups."""
        chosen = self.map[strip.images, None]
        return chosen.expand(-1, strip.parts, -1, -1, -1, -1).flatten(0, 2)

    def channels(self) -> list[slice]:
        """Parts of D whose gradient takes, at 2^n by 2^n, no more than that of the map for each."""
        count = self.map.shape[2]
        real = self.there[0] * self.there[1]
        parts = min(self.size[0] * self.size[1] // real, max(1, count // _FEW_CHANNELS))
        step = -(-count // max(1, parts))
        return [slice(first, min(first + step, count)) for first in range(0, count, step)]

    def points(self, call: Call, strip: Strip) -> Tensor:
        """[b * parts * G, K * r, w, 2], (x, y), normalised; y and x lie in planes of their own."""
        images, groups, taps = strip.images.stop - strip.images.start, *call.offset.shape[1:3]
        rows, width = strip.part_rows, call.output_size[1]
        planes = self.map.new_empty(images, strip.parts, groups, 2, taps, rows, width)
        for axis in (0, 1):
            moved = in_parts(call.offset[:, :, :, axis], strip)  # [b, parts, G, K, r, w]
            base = self.base[axis]
            if axis == 0:  # [K, h, 1]; the columns' is [K, 1, w]
                base = base[:, strip.rows].view(taps, strip.parts, 1, rows, 1).transpose(0, 1)
                base = base.transpose(1, 2)  # [parts, 1, K, r, 1]
            plane = planes[:, :, :, 1 - axis]
            torch.add(base, moved, alpha=self.scale[axis], out=plane)
            plane.nan_to_num_(nan=-_NOWHERE, posinf=-_NOWHERE, neginf=-_NOWHERE)
            if self.end[axis] is not None:
                plane.clamp_(max=self.end[axis])
        return planes.flatten(0, 2).flatten(2, 3).permute(0, 2, 3, 1)


def forward(call: Call) -> Tensor:
    """[B, O, h, w], without a gradient."""
    output = call.input.new_empty(call.input.shape[0], call.weight.shape[0], *call.output_size)
    if not output.numel():
        return output
    grid, kernels = _Grid(call), _matrices(call)
    for strip in strips(call, FORWARD_ELEMENTS, torch.get_num_threads()):
        columns = sample(grid, grid.points(call, strip), call, strip)
        if call.mask is not None:
            columns.mul_(in_parts(call.mask, strip)[:, :, :, None])
        product = _times(kernels, columns.flatten(0, 1).flatten(1, 3).flatten(2))
        there = in_parts(output, strip)  # [b, parts, O, r, w]
        there.copy_(product.reshape(there.shape))
    return output


def sample(grid: _Grid, points: Tensor, call: Call, strip: Strip) -> Tensor:
    """What is read: [b, parts, G, D, K, r, w]."""
    read = F.grid_sample(grid.maps(strip), points, align_corners=grid.aligned)  # [N, D, K * r, w]
    shape = (-1, strip.parts, call.offset_groups, read.shape[1], call.kernel.taps)
    return read.view(*shape, strip.part_rows, read.shape[3])


def backward(call: Call, grad: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    """The gradients of input, offset, weight and mask, as far as wanted.

    Args:
        call: that of the forward pass; what it sampled is sampled again, and never kept.
        grad: of the output, [B, O, h, w].
        wanted: four of them.
    """
    tensors = (call.input, call.offset, call.weight, call.mask)
    found = [
        torch.zeros_like(tensor, memory_format=torch.contiguous_format)
        if tensor is not None and want
        else None
        for tensor, want in zip(tensors, wanted, strict=True)
    ]
    if not grad.numel() or not call.input.numel():
        return tuple(found)
    grid, kernels = _Grid(call), _matrices(call)
    grad_input, grad_offset, grad_weight, grad_mask = found
    height, width = call.input.shape[2:]
    grad_map = None  # [B, G, D, H, W]
    if grad_input is not None:
        grad_map = grad_input.view(*grid.map.shape[:3], height, width)
    grad_kernels = None if grad_weight is None else _matrices_of(grad_weight, call.groups)
    for strip in strips(call, backward_elements(call.input), torch.get_num_threads()):
        points = grid.points(call, strip)
        upstream = in_parts(grad, strip).flatten(0, 1).flatten(2)  # [b * parts, O, r * w]
        mask = None if call.mask is None else in_parts(call.mask, strip)[:, :, :, None]
        columns = None
        if grad_kernels is not None or grad_mask is not None:
            columns = sample(grid, points, call, strip)
        shape = (-1, strip.parts, *grid.map.shape[1:3], call.kernel.taps, strip.part_rows)
        grad_columns = _times(kernels.mT, upstream).view(*shape, grad.shape[3])
        if grad_mask is not None and columns is not None:
            in_parts(grad_mask, strip).copy_((grad_columns * columns).sum(dim=3))
        if grad_kernels is not None and columns is not None:
            columns = columns if mask is None else columns.mul_(mask)
            _add_outer(grad_kernels, upstream, columns.flatten(0, 1).flatten(1, 3).flatten(2))
        del columns
        if grad_map is None and grad_offset is None:
            continue
        grad_columns = grad_columns if mask is None else grad_columns.mul_(mask)
        moved = _add_sampled(grid, grad_columns.flatten(4, 5), points, strip, grad_map)
        if grad_offset is not None:
            moved = moved.view(*shape[:3], *shape[4:], grad.shape[3], 2)
            for axis in (0, 1):
                there = in_parts(grad_offset[:, :, :, axis], strip)
                torch.mul(moved[..., 1 - axis], grid.scale[axis], out=there)
    return tuple(found)


def _add_sampled(
    grid: _Grid, grad_columns: Tensor, points: Tensor, strip: Strip, grad_map: Tensor | None
) -> Tensor:
    """Add the gradient of the map to `grad_map` [B, G, D, H, W]; return that of the points.

    Args:
        grad_columns: of what was read at the points, [b, parts, G, D, K * r, w].
        points: [b * parts * G, K * r, w, 2], and so is what is returned.
    """
    maps = grid.maps(strip)
    grad_points: Tensor | None = None
    for part in grid.channels():
        found, moved = torch.ops.aten.grid_sampler_2d_backward(
            grad_columns[:, :, :, part].flatten(0, 2), maps[:, part], points, 0, 0, grid.aligned,
            (grad_map is not None, True),
        )  # fmt: skip
        if grad_map is not None:
            height, width = grad_map.shape[3:]
            whole = found.view(*grad_columns.shape[:3], -1, *grid.size)
            for index in range(strip.parts):
                grad_map[strip.images, :, part] += whole[:, index, ..., :height, :width]
        grad_points = moved if grad_points is None else grad_points + moved
        del found
    assert grad_points is not None
    return grad_points


def backward_elements(input: Tensor) -> int:
    """How much is worked on at once for an input [B, C, H, W].

    Never less than one and a half maps: each strip has a gradient of the whole map, to zero and to
    add. More would cost memory, of which a strip needs three times as much as forward.
    """
    return max(3 * FORWARD_ELEMENTS // 4, 3 * input[0].numel() // 2)


def in_parts(tensor: Tensor, strip: Strip) -> Tensor:
    """A strip of [B, ..., h, w], as a view [b, parts, ..., r, w]."""
    chosen = tensor[strip.images][..., strip.rows, :]
    *before, _, width = chosen.shape
    return chosen.view(*before, strip.parts, strip.part_rows, width).movedim(-3, 1)


def _power(size: int) -> int:
    """The next power of two, to divide by half of which is exact."""
    return 1 << max(0, size - 1).bit_length()


def _enlarged(input: Tensor, groups: int, size: Pair) -> Tensor:
    """[B, C, H, W] as [B, G, D, H', W'], of which zeros surround the map and the rest is not there.

    Rows and columns from the third beyond the map on are numbers of others: not to be read.
    """
    batch, channels, height, width = input.shape
    rows, columns = min(height + 2, size[0]), min(width + 2, size[1])
    shape = (batch, groups, channels // groups, *size)
    if (rows, columns) == size:
        return F.pad(input, (0, columns - width, 0, rows - height)).reshape(shape)
    missing = (size[0] - rows) * columns + size[1] - columns  # behind the last row that is there
    numbers = input.new_zeros(batch * channels * rows * columns + missing)
    there = numbers[: len(numbers) - missing].view(batch, channels, rows, columns)
    there[..., :height, :width] = input
    plane = rows * columns
    strides = (channels * plane, channels // groups * plane, plane, columns, 1)
    return numbers.as_strided(shape, strides)


def _regular_taps(call: Call, scale: tuple[float, float], shift: float) -> tuple[Tensor, Tensor]:
    """The regular grid, normalised: y [K, h, 1] and x [K, 1, w]."""
    kernel: Kernel = call.kernel
    taps = kernel.tap_positions(call.offset)  # [K, 2]
    anchors = kernel.anchors(call.output_size, call.offset)  # [2, h, w]
    y = (taps[:, 0, None] + anchors[0, :, 0] + shift) * scale[0] - 1
    x = (taps[:, 1, None] + anchors[1, 0, :] + shift) * scale[1] - 1
    return y[:, :, None], x[:, None, :]


def _matrices(call: Call) -> Tensor:
    """The kernels as matrices [groups, O / groups, C / groups * K]."""
    return _matrices_of(call.weight, call.groups)


def _matrices_of(weight: Tensor, groups: int) -> Tensor:
    return weight.reshape(groups, weight.shape[0] // groups, -1)


def _times(kernels: Tensor, columns: Tensor) -> Tensor:
    """[g, o, i] x [n, g * i, p], group by group: [n, g * o, p]."""
    groups, out, per_group = kernels.shape
    if groups == 1:
        return torch.bmm(kernels.expand(columns.shape[0], -1, -1), columns)
    grouped = columns.reshape(-1, groups, per_group, columns.shape[2])
    if grouped.shape[0] == 1:
        product = torch.bmm(kernels, grouped[0])[None]
    else:
        product = torch.matmul(kernels, grouped)
    return product.reshape(columns.shape[0], groups * out, columns.shape[2])


def _add_outer(kernels: Tensor, upstream: Tensor, columns: Tensor) -> None:
    """Add to kernels [g, o, i]: upstream [n, g * o, p] x columns [n, g * i, p], transposed."""
    groups, out, per_group = kernels.shape
    for above, below in zip(upstream, columns, strict=True):
        kernels.baddbmm_(above.view(groups, out, -1), below.view(groups, per_group, -1).mT)
