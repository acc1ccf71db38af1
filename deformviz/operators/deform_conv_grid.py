"""Deformable convolution by `F.grid_sample` and a matrix product, forward and backward.

Points go to `grid_sample` normalised to [-1, 1], which rounds. Here it costs nothing: the map is
padded with zeros to 2^n + 1 pixels, so that to normalise is to divide by a power of two. A point on
a pixel's centre then stays on it, and its derivative is the one to the right, as everywhere else.
The padding is never read; it costs memory for up to three maps more, at a size of 2^n + 2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import Kernel
from .deform_conv_call import Call, Strip, strips

FORWARD_ELEMENTS = 2**19
"""So many numbers are worked on at once, 2 MiB that stay in the processor's cache. Measured: a
quarter or four times of it changes little."""

_NOWHERE = 9.0
"""A normalised coordinate far outside of every map."""


class _Grid:
    """What all strips of a call share: the padded map, and the regular taps, normalised."""

    def __init__(self, call: Call) -> None:
        batch, channels, height, width = call.input.shape
        self.size = (_padded(height), _padded(width))
        padding = (0, self.size[1] - width, 0, self.size[0] - height)
        self.map = F.pad(call.input, padding).reshape(
            batch, call.offset_groups, channels // call.offset_groups, *self.size
        )  # [B, G, D, H', W']
        self.scale = (2 / (self.size[0] - 1), 2 / (self.size[1] - 1))  # powers of two
        self.base = _regular_taps(call, self.scale)

    def maps(self, strip: Strip) -> Tensor:
        """[b * parts * G, D, H', W']: a view, unless there are both parts and offset groups."""
        chosen = self.map[strip.images, None]
        return chosen.expand(-1, strip.parts, -1, -1, -1, -1).flatten(0, 2)

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
            torch.add(base, moved, alpha=self.scale[axis], out=planes[:, :, :, 1 - axis])
        planes.nan_to_num_(nan=-_NOWHERE, posinf=_NOWHERE, neginf=-_NOWHERE)
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
    read = F.grid_sample(grid.maps(strip), points, align_corners=True)  # [N, D, K * r, w]
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
        grad_maps, grad_points = torch.ops.aten.grid_sampler_2d_backward(
            grad_columns.flatten(0, 2).flatten(2, 3), grid.maps(strip), points, 0, 0, True,
            (grad_map is not None, True),
        )  # fmt: skip
        if grad_map is not None:
            whole = grad_maps.view(-1, strip.parts, *grid.map.shape[1:])
            for part in range(strip.parts):
                grad_map[strip.images] += whole[:, part, ..., :height, :width]
        if grad_offset is not None:
            moved = grad_points.view(*shape[:3], *shape[4:], grad.shape[3], 2)
            for axis in (0, 1):
                there = in_parts(grad_offset[:, :, :, axis], strip)
                torch.mul(moved[..., 1 - axis], grid.scale[axis], out=there)
    return tuple(found)


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


def _padded(size: int) -> int:
    """The next 2^n + 1, so that half of one less, by which a coordinate is divided, is exact."""
    return int(1 << max(0, size - 2).bit_length()) + 1


def _regular_taps(call: Call, scale: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """The regular grid, normalised: y [K, h, 1] and x [K, 1, w]."""
    kernel: Kernel = call.kernel
    taps = kernel.tap_positions(call.offset)  # [K, 2]
    anchors = kernel.anchors(call.output_size, call.offset)  # [2, h, w]
    y = (taps[:, 0, None] + anchors[0, :, 0]) * scale[0] - 1
    x = (taps[:, 1, None] + anchors[1, 0, :]) * scale[1] - 1
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
