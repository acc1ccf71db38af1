"""How large a layer's offsets and masks are: exact counts, and the pixels behind each bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from ..sampling import Sampling
from .bins import Bin, Bins, log_edges
from .strips import exact_dtype, measuring, offsets, row_strips

Quantity = Literal["magnitude", "dy", "dx", "mask"]


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many values of one quantity fall in each bin.

    Attributes:
        quantity: "magnitude" of the offset, its "dy" or "dx", in pixels of the input map, or the
            "mask".
        bins: from small to large, see `Bin`; zeros, NaN and the like have their own.
        counts: [G, K, bins] int64, on the CPU. They add up to h * w for each group and tap.
    """

    quantity: Quantity
    bins: tuple[Bin, ...]
    counts: Tensor
    _sampling: Sampling = field(repr=False)
    _rule: Bins = field(repr=False)

    def total(self, group: int | None = None, tap: int | None = None) -> Tensor:
        """The counts of one group or tap, or of all of them: [bins]."""
        return self.counts[_chosen(group), _chosen(tap)].sum(dim=(0, 1))

    @measuring()
    def positions_in(self, bin: int, group: int | None = None, tap: int | None = None) -> Tensor:
        """Where the values of one bar come from.

        Args:
            bin: the bin's index.
            group, tap: of one group or tap alone; None for any of them.

        Returns:
            [h, w] bool: the output positions at which at least one such value is in the bin.

        Raises:
            IndexError: a bin, group or tap that is not there.

        Example:
            >>> from deformviz import Kernel
            >>> kernel, offset = Kernel.of(1), torch.zeros(1, 1, 2, 2, 2)
            >>> offset[0, 0, 0, 1, 0] = 5.0
            >>> h = histogram(Sampling("one", (2, 2), (2, 2), kernel, offset), "magnitude")
            >>> [bar.label for bar in h.bins if h.total()[bar.index]]
            ['0', '3.16 to 5.62']
            >>> h.positions_in(16)
            tensor([[False, False],
                    [ True, False]])
        """
        sampling = self._sampling
        for name, index, length in (
            ("bin", bin, len(self.bins)),
            ("group", group, sampling.groups),
            ("tap", tap, sampling.taps),
        ):
            if index is not None and not 0 <= index < length:
                raise IndexError(f"{name} {index} is not one of the {length} there are")
        found = []
        for rows in row_strips(sampling):
            chosen = _values(sampling, self.quantity, rows)[_chosen(group), _chosen(tap)]
            found.append((self._rule.index(chosen) == bin).flatten(0, 1).any(dim=0))  # [r, w]
        return torch.cat(found)


@measuring()
def histogram(
    sampling: Sampling, quantity: Quantity, edges: Sequence[float] | None = None
) -> Histogram:
    """Count the values of a quantity, for each offset group and tap.

    Takes 0.4 s of one core and less than 100 MB beside the record for 7 x 7 taps at 512 x 512
    positions, and so does `Histogram.positions_in`.

    Args:
        sampling: with a mask, where that is asked for.
        quantity: "magnitude", "dy", "dx" or "mask".
        edges: of the bins, positive and ascending, mirrored for negative values; None for four to
            a decade from 0.001 to 1000.

    Raises:
        ValueError: an unknown quantity, edges in no order, or a record that has no mask.

    Example:
        >>> from deformviz import Kernel
        >>> s = Sampling.regular("convolution", Kernel.of(3, padding=1), (8, 8))
        >>> h = histogram(s, "dy")
        >>> [(bar.label, int(h.total()[bar.index])) for bar in h.bins if h.total()[bar.index]]
        [('0', 576)]
    """
    if quantity not in get_args(Quantity):
        raise ValueError(f"quantity must be one of {get_args(Quantity)}, got {quantity!r}")
    if quantity == "mask" and sampling.mask is None:
        raise ValueError(f"the Sampling {sampling.name!r} has no mask")
    # A mask after softmax or sigmoid is never negative: half the bins would be empty.
    mask = sampling.mask if quantity == "mask" else None
    signed = quantity in ("dy", "dx") or (mask is not None and bool((mask < 0).any()))
    rule = Bins(log_edges() if edges is None else edges, signed)
    counts = torch.zeros(sampling.groups * sampling.taps * len(rule), dtype=torch.int64)
    for rows in row_strips(sampling):
        index = rule.index(_values(sampling, quantity, rows)).flatten(0, 1).flatten(1)  # [G*K, r*w]
        row = torch.arange(index.shape[0], device=index.device)[:, None] * len(rule)
        counts += torch.bincount((index + row).flatten(), minlength=counts.numel()).cpu()
    shape = (sampling.groups, sampling.taps, len(rule))
    return Histogram(quantity, rule.bins, counts.reshape(shape), sampling, rule)


def _values(sampling: Sampling, quantity: Quantity, rows: slice) -> Tensor:
    """The quantity at some rows: [G, K, r, w]."""
    if quantity == "mask":
        assert sampling.mask is not None
        return sampling.mask[..., rows, :].to(exact_dtype(sampling.mask.device))
    dy, dx = offsets(sampling, rows).unbind(2)
    if quantity == "magnitude":
        # hypot(inf, nan) is inf, but an offset of which half is unknown is no known distance.
        return torch.where(dy.isnan() | dx.isnan(), torch.nan, torch.hypot(dy, dx))
    return dy if quantity == "dy" else dx


def _chosen(index: int | None) -> slice:
    """All of an axis, or one place of it."""
    return slice(None) if index is None else slice(index, index + 1)
