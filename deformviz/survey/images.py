"""The images of a folder: listed once in one order, read one after the other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.pictures import Normalisation, as_input
from ..geometry import Pair
from ..images import MAX_SIDE, ImageError, decode

_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_SHOWN_SIDE = 512
"""As `check` decodes a photo: shrunk to this longest side, unless it runs at a larger one."""


@dataclass(frozen=True)
class ImageList:
    """The pictures of a folder and of the folders in it.

    Attributes:
        folder: where they lie.
        names: their paths in it, sorted; the place in this list is an image's number.
        others: how many files of other kinds there are, by their names.
        digest: of names and sizes, so that a list which changed is noticed.
    """

    folder: Path
    names: tuple[str, ...]
    others: int
    digest: str

    def path(self, image: int) -> Path:
        """Of an image, by its number."""
        return self.folder / self.names[image]

    def chunks(self, size: int) -> int:
        """How many batches of `size` images there are, the last one perhaps smaller."""
        return -(-len(self.names) // size)

    def chunk(self, number: int, size: int) -> range:
        """The images of one batch."""
        return range(number * size, min((number + 1) * size, len(self.names)))


def list_images(folder: str | Path) -> ImageList:
    """List the pictures of a folder, by the endings of their names.

    Links to folders are not followed, as they may lead round; what begins with a dot is left out.

    Raises:
        ValueError: no folder, or no picture in it.

    Example:
        >>> list_images("no/such/folder")
        Traceback (most recent call last):
        ...
        ValueError: Expected a folder of images, but there is none at this path. Check its name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError("Expected a folder of images, but there is none at this path. Check its "
                         "name.")  # fmt: skip
    found, others = [], 0
    for path, size in _files(str(folder)):
        if path.lower().endswith(_ENDINGS):
            found.append((os.path.relpath(path, folder), size))
        else:
            others += 1
    if not found:
        raise ValueError(
            f"Expected images in this folder, but of its {others} files none ends in "
            f"{', '.join(_ENDINGS)}."
        )
    found.sort()
    digest = hashlib.sha256()
    for name, size in found:
        digest.update(os.fsencode(name) + b"\0" + str(size).encode() + b"\0")
    return ImageList(folder, tuple(name for name, _ in found), others, digest.hexdigest())


def _files(folder: str) -> Iterator[tuple[str, int]]:
    """Every file below a folder, and its size; one that is gone meanwhile has none."""
    inside = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                inside.append(entry.path)
            elif not entry.is_dir():
                yield entry.path, _size(entry)
    for path in inside:
        yield from _files(path)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return -1


@dataclass(frozen=True, eq=False)
class Loaded:
    """Some images as a network takes them.

    Attributes:
        chunk: the number of the batch.
        images: the number of each that could be read.
        x: [B, C, H, W] float32 of those, or None where there are none.
        broken: number and reason of each that could not.
    """

    chunk: int
    images: list[int]
    x: Tensor | None
    broken: dict[int, str]


@dataclass(frozen=True)
class Loader:
    """How images become batches.

    Attributes:
        images: all there are.
        batch: how many at once.
        size: (H, W) that each is brought to, whatever its shape.
        channels: 3, or 1 for grey.
        normalisation: as for `run_on_image`.
    """

    images: ImageList
    batch: int
    size: Pair
    channels: int
    normalisation: Normalisation

    @property
    def chunks(self) -> int:
        """How many batches there are."""
        return self.images.chunks(self.batch)

    def load(self, chunk: int) -> Loaded:
        """Read one batch."""
        images, xs, broken = [], [], {}
        for image in self.images.chunk(chunk, self.batch):
            try:
                xs.append(self.one(image))
            except ImageError as error:
                broken[image] = str(error)
            else:
                images.append(image)
        return Loaded(chunk, images, torch.cat(xs) if xs else None, broken)

    def one(self, image: int) -> Tensor:
        """[1, C, H, W] of one image; ImageError where it cannot be read."""
        side = min(MAX_SIDE, max(_SHOWN_SIDE, *self.size))
        pixels = decode(self.images.path(image), max_side=side).pixels
        return as_input(pixels, self.size, self.normalisation, channels=self.channels)
