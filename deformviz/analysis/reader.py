"""A layer as `trace` sees it: where its output units read, and how strongly."""

from __future__ import annotations

import torch
from torch import Tensor

from ..sampling import Sampling
from .landing import bilinear
from .strips import exact_dtype


class Reader:
    """Where a layer's output units read.

    Args:
        sampling: the layer.
        group: the one offset group that is followed, or None for all.
        masked: whether the mask is a factor.
        weighted: whether the kernel is, see `tap_strength`.
    """

    def __init__(self, sampling: Sampling, group: int | None, masked: bool, weighted: bool) -> None:
        if group is not None and not 0 <= group < sampling.groups:
            raise ValueError(
                f"group {group} is not one of the {sampling.groups} groups of {sampling.name!r}"
            )
        groups = slice(0, sampling.groups) if group is None else slice(group, group + 1)
        self.sampling = sampling
        self.like = torch.empty(
            0, dtype=exact_dtype(sampling.offset.device), device=sampling.offset.device
        )
        self.taps = torch.arange(groups.start * sampling.taps, groups.stop * sampling.taps)  # [T]
        self._tables = [sampling.offset[groups]]
        if sampling.reference is not None:
            self._tables.append(sampling.reference[groups])
        self._mask = sampling.mask[groups] if masked and sampling.mask is not None else None
        self._strength = tap_strength(sampling).to(self.like)[:, groups] if weighted else None

    def at_units(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Points [n, T, 2] and factors [n, T] of output units [n, 2], integers."""
        return self._regular(units.to(self.like)) + self._moves(units), self._factors(units)

    def at_points(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The same at fractional units [n, 2]: offsets and masks are interpolated.

        Beyond the outermost units there is nothing to interpolate with: offsets are continued, and
        the factors fade with the part of the point that is on the map, as the operator's values do.
        Every point must be on it in part.
        """
        units, weights = bilinear(points, self.sampling.output_size)  # [n, 4, 2], [n, 4]
        inside = weights.sum(1, keepdim=True)
        corners, share = units.flatten(0, 1), weights / inside
        moves = _interpolated(self._moves(corners), share)
        factors = _interpolated(self._factors(corners), share)
        return self._regular(points) + moves, factors * inside

    def _regular(self, units: Tensor) -> Tensor:
        """The regular grid's points of units [n, 2], which may be fractional: [n, K or 1, 2]."""
        kernel = self.sampling.kernel
        if self.sampling.reference is not None:
            return units.new_zeros(1, 1, 2)
        anchor = units * units.new_tensor(kernel.stride) - units.new_tensor(kernel.padding)
        groups = len(self.taps) // self.sampling.taps
        return anchor[:, None] + kernel.tap_positions(units).repeat(groups, 1)

    def _moves(self, units: Tensor) -> Tensor:
        """The offsets of units [n, 2], and their base points where those are no grid: [n, T, 2]."""
        ys, xs = units.unbind(-1)
        found = [table[..., ys, xs].to(self.like) for table in self._tables]  # [g, K, 2, n] each
        return torch.stack(found).sum(0).flatten(0, 1).permute(2, 0, 1)

    def _factors(self, units: Tensor) -> Tensor:
        """How strongly units [n, 2] read at each tap: [n, T]."""
        ys, xs = units.unbind(-1)
        factors = self.like.new_ones(len(units), len(self.taps))
        if self._mask is not None:
            factors = factors * self._mask[..., ys, xs].to(self.like).flatten(0, 1).T
        if self._strength is not None:
            region = self.sampling.region
            chosen = torch.zeros_like(ys) if region is None else region[ys, xs].long()
            factors = factors * self._strength.flatten(1)[chosen]
        return factors


def tap_strength(sampling: Sampling) -> Tensor:
    """How strongly a kernel reads at each tap: [m, G, K] for m kernels, float64, on the CPU.

    The sum of |w| over the input channels of an offset group, averaged over the output channels;
    ones where the record has no kernel, as each channel is then handed on.

    Raises:
        ValueError: a kernel that does not say which channels its taps read.
    """
    if sampling.weight is None:
        return torch.ones(1, sampling.groups, sampling.taps, dtype=torch.float64)
    weight = sampling.weight.detach().cpu().double().abs().flatten(-2)  # [(m,) O, I, K]
    weight = weight if sampling.region is not None else weight[None]
    kernels, outputs, per_output, taps = weight.shape
    channels = per_output if sampling.input is None else sampling.input.shape[0]
    if taps != sampling.taps or channels % sampling.groups:
        raise ValueError(
            f"the kernel of {sampling.name!r} has {taps} taps and {channels} input channels, which "
            f"do not fit {sampling.taps} taps in {sampling.groups} offset groups"
        )
    of_output = torch.arange(outputs) // (outputs * per_output // channels) * per_output
    channel = of_output[:, None] + torch.arange(per_output)  # [O, I]
    group = channel.flatten() // (channels // sampling.groups)
    total = torch.zeros(kernels, sampling.groups, taps, dtype=torch.float64)
    return total.index_add_(1, group, weight.flatten(1, 2)) / outputs


def _interpolated(values: Tensor, share: Tensor) -> Tensor:
    """The mean of values [n * 4, ...] by share [n, 4]; what has no share may be NaN."""
    share = share.reshape(*share.shape, *[1] * (values.dim() - 1))
    values = values.reshape(*share.shape[:2], *values.shape[1:])
    return torch.where(share == 0, 0, share * values).sum(1)
