"""What findings are made of: each number of a layer measured once, when it is first asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..sampling import Sampling
from .finding import LayerInfo, Thresholds
from .outside import outside_share
from .parts import Parts, static_and_adaptive
from .strips import centred_base, offsets, row_strips


@dataclass(frozen=True, eq=False)
class Measures:
    """A layer, what is known about it, and its numbers for each offset group, float64."""

    sampling: Sampling
    info: LayerInfo
    limits: Thresholds

    @property
    def positions(self) -> int:
        """How many output positions there are; one alone says nothing about what varies."""
        return self.sampling.output_size[0] * self.sampling.output_size[1]

    @cached_property
    def bad(self) -> Tensor:
        """[G, K, h, w] how many of a tap's offsets and masks there are not finite, uint8."""
        count = (~self.sampling.offset.isfinite()).sum(dim=2, dtype=torch.uint8)
        if self.sampling.mask is not None:
            count += ~self.sampling.mask.isfinite()
        return count

    @cached_property
    def sound(self) -> Tensor:
        """[G] whether all of a group's numbers are finite."""
        return ~self.bad.flatten(1).any(dim=1)

    @cached_property
    def _lengths(self) -> tuple[Tensor, Tensor]:
        """Mean and largest length over the taps of each position, finite ones: [G, h, w] each."""
        means, tops = [], []
        for rows in row_strips(self.sampling):
            dy, dx = offsets(self.sampling, rows).unbind(2)
            length = torch.hypot(dy, dx)  # [G, K, r, w]
            there = dy.isfinite() & dx.isfinite()
            length = torch.where(there, length, 0)
            means.append(length.sum(1) / there.sum(1))
            tops.append(length.amax(1))
        return torch.cat(means, dim=1), torch.cat(tops, dim=1)

    @property
    def mean_length(self) -> Tensor:
        """[G, h, w] mean length of a position's offsets, NaN where none is finite."""
        return self._lengths[0]

    @property
    def longest(self) -> Tensor:
        """[G, h, w] length of a position's longest offset."""
        return self._lengths[1]

    @property
    def exploded_limit(self) -> float:
        """The mean offset, in pixels, that is too large for this map and kernel."""
        t, kernel = self.limits, self.sampling.kernel
        floor = t.exploded_kernel * max(kernel.extent)
        return min(t.exploded, max(t.exploded_map * max(self.sampling.input_size), floor))

    @property
    def exploded(self) -> Tensor:
        """[G] whether the mean offset is."""
        return self.mean_length.flatten(1).nanmean(1) > self.exploded_limit

    @cached_property
    def moved_outside(self) -> Tensor:
        """[G, h, w] share of the taps that their offset moved off the map."""
        return outside_share(self.sampling)[1]

    @cached_property
    def parts(self) -> Parts:
        """The offsets' static and adaptive part."""
        return static_and_adaptive(self.sampling)

    @cached_property
    def closeness(self) -> Tensor:
        """[G, h, w] root mean square distance between taps, by the regular kernel's."""
        ratios = []
        for rows in row_strips(self.sampling):
            base = centred_base(self.sampling, rows)
            taps = base + offsets(self.sampling, rows)  # [G, K, 2, r, w]
            taps = taps - taps.mean(dim=1, keepdim=True)
            # Around their centre, as it is in proportion to the distances between all pairs.
            ratios.append((_energy(taps) / _energy(base)).sqrt())
        return torch.cat(ratios, dim=1)

    @cached_property
    def still(self) -> Tensor:
        """[G] whether no tap moves."""
        return self.sound & (self.longest.flatten(1).amax(1) < self.limits.still)

    @cached_property
    def mask_max(self) -> float:
        """The mask's largest possible value; where it is not known, the next of 1 and 2."""
        mask = self.sampling.mask
        if self.info.mask_max is not None or mask is None:
            return 1.0 if self.info.mask_max is None else self.info.mask_max
        finite = torch.where(mask.isfinite(), mask, 0)
        if bool((finite < 0).any()):
            return math.inf
        top = float(finite.max())
        return 1.0 if top <= 1 else 2.0 if top <= 2 else math.inf

    @cached_property
    def mask_is_shared_out(self) -> bool:
        """Whether the taps of each position share out a mask of 1, as after a softmax."""
        mask = self.sampling.mask
        if mask is None or self.sampling.taps < 2:
            return False
        total = mask.sum(dim=1, dtype=torch.float32)
        return bool(((total - 1).abs() < 0.01).all())

    @cached_property
    def mask_spread(self) -> Tensor:
        """[G] the most that any tap's mask varies over the map; zero where there is none."""
        mask = self.sampling.mask
        if mask is None:
            return self.sampling.offset.new_zeros(self.sampling.groups)
        there = mask.isfinite()
        low = torch.where(there, mask, torch.inf).flatten(2).amin(2)  # [G, K]
        high = torch.where(there, mask, -torch.inf).flatten(2).amax(2)
        return (high - low).clamp(min=0).amax(1)

    @property
    def mask_limit(self) -> float:
        """What a mask has to vary by over the map to be more than a constant."""
        return self.limits.mask_range * (self.mask_max if math.isfinite(self.mask_max) else 1.0)

    @cached_property
    def mask_constant(self) -> Tensor:
        """[G] whether each tap's mask is the same everywhere, or there is none."""
        return self.mask_spread < self.mask_limit


def _energy(points: Tensor) -> Tensor:
    """Sum of squares over taps and axes of [G, K, 2, r, w]: [G, r, w]."""
    return points.square().sum(dim=(1, 2))
