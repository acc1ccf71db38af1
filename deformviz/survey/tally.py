"""What is kept of a survey: counts, exact sums and extremes, which add up in any order.

`merge` is commutative and associative to the last bit, so that it does not matter which machine
saw which images, or how often a run was interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..analysis import Thresholds
from ..geometry import Pair
from ..sampling import Sampling
from .bins import LENGTH_BINS, MASK_BINS
from .exact import ExactSums
from .hits import KINDS, hits, hits_one_by_one
from .measuring import Measured, measure
from .stacks import Known, Stack, stacks

NEVER = 2**62
"""The first image of what was found in none."""

_TOLD_BROKEN = 100
"""So many images that could not be read are named, the first in the list; the rest are counted."""


@dataclass(frozen=True, order=True)
class Header:
    """A layer as its first image showed it.

    Attributes:
        image, place: the image's number, and the layer's place among its calls.
    """

    image: int
    place: int
    input_size: Pair
    output_size: Pair
    kernel_size: Pair
    masked: bool


@dataclass(eq=False)
class LayerTally:
    """One layer on all images so far.

    Attributes:
        header: of its first image.
        counts: int64, by name: `images`, `positions`, `dilations`, `mask_values`, `not_finite`,
            `outside`, `moved_outside` [1] each; `there` [G, K] how many offsets are finite;
            `lengths`, `spacings`, `masks` [bins]; `found` [KINDS] in how many images,
            `found_in_group` [KINDS, G].
        sums: `length` [1]; `moved` [G * K * 2]; `squares` [G * K]; `image_means` [G * K], the
            squared length of each image's mean offset, times its positions; `dilation` [4]: over
            positions and its squares, then over the images' means and their squares; `mask` [2].
        low, high: [3] of lengths, dilation, mask.
        first: [KINDS] the first image that has it, or `NEVER`.
    """

    header: Header
    counts: dict[str, Tensor]
    sums: dict[str, ExactSums]
    low: Tensor
    high: Tensor
    first: Tensor

    @classmethod
    def empty(cls, header: Header, groups: int, taps: int) -> LayerTally:
        """Of no image yet."""
        single = ("images", "positions", "dilations", "dilated_images", "mask_values",
                  "not_finite", "outside", "moved_outside")  # fmt: skip
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(single, (1,))
        shapes |= {"there": (groups, taps), "lengths": (LENGTH_BINS,), "spacings": (LENGTH_BINS,)}
        shapes |= {"masks": (MASK_BINS,), "found": (len(KINDS),)}
        shapes |= {"found_in_group": (len(KINDS), groups)}
        each = groups * taps
        sums = {"length": 1, "moved": 2 * each, "squares": each, "image_means": each}
        sums |= {"dilation": 4, "mask": 2}
        return cls(
            header,
            {name: torch.zeros(shape, dtype=torch.int64) for name, shape in shapes.items()},
            {name: ExactSums(count) for name, count in sums.items()},
            torch.full((3,), torch.inf, dtype=torch.float64),
            torch.full((3,), -torch.inf, dtype=torch.float64),
            torch.full((len(KINDS),), NEVER),
        )

    def merge(self, other: LayerTally) -> None:
        """Take in what another machine has seen of the layer.

        Raises:
            ValueError: a layer of other groups or taps.
        """
        for name, counts in self.counts.items():
            if counts.shape != other.counts[name].shape:
                raise ValueError("a layer has not the same offset groups and taps on every image")
            counts += other.counts[name]
        for name, sums in self.sums.items():
            sums.merge(other.sums[name])
        self.low = torch.minimum(self.low, other.low)
        self.high = torch.maximum(self.high, other.high)
        self.first = torch.minimum(self.first, other.first)
        self.header = min(self.header, other.header)

    def add(self, stack: Stack, m: Measured, found: Tensor) -> None:
        """Take in a batch: what was measured, and what was found [B, KINDS, G]."""
        batch = len(stack.images)
        there = torch.full(m.squares.shape, stack.positions)  # [B, G, K]
        if stack.there is not None:
            there = stack.there.sum(dim=(3, 4)).cpu()
        self._count(stack, m, there)
        any_group = found.any(2)  # [B, KINDS]
        self.counts["found"] += any_group.sum(0)
        self.counts["found_in_group"] += found.sum(0)
        images = torch.tensor(stack.images)[:, None].expand(batch, len(KINDS))
        self.first = torch.minimum(self.first, torch.where(any_group, images, NEVER).amin(0))
        self.sums["length"].add([float(m.length.sum())])
        self.sums["moved"].add(m.moved.sum(0).flatten())
        self.sums["squares"].add(m.squares.sum(0).flatten())
        means = m.moved.square().sum(3) / there.clamp(min=1)  # [B, G, K]
        self.sums["image_means"].add(means.sum(0).flatten())
        self._spread(0, m.shortest, m.longest)
        self._add_dilation(m)
        if m.mask is not None and m.mask_low is not None and m.mask_high is not None:
            self.sums["mask"].add(m.mask.sum(0))
            self._spread(2, m.mask_low, m.mask_high)

    def _count(self, stack: Stack, m: Measured, there: Tensor) -> None:
        c = self.counts
        c["images"] += len(stack.images)
        c["positions"] += len(stack.images) * stack.positions
        c["there"] += there.sum(0)
        c["outside"] += m.outside.sum()
        c["moved_outside"] += m.moved_outside.sum()
        c["lengths"] += m.lengths
        c["spacings"] += m.spacings
        c["masks"] += m.masks
        c["mask_values"] += m.masks.sum()
        c["dilations"] += m.dilations.sum()
        c["dilated_images"] += (m.dilations > 0).sum()
        if stack.there is not None:
            known = (stack.offset, stack.mask)
            c["not_finite"] += sum(int((~t.isfinite()).sum()) for t in known if t is not None)

    def _add_dilation(self, m: Measured) -> None:
        total, squares, low, high = m.dilation.unbind(1)
        means = total / m.dilations.clamp(min=1)  # of each image
        sums = (total.sum(), squares.sum(), means.sum(), means.square().sum())
        self.sums["dilation"].add([float(one) for one in sums])
        self._spread(1, low, high)

    def _spread(self, place: int, low: Tensor, high: Tensor) -> None:
        self.low[place] = torch.minimum(self.low[place], low.double().min())
        self.high[place] = torch.maximum(self.high[place], high.double().max())


@dataclass(eq=False)
class Tally:
    """All layers on all images so far.

    Attributes:
        layers: by the name of the record.
        images: how many were run.
        broken: number and reason of the first hundred images that could not be read.
        broken_count: how many there are.
    """

    layers: dict[str, LayerTally] = field(default_factory=dict)
    images: int = 0
    broken: dict[int, str] = field(default_factory=dict)
    broken_count: int = 0

    def merge(self, other: Tally) -> None:
        """Take in what was seen of other images; in any order it gives the same.

        Raises:
            ValueError: a layer of other groups or taps.
        """
        self.images += other.images
        self.broken_count += other.broken_count
        self.broken = dict(sorted((self.broken | other.broken).items())[:_TOLD_BROKEN])
        for name, layer in other.layers.items():
            self._layer(name, layer.header, *layer.counts["there"].shape).merge(layer)

    def refuse(self, image: int, reason: str) -> None:
        """Take down an image that could not be read."""
        self.merge(Tally(broken={image: reason}, broken_count=1))

    @torch.no_grad()
    def add(
        self,
        images: Sequence[int],
        samplings: Sequence[Sequence[Sampling]],
        known: Mapping[str, Known],
        limits: Thresholds = Thresholds(),  # noqa: B008  (frozen)
    ) -> None:
        """Measure what the layers did on some images.

        Args:
            images: their numbers.
            samplings: the records of each.
            known: of the layers, by the name of the record.
            limits: of the findings.

        Example:
            >>> from deformviz import Kernel
            >>> s = Sampling.regular("stem", Kernel.of(3, padding=1), (8, 8))
            >>> tally = Tally()
            >>> tally.add([0, 1], [[s], [s]], {})
            >>> layer = tally.layers["stem"]
            >>> int(layer.counts["found"][KINDS.index("dead")]), layer.sums["dilation"].floats()[0]
            (2, 128.0)
        """
        by_name: dict[str, list[tuple[int, Sampling]]] = {}
        places: dict[str, int] = {}
        for image, records in zip(images, samplings, strict=True):
            for place, one in enumerate(records):
                by_name.setdefault(one.name, []).append((image, one))
                places.setdefault(one.name, place)
        for name, rows in by_name.items():
            for stack, records in stacks(rows):
                header = _header(stack, places[name])
                layer = self._layer(name, header, *stack.offset.shape[1:3])
                m = measure(stack, limits.collapsed)
                layer.add(stack, m, _found(stack, m, records, known.get(name, Known()), limits))
        self.images += len(images)

    def _layer(self, name: str, header: Header, groups: int, taps: int) -> LayerTally:
        if name not in self.layers:
            self.layers[name] = LayerTally.empty(header, groups, taps)
        layer = self.layers[name]
        layer.header = min(layer.header, header)
        if layer.counts["there"].shape != (groups, taps):
            raise ValueError(
                f"{name} has not the same offset groups and taps on every image: "
                f"{tuple(layer.counts['there'].shape)} and {(groups, taps)}"
            )
        return layer


def _found(
    stack: Stack, m: Measured, records: list[Sampling], known: Known, limits: Thresholds
) -> Tensor:
    if stack.there is not None or records[0].region is not None:
        return hits_one_by_one(records, known, limits)
    return hits(stack, m, known, limits)


def _header(stack: Stack, place: int) -> Header:
    h, w = stack.offset.shape[-2:]
    return Header(
        min(stack.images), place, stack.input_size, (h, w), stack.kernel.size,
        stack.mask is not None,
    )  # fmt: skip
