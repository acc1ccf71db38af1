"""Positions of the output in the order of their filters, and matrix products filter by filter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .dr_conv_all import choose_region

SMALL_ROWS = 256
"""Up to so many rows a filter, all products are one batch, filled up to equal heights: one by one,
each would wait for the threads longer than it takes. At most half as many again are filled up."""


@dataclass(frozen=True)
class Strip:
    """Some positions of the output, which are counted through the whole batch: b * N + n.

    A slot holds one position; slots of one filter lie side by side, by image, and then by region.

    Attributes:
        span: which positions, n of them.
        order: [s], the position of each slot.
        back: [n], the slot of each position.
        filters: those of the images that have positions here, of b * m + t.
        counts: how many slots each of them has.
        real: None, or [s, 1] where some slots repeat a position, for equal counts: 0 for those.
    """

    span: slice
    order: Tensor
    back: Tensor
    filters: slice
    counts: list[int]
    real: Tensor | None

    def once(self, rows: Tensor) -> Tensor:
        """Rows [s, i], of which the repetitions are set to zero, in place."""
        return rows if self.real is None else rows.mul_(self.real)

    def times(self, rows: Tensor, matrices: Tensor) -> Tensor:
        """[s, i] x [B * m, i, j]: each slot's row times the matrix of its filter, [s, j]."""
        chosen = matrices[self.filters]
        if self.real is not None:
            return torch.bmm(rows.view(len(chosen), -1, rows.shape[1]), chosen).flatten(0, 1)
        product = rows.new_empty(len(rows), chosen.shape[2])
        for row, matrix, there in zip(
            torch.split(rows, self.counts),
            chosen.unbind(),
            torch.split(product, self.counts),
            strict=True,
        ):
            torch.mm(row, matrix, out=there)
        return product

    def add_outer(self, sums: Tensor, left: Tensor, right: Tensor) -> None:
        """Add to [B * m, i, j] the products [s, i], transposed, x [s, j] of each filter."""
        chosen = sums[self.filters]
        if self.real is not None:
            by_filter = (rows.view(len(chosen), -1, rows.shape[1]) for rows in (left, right))
            chosen.baddbmm_(next(by_filter).mT, next(by_filter))
            return
        for total, one, other in zip(
            chosen.unbind(),
            torch.split(left, self.counts),
            torch.split(right, self.counts),
            strict=True,
        ):
            total.addmm_(one.mT, other)


def strips(guide: Tensor, positions: int) -> Iterator[Strip]:
    """Cut all positions of the scores [B, m, h, w] into strips of so many, each sorted."""
    batch, regions = guide.shape[:2]
    region = choose_region(guide).flatten(1)  # [B, N]
    in_image = region.shape[1]
    filters = torch.arange(batch, device=guide.device)[:, None] * regions
    keys = (region + filters).flatten()
    for first in range(0, len(keys), max(1, positions)):
        span = slice(first, min(first + max(1, positions), len(keys)))
        start = first // in_image * regions
        stop = ((span.stop - 1) // in_image + 1) * regions
        yield _sorted(keys[span] - start, span, slice(start, stop))


def _sorted(keys: Tensor, span: slice, filters: slice) -> Strip:
    """A strip of positions whose filters are `keys` [n], counted from the first of `filters`."""
    order = keys.argsort()
    totals = torch.bincount(keys, minlength=filters.stop - filters.start)
    counts: list[int] = totals.tolist()
    slots, real = torch.arange(len(keys), device=keys.device), None
    held, height = order, max(counts)
    if min(counts) > 0 and height <= SMALL_ROWS and 2 * height * len(counts) <= 3 * len(keys):
        first = totals.cumsum(0) - totals
        rank = torch.arange(height, device=keys.device)
        held = order[(first[:, None] + torch.minimum(rank, totals[:, None] - 1)).flatten()]
        real = (rank < totals[:, None]).flatten()[:, None]
        begin = torch.arange(len(counts), device=keys.device) * height
        slots = slots + (begin - first)[keys[order]]
        counts = [height] * len(counts)
    back = torch.empty_like(slots)
    back[order] = slots
    return Strip(span, held + span.start, back, filters, counts, real)
