"""`Canonical`: raw offsets in the one form that the rest of the program knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..geometry import Kernel, Pair
from ..sampling import Sampling


@dataclass(frozen=True, eq=False)
class Canonical:
    """Offsets, masks and base points of a batch, as a `Sampling` holds them for one image.

    Attributes:
        kernel: the regular grid; with a reference, only its size has a meaning.
        offset: [B, G, K, 2, h, w], (dy, dx) in pixels of the map that is read.
        mask: [B, G, K, h, w] after its activation, or None where every weight is 1.
        reference: [B or 1, G, K, 2, h, w] base points, (y, x) in pixels, or None where they are
            the regular grid.
    """

    kernel: Kernel
    offset: Tensor
    mask: Tensor | None = None
    reference: Tensor | None = None

    def base(self) -> Tensor:
        """The points before their offset: [B or 1, G or 1, K, 2, h, w]."""
        if self.reference is not None:
            return self.reference
        h, w = self.offset.shape[-2:]
        return self.kernel.regular_grid((h, w), self.offset)[None, None]

    def sampling(self, name: str, input_size: Pair, index: int = 0, **tensors: Any) -> Sampling:  # noqa: ANN401
        """The record of image `index`.

        Args:
            name, input_size: of the record; (H, W) of the map that is read.
            tensors: other fields of `Sampling`, such as input, weight and image_map.
        """
        reference = self.reference
        if reference is not None:
            groups_taps = self.offset.shape[1:3]
            reference = reference[index if reference.shape[0] > 1 else 0]
            reference = reference.expand(*groups_taps, -1, -1, -1)
        h, w = self.offset.shape[-2:]
        return Sampling(
            name=name,
            input_size=input_size,
            output_size=(h, w),
            kernel=self.kernel,
            offset=self.offset[index],
            mask=None if self.mask is None else self.mask[index],
            reference=reference,
            **tensors,
        )


@dataclass(frozen=True)
class Frame:
    """What the file does not hold, and a rule may need.

    Attributes:
        stride, padding, dilation: of the convolution, (y, x).
        size: (H, W) of the map that is read, or None where it is not known.
        base: what the offsets are added to: reference points, flows, offsets of a matching.
        level: which of several maps is read.
    """

    stride: Pair
    padding: Pair
    dilation: Pair
    size: Pair | None
    base: Tensor | None
    level: int

    def known_size(self, why: str) -> Pair:
        """(H, W), or a ValueError that says what it is needed for."""
        if self.size is None:
            raise ValueError(f"size=(H, W) of the map that is read is needed: {why}")
        return self.size

    def kernel(self, size: Pair, times: int = 1) -> Kernel:
        """The regular grid; `times` stretches padding and dilation."""
        padding = (self.padding[0] * times, self.padding[1] * times)
        dilation = (self.dilation[0] * times, self.dilation[1] * times)
        return Kernel.of(size, self.stride, padding, dilation)


def unflatten(tensor: Tensor, axis: int, sizes: tuple[int, ...]) -> Tensor:
    """One axis as several, as `Tensor.unflatten`, of which torch does not say what it returns."""
    return tensor.reshape(*tensor.shape[:axis], *sizes, *tensor.shape[axis + 1 :])


def along_taps(values: Tensor) -> Tensor:
    """Numbers of each tap [K, 2], shaped to be added to offsets: [1, 1, K, 2, 1, 1]."""
    return values[None, None, :, :, None, None]


def pixel_pair(size: Pair, like: Tensor) -> Tensor:
    """(H, W), shaped to be combined with offsets: [2, 1, 1]."""
    return torch.tensor(size, dtype=like.dtype, device=like.device)[:, None, None]
