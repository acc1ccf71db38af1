"""Bilinear reading of a map at real points: the one inner loop that the operators share.

The map is laid out channels-last as a table with a row for each pixel; to read a point is then to
add up four rows of it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sample(input: Tensor, points: Tensor, mask: Tensor | None = None) -> Tensor:
    """Read a map at real-valued points, bilinearly; outside it is zero and fades over a pixel.

    Coordinates are never normalised, so that a point on a pixel's centre reads that pixel
    exactly, and the derivative there is the one from the right, as in every published kernel.

    Args:
        input: [B, C, H, W].
        points: [B, h, w, G, K, 2], (y, x) in pixels; channel c is read at group c // (C / G).
            A point that is not finite reads zero.
        mask: [B, h, w, G, K], a factor for each point, or None.

    Returns:
        [B, h, w, G, K, C / G], in the dtype of `input`.
    """
    return sample_table(as_table(input, points.shape[-3]), input.shape, points, mask)


def as_table(input: Tensor, groups: int) -> Tensor:
    """Lay a map [B, C, H, W] out for `sample_table`, with a border of zeros one pixel wide.

    Returns:
        [B * G * (H + 2) * (W + 2), C / G], a row for each pixel of each group.
    """
    batch, channels, height, width = input.shape
    ringed = F.pad(input, (1, 1, 1, 1))
    ringed = ringed.reshape(batch, groups, channels // groups, (height + 2) * (width + 2))
    return ringed.transpose(2, 3).flatten(0, 2)


def sample_table(
    table: Tensor, shape: tuple[int, ...], points: Tensor, mask: Tensor | None
) -> Tensor:
    """`sample`, from `as_table(input)` and the shape of `input`.

    A point is a weighted sum of four rows, which `F.embedding_bag` computes in one multi-threaded
    pass, with gradients for the rows and the weights. What lies outside the map is read from the
    border of zeros, so that not even a NaN in an edge pixel leaks out.
    """
    batch, _, height, width = shape
    groups = points.shape[-3]
    y, x = (axis.contiguous() for axis in points.unbind(-1))  # two of [B, h, w, G, K]
    rows, row_weights = _neighbours(y, height)
    columns, column_weights = _neighbours(x, width)
    # The map of image b and group g starts at row (b * G + g) * (H + 2) * (W + 2) of the table.
    start = torch.arange(batch * groups, device=table.device) * ((height + 2) * (width + 2))
    start = start.reshape(batch, 1, 1, groups, 1)
    if mask is not None:
        row_weights = [weight * mask for weight in row_weights]
    row_starts = [row * (width + 2) + start for row in rows]
    # Contiguous sums first, one interleaving copy last: far faster than broadcasting over (2, 2).
    index = torch.stack([row + column for row in row_starts for column in columns], dim=-1)
    weights = torch.stack([v * u for v in row_weights for u in column_weights], dim=-1)
    values = F.embedding_bag(
        index.flatten(0, -2),
        table,
        per_sample_weights=weights.flatten(0, -2).to(table.dtype),
        mode="sum",
    )  # [B * h * w * G * K, C / G]
    return values.reshape(*points.shape[:-1], table.shape[1])


def _neighbours(coordinate: Tensor, size: int) -> tuple[list[Tensor], list[Tensor]]:
    """The pixels below and above each coordinate of one axis, and their bilinear weights.

    Pixels are counted from the border of zeros, which stands for all that is outside.
    """
    coordinate = coordinate.nan_to_num(nan=-2.0).clamp(-2, size + 1)
    below = coordinate.detach().floor()
    fraction = coordinate - below
    index = [(pixel.clamp(-1, size) + 1).to(torch.int64) for pixel in (below, below + 1)]
    return index, [1 - fraction, fraction]
