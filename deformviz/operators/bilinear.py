"""Bilinear reading of a map at real points: the one inner loop that the operators share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sample(input: Tensor, points: Tensor, mask: Tensor | None = None) -> Tensor:
    """Read a map at real-valued points, bilinearly; outside it is zero and fades over a pixel.

    The map is laid out channels-last as a table of H * W rows; a point is then a weighted sum of
    four rows, which `F.embedding_bag` computes in one multi-threaded pass with gradients for the
    rows and the weights. Coordinates are never normalised, so that a point on a pixel's centre
    reads that pixel exactly, and the derivative there is the one from the right, as in every
    published kernel.

    Args:
        input: [B, C, H, W].
        points: [B, h, w, G, K, 2], (y, x) in pixels; channel c is read at group c // (C / G).
            A point that is not finite reads zero.
        mask: [B, h, w, G, K], a factor for each point, or None.

    Returns:
        [B, h, w, G, K, C / G], in the dtype of `input`.
    """
    batch, channels, height, width = input.shape
    groups = points.shape[-3]
    per_group = channels // groups
    table = input.reshape(batch, groups, per_group, height * width)
    table = table.transpose(2, 3).reshape(-1, per_group)  # [B * G * H * W, C / G]

    y, x = (axis.contiguous() for axis in points.unbind(-1))  # two of [B, h, w, G, K]
    rows, row_weights = _neighbours(y, height)
    columns, column_weights = _neighbours(x, width)
    # The map of image b and group g starts at row (b * G + g) * H * W of the table.
    start = torch.arange(batch * groups, device=input.device) * (height * width)
    start = start.reshape(batch, 1, 1, groups, 1)
    if mask is not None:
        row_weights = [weight * mask for weight in row_weights]
    row_starts = [row * width + start for row in rows]
    # Contiguous sums first, one interleaving copy last: far faster than broadcasting over (2, 2).
    index = torch.stack([row + column for row in row_starts for column in columns], dim=-1)
    weights = torch.stack([v * u for v in row_weights for u in column_weights], dim=-1)
    values = F.embedding_bag(
        index.reshape(-1, 4),
        table,
        per_sample_weights=weights.reshape(-1, 4).to(table.dtype),
        mode="sum",
    )  # [B * h * w * G * K, C / G]
    return values.reshape(*points.shape[:-1], per_group)


def _neighbours(coordinate: Tensor, size: int) -> tuple[list[Tensor], list[Tensor]]:
    """The pixels below and above each coordinate of one axis, and their bilinear weights."""
    below = coordinate.detach().floor()
    fraction = coordinate - below
    pixels = [below, below + 1]
    weights = [1 - fraction, fraction]
    inside = [(pixel >= 0) & (pixel <= size - 1) for pixel in pixels]  # false for NaN, too
    index = [pixel.nan_to_num(0).clamp(0, size - 1).to(torch.int64) for pixel in pixels]
    return index, [
        torch.where(known, weight, 0) for known, weight in zip(inside, weights, strict=True)
    ]
