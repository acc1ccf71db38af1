"""Deformable convolution by `F.embedding_bag` on a channels-last map, and a matrix product.

Of many channels this is the fastest way to sample: all that is read at a point lies side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .bilinear import as_table, sample_table
from .deform_conv_call import Call

STRIP_ELEMENTS = 2**21
"""So many numbers are worked on at once: 8 MiB, which stay in the processor's cache. Measured:
larger strips are up to twice as slow, as each then waits for fresh memory."""


def forward(call: Call) -> Tensor:
    """[B, O, h, w]; autograd knows the way back."""
    table = as_table(call.input, call.offset_groups)
    rows = _strip_rows(call)
    # `split`, as its gradient is put together once; a slice's is a map of zeros for each.
    offsets = torch.split(call.offset, rows, dim=-2)
    masks = [None] * len(offsets) if call.mask is None else torch.split(call.mask, rows, dim=-2)
    return torch.cat(
        [
            _strip(call, table, offset, mask, index * rows)
            for index, (offset, mask) in enumerate(zip(offsets, masks, strict=True))
        ],
        dim=2,
    )


def _strip(call: Call, table: Tensor, offset: Tensor, mask: Tensor | None, top: int) -> Tensor:
    """The output rows from `top` on, as many as `offset` [B, G, K, 2, rows, w] holds."""
    rows, width = offset.shape[-2:]
    grid = call.kernel.regular_grid((rows, width), offset)  # [K, 2, rows, w]
    grid = grid + grid.new_tensor([top * call.kernel.stride[0], 0])[:, None, None]
    points = (grid + offset).permute(0, 4, 5, 1, 2, 3)  # [B, rows, w, G, K, 2]
    if mask is not None:
        mask = mask.permute(0, 3, 4, 1, 2)  # [B, rows, w, G, K]
    columns = sample_table(table, call.input.shape, points, mask)  # [B, rows, w, G, K, D]
    return _contract(columns, call.weight)


def _contract(columns: Tensor, weight: Tensor) -> Tensor:
    """Multiply sampled values [B, h, w, G, K, D] by the kernel: [B, O, h, w]."""
    batch, height, width, offset_groups, taps, per_offset_group = columns.shape
    out, per_group = weight.shape[:2]
    groups = offset_groups * per_offset_group // per_group
    if groups == 1:  # one reorders the weight, which is small
        by_point = weight.reshape(out, offset_groups, per_offset_group, taps).transpose(2, 3)
        output = torch.matmul(by_point.reshape(out, -1), columns.flatten(3).flatten(1, 2).mT)
        return output.reshape(batch, out, height, width)
    columns = columns.transpose(-1, -2)
    columns = columns.reshape(batch, height * width, groups, per_group * taps)
    kernels = weight.reshape(groups, out // groups, per_group * taps)
    output = torch.einsum("bngi,goi->bgon", columns, kernels)
    return output.reshape(batch, out, height, width)


def _strip_rows(call: Call) -> int:
    """How many output rows are worked on at once, to keep to `STRIP_ELEMENTS`."""
    # A point costs its channels and about sixteen numbers more: coordinates, indices, weights.
    batch, channels = call.input.shape[:2]
    per_row = batch * (channels + 16 * call.offset_groups) * call.kernel.taps * call.output_size[1]
    return max(1, STRIP_ELEMENTS // max(1, per_row))
