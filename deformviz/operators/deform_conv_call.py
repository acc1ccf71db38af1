"""The arguments of one deformable convolution, as its backends take them, and its strips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ..geometry import Kernel, Pair


@dataclass(frozen=True)
class Call:
    """Arguments that fit each other, of one dtype.

    Attributes:
        input: [B, C, H, W].
        offset: [B, G, K, 2, h, w], (dy, dx) in pixels of the input.
        weight: [O, C / groups, kh, kw].
        mask: [B, G, K, h, w] or None.
        kernel: the regular grid.
    """

    input: Tensor
    offset: Tensor
    weight: Tensor
    mask: Tensor | None
    kernel: Kernel

    @property
    def offset_groups(self) -> int:
        """G."""
        return self.offset.shape[1]

    @property
    def channels_per_offset_group(self) -> int:
        """D = C / G: so many numbers are read at each point."""
        return self.input.shape[1] // self.offset_groups

    @property
    def groups(self) -> int:
        """Of the convolution itself."""
        return self.input.shape[1] // self.weight.shape[1]

    @property
    def output_size(self) -> Pair:
        """(h, w)."""
        return (self.offset.shape[-2], self.offset.shape[-1])


@dataclass(frozen=True)
class Strip:
    """A part of the output: some rows of some images.

    Attributes:
        images, rows: which ones.
        parts: into so many strips of equal height the rows are cut, for a thread each.
    """

    images: slice
    rows: slice
    parts: int = 1

    @property
    def part_rows(self) -> int:
        """r, the rows of one part."""
        return int(self.rows.stop - self.rows.start) // self.parts


def strips(call: Call, elements: int, threads: int) -> Iterator[Strip]:
    """Cut the output into strips that read about `elements` numbers each.

    Small images are taken several at a time, which keeps all threads busy; a large one is cut into
    rows, in parts that lie side by side.
    """
    batch, (h, w) = call.input.shape[0], call.output_size
    # A point costs its channels, and its coordinates with their gradients.
    per_row = max(1, (call.input.shape[1] + 4 * call.offset_groups) * call.kernel.taps * w)
    images = elements // (per_row * h)
    if images >= 2 and batch >= 2:
        for first in range(0, batch, images):
            yield Strip(slice(first, min(first + images, batch)), slice(0, h))
        return
    parts = max(1, min(-(-threads // call.offset_groups), h))
    for image in range(batch):
        top = 0
        while top < h:
            side_by_side = parts if h - top >= parts else 1
            rows = max(1, min(elements // (per_row * side_by_side), (h - top) // side_by_side))
            bottom = top + rows * side_by_side
            yield Strip(slice(image, image + 1), slice(top, bottom), side_by_side)
            top = bottom
