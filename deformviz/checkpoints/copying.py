"""From a place in a file to a tensor: bytes are copied, nothing is interpreted."""

from __future__ import annotations

from dataclasses import dataclass
from io import FileIO
from math import prod
from typing import TYPE_CHECKING, Any

from .errors import CheckpointError
from .parsers.dtypes import BYTES

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Place:
    """Where one tensor lies. ``stride`` is None where its elements lie in order without gaps."""

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...] | None
    at: int

    @property
    def elements(self) -> int:
        """Elements from the first one to the last, those between that are not its own included."""
        if self.stride is None or 0 in self.shape:
            return prod(self.shape)
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))

    @property
    def cost(self) -> int:
        """Bytes that are read, or returned, whichever are more."""
        return max(self.elements, prod(self.shape)) * BYTES[self.dtype]


def place_of(row: list[Any], file_size: int) -> tuple[str, Place]:
    """Return a name and its place from a row of the child's answer, checked once more here.

    Raises:
        CheckpointError: it lies outside the file.
    """
    name, dtype, shape, stride, at = row
    place = Place(dtype, tuple(shape), None if stride is None else tuple(stride), at)
    if min(at, *shape, *(stride or ()), 0) < 0 or at + place.elements * BYTES[dtype] > file_size:
        raise CheckpointError("This file refers to numbers beyond its end. Download it again.")
    return name, place


def copied(file: FileIO, place: Place) -> Tensor:
    """Read one tensor into memory of its own.

    Raises:
        CheckpointError: the file ends too early.
    """
    import torch

    raw = torch.empty(place.elements * BYTES[place.dtype], dtype=torch.uint8)
    _fill(file, place.at, raw.numpy().data)
    if place.dtype == "bool":  # a byte of any other value than 0 or 1 is no bool
        raw.ne_(0)
    flat = raw.view(getattr(torch, place.dtype))
    if place.stride is None:
        return flat.reshape(place.shape)
    return flat.as_strided(place.shape, place.stride).contiguous()


def _fill(file: FileIO, at: int, buffer: memoryview) -> None:
    file.seek(at)
    while buffer:
        count = file.readinto(buffer)
        if not count:
            raise CheckpointError("This file became shorter while it was read. Open it again.")
        buffer = buffer[count:]
