"""One layer's records of several images as one batch, and what is known of the layer beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..analysis.finding import Kind
from ..geometry import Kernel, Pair
from ..sampling import Sampling

_NUMBERS = {"cpu": 2**19, "other": 2**25}
"""So many coordinates are measured at once: 4 MiB in float64 on a processor, whose caches they
ought to stay in, and enough for a GPU to be busy."""


@dataclass(frozen=True)
class Known:
    """What the file says of a layer, for its findings.

    Attributes:
        mask_max: the mask's largest possible value, or None.
        unlearned: "untrained" or "bias only" where the weights that predict the offsets are zero.
    """

    mask_max: float | None = None
    unlearned: Kind | None = None


@dataclass(frozen=True, eq=False)
class Stack:
    """The same layer on B images, all finite unless `there` says which offsets are.

    Attributes:
        images: the number of each image.
        offset: [B, G, K, 2, h, w].
        mask: [B, G, K, h, w] or None.
        reference: [B, G, K, 2, h, w] base points, or None for the regular grid.
        there: [B, G, K, h, w] bool, or None where every number is finite.
    """

    images: tuple[int, ...]
    kernel: Kernel
    input_size: Pair
    offset: Tensor
    mask: Tensor | None
    reference: Tensor | None
    there: Tensor | None = None

    @property
    def positions(self) -> int:
        """Of the output, of one image."""
        return self.offset.shape[-2] * self.offset.shape[-1]

    @property
    def is_grid(self) -> bool:
        """Whether taps have neighbours: they form the kernel's grid."""
        return 1 < self.offset.shape[2] == self.kernel.taps

    def strips(self) -> Iterator[slice]:
        """Its rows, in strips that are not too large to be held in float64."""
        most = _most(self.offset)
        rows = max(1, most // max(1, self.offset.numel() // self.offset.shape[-2]))
        for top in range(0, self.offset.shape[-2], rows):
            yield slice(top, min(top + rows, self.offset.shape[-2]))


def stacks(samplings: Sequence[tuple[int, Sampling]]) -> Iterator[tuple[Stack, list[Sampling]]]:
    """One layer's records, each with its image's number, in batches of one shape.

    An image with NaN or infinity is a batch of its own.
    """
    alike: dict[object, list[tuple[int, Sampling]]] = {}
    for image, one in samplings:
        alike.setdefault(_shape(one), []).append((image, one))
    for rows in alike.values():
        numbers = max(1, rows[0][1].offset.numel())
        count = max(1, _most(rows[0][1].offset) // numbers)
        for start in range(0, len(rows), count):
            yield from _by_soundness(rows[start : start + count])


def _by_soundness(
    rows: list[tuple[int, Sampling]],
) -> Iterator[tuple[Stack, list[Sampling]]]:
    stack = _stacked(rows)
    sound = stack.offset.flatten(1).isfinite().all(1)
    if stack.mask is not None:
        sound &= stack.mask.flatten(1).isfinite().all(1)
    sound_of = sound.tolist()
    if all(sound_of):
        yield stack, [one for _, one in rows]
        return
    whole = [row for row, is_sound in zip(rows, sound_of, strict=True) if is_sound]
    if whole:
        yield _stacked(whole), [one for _, one in whole]
    for row, is_sound in zip(rows, sound_of, strict=True):
        if not is_sound:
            single = _stacked([row])
            yield replace(single, there=single.offset.isfinite().all(dim=3)), [row[1]]


def _stacked(rows: list[tuple[int, Sampling]]) -> Stack:
    images, records = zip(*rows, strict=True)
    first = records[0]

    def together(name: str) -> Tensor | None:
        tensors = [getattr(one, name) for one in records]
        if tensors[0] is None:
            return None
        stacked = torch.stack(tensors)
        # Apple's GPUs have no float64.
        return stacked.cpu() if stacked.device.type == "mps" else stacked

    offset = together("offset")
    assert offset is not None
    return Stack(
        images,
        first.kernel,
        first.input_size,
        offset,
        together("mask"),
        together("reference"),
    )


def _shape(one: Sampling) -> object:
    masked, based = one.mask is not None, one.reference is not None
    return (tuple(one.offset.shape), one.kernel, one.input_size, masked, based)


def _most(offset: Tensor) -> int:
    return _NUMBERS["cpu" if offset.device.type == "cpu" else "other"]
