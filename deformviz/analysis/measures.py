"""What findings and facts are made of: each number measured once, when it is first asked for.

What is asked for together is measured in one walk over the record, see `Measures.make`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ..sampling import Sampling
from .affine import Affine, affine_of
from .dilation import dilation_of
from .finding import LayerInfo, Thresholds
from .outside import outside_of
from .parts import Parts, parts_from, sums_of
from .strips import Strip, StripMeasure, all_finite, over_strips


def whole_of(strip: Strip) -> tuple[Tensor]:
    """Whether all of a strip's offsets and masks are finite: [1, 1]."""
    mask = strip.sampling.mask
    whole = strip.there is None and (mask is None or all_finite(mask[..., strip.rows, :]))
    return (torch.full((1, 1), whole, dtype=torch.bool),)


def lengths_of(strip: Strip) -> tuple[Tensor, Tensor]:
    """Mean and largest length over the taps of each position, finite ones: [G, r, w] each."""
    length = strip.zeroed(torch.hypot(*strip.offset.unbind(2)))  # [G, K, r, w]
    return length.sum(1) / strip.taps_there, length.amax(1)


def tops_of(strip: Strip) -> tuple[Tensor]:
    """The largest finite dy and dx of a strip, by size: [2, 1, 1]."""
    offset = strip.offset
    if strip.there is not None:
        offset = torch.where(offset.isfinite(), offset, 0)
    low, high = offset.amin(dim=(0, 1, 3, 4)), offset.amax(dim=(0, 1, 3, 4))
    return (torch.maximum(-low, high)[:, None, None],)


def closeness_of(strip: Strip) -> tuple[Tensor]:
    """Root mean square distance between taps, by the regular kernel's: [G, r, w]."""
    taps = strip.base + strip.offset  # [G, K, 2, r, w]
    taps -= taps.mean(dim=1, keepdim=True)
    # Around their centre, as it is in proportion to the distances between all pairs.
    return ((_energy(taps) / _energy(strip.base)).sqrt(),)


def _energy(points: Tensor) -> Tensor:
    """Sum of squares over taps and axes of [G, K, 2, r, w]: [G, r, w]."""
    return points.square().sum(dim=(1, 2))


@dataclass(frozen=True, eq=False)
class Measures:
    """A layer, what is known about it, and its numbers for each offset group, float64."""

    sampling: Sampling
    info: LayerInfo = LayerInfo()  # noqa: RUF009  (frozen)
    limits: Thresholds = Thresholds()  # noqa: RUF009  (frozen)
    _made: dict[StripMeasure, tuple[Tensor, ...]] = field(default_factory=dict, repr=False)

    def make(self, *wanted: StripMeasure) -> None:
        """Make those measures that are not there, in one walk over the strips."""
        missing = [one for one in dict.fromkeys(wanted) if one not in self._made]
        made = over_strips(self.sampling, *missing) if missing else []
        self._made.update(zip(missing, made, strict=True))

    def make_for(self, *, findings: bool, facts: bool) -> None:
        """Make what findings, and what facts and statistics are made of, in one walk."""
        wanted: list[StripMeasure] = [outside_of, sums_of]
        if findings:
            wanted += [whole_of, lengths_of, tops_of, closeness_of]
        if facts:
            wanted += [affine_of, *([dilation_of] if self.is_grid else [])]
        self.make(*wanted)

    def of(self, measure: StripMeasure) -> tuple[Tensor, ...]:
        """One measure of the whole map, see `over_strips`."""
        self.make(measure)
        return self._made[measure]

    @property
    def is_grid(self) -> bool:
        """Whether the taps have neighbours, see `effective_dilation`."""
        return self.sampling.taps == self.sampling.kernel.taps

    @property
    def positions(self) -> int:
        """How many output positions there are; one alone says nothing about what varies."""
        return self.sampling.output_size[0] * self.sampling.output_size[1]

    @cached_property
    def whole(self) -> bool:
        """Whether all offsets and masks are finite, see `all_finite`."""
        return bool(self.of(whole_of)[0].all())

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
        if self.whole:
            return torch.ones_like(self.sampling.offset[:, 0, 0, 0, 0], dtype=torch.bool)
        return ~self.bad.flatten(1).any(dim=1)

    @property
    def mean_length(self) -> Tensor:
        """[G, h, w] mean length of a position's offsets, NaN where none is finite."""
        return self.of(lengths_of)[0]

    @property
    def longest(self) -> Tensor:
        """[G, h, w] length of a position's longest offset."""
        return self.of(lengths_of)[1]

    @property
    def strip_tops(self) -> Tensor:
        """[strips, 2] the largest finite dy and dx, by size, of each of the `row_strips`."""
        return self.of(tops_of)[0].flatten(1).T

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

    @property
    def outside(self) -> Tensor:
        """[G, h, w] share of the taps that are off the map."""
        return self.of(outside_of)[0]

    @property
    def moved_outside(self) -> Tensor:
        """[G, h, w] share of the taps that their offset moved off the map."""
        return self.of(outside_of)[1]

    @cached_property
    def parts(self) -> Parts:
        """The offsets' static and adaptive part."""
        return parts_from(self.sampling, *self.of(sums_of))

    @property
    def closeness(self) -> Tensor:
        """[G, h, w] root mean square distance between taps, by the regular kernel's."""
        return self.of(closeness_of)[0]

    @property
    def dilation(self) -> Tensor:
        """[G, h, w] effective dilation, of taps that are a grid."""
        return self.of(dilation_of)[0]

    @property
    def affine(self) -> Affine:
        """The affine fit, all taps alike."""
        return Affine(*self.of(affine_of))

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
        low, high = (float(end) for end in (self.mask_ends[0].min(), self.mask_ends[1].max()))
        return math.inf if low < 0 or high > 2 else 2.0 if high > 1 else 1.0

    @cached_property
    def mask_is_shared_out(self) -> bool:
        """Whether the taps of each position share out a mask of 1, as after a softmax."""
        mask = self.sampling.mask
        if mask is None or self.sampling.taps < 2:
            return False
        total = mask.sum(dim=1, dtype=torch.float32)
        return bool(((total - 1).abs() < 0.01).all())

    @cached_property
    def mask_ends(self) -> tuple[Tensor, Tensor]:
        """[G, K] each: the least and the largest finite value of a mask over the map."""
        mask = self.sampling.mask
        assert mask is not None
        if self.whole:
            return mask.amin(dim=(2, 3)), mask.amax(dim=(2, 3))
        there = mask.isfinite()
        low, high = torch.where(there, mask, torch.inf), torch.where(there, mask, -torch.inf)
        return low.amin(dim=(2, 3)), high.amax(dim=(2, 3))

    @cached_property
    def mask_spread(self) -> Tensor:
        """[G] the most that any tap's mask varies over the map; zero where there is none."""
        if self.sampling.mask is None:
            return self.sampling.offset.new_zeros(self.sampling.groups)
        low, high = self.mask_ends
        return (high - low).clamp(min=0).amax(1)

    @property
    def mask_limit(self) -> float:
        """What a mask has to vary by over the map to be more than a constant."""
        return self.limits.mask_range * (self.mask_max if math.isfinite(self.mask_max) else 1.0)

    @cached_property
    def mask_constant(self) -> Tensor:
        """[G] whether each tap's mask is the same everywhere, or there is none."""
        return self.mask_spread < self.mask_limit
