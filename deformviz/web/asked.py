"""What the Explore tab's controls ask for, and the answer: no component in sight."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import torch

from .. import examples
from ..analysis import compare_strategies, published_tensor
from ..analysis.shift_comparison import PUBLISHED_SHIFTS
from ..explore import MAX_POINTS, Exploration, Settings, explore, largest_side, points
from ..geometry import Pair, once
from ..images import ImageError, Photo, decode
from ..operators.spatial_shift import DIRECTIONS, Border, Strategy
from .bounded import Bounded
from .view import shifts_part

_TIMED_SIDE = 256
"""The five shifts are compared on an image of at most this size: others wait for the device."""

MOST_POINTS = MAX_POINTS
"""Of a run; what would have more is run on a smaller photo."""

_GONE = "There is no such file, or it was let go as nobody used it: drop the photo again."


_WHOLE = [name for name, kind in get_type_hints(Settings).items() if kind is int]


@dataclass(frozen=True)
class Asked:
    """What the controls say, by name, in the order in which Gradio hands them over."""

    photo: str | None
    example: str
    side: int
    operator: str
    kernel_height: int
    kernel_width: int
    stride: int
    dilation: int
    weights: str
    field: str
    strength: float | None
    offset_groups: int
    mask: str
    mask_strength: float
    guide: str
    regions: int
    generated: bool
    radius: bool
    coordinate_weight: float
    parameters: str
    learned_layer: int
    directions: str
    strategy: Strategy
    border: Border
    seed: int

    @property
    def settings(self) -> Settings:
        """What the run depends on."""
        names = Settings.__dataclass_fields__.keys() - {"kernel_size"}
        values = {name: getattr(self, name) for name in names}
        for name in _WHOLE:
            values[name] = whole(name.replace("_", " "), values[name])
        height = whole("kernel height", self.kernel_height)
        width = whole("kernel width", self.kernel_width)
        return Settings(kernel_size=(height, width), **values)

    @property
    def path(self) -> str:
        """The file to read: the person's own where there is one, else the example's."""
        return self.photo or str(examples.path(self.example))


def whole(name: str, value: float | None) -> int:
    """A control's number as an integer, which a browser or a program may send as 3.0 or as none.

    Raises:
        ValueError: an emptied field, or a fraction.
    """
    if value is None:
        raise ValueError(f"{name} is empty: it takes a whole number")
    if value != int(value):
        raise ValueError(f"{name} must be a whole number, got {value}")
    return int(value)


def _photo_size(photo: Photo) -> int:
    return 3 * photo.pixels.nbytes  # its address for the page included


def _run_size(run: Exploration) -> int:
    tensors = (*run.sampling.known().values(), run.picture)
    return sum(once(tensor).nbytes for tensor in tensors)


PHOTOS: Bounded[tuple[str, int], Photo] = Bounded(256 * 2**20, _photo_size)
RUNS: Bounded[tuple[str, int, Settings, str], Exploration] = Bounded(768 * 2**20, _run_size)
_SHIFTS: Bounded[tuple[object, ...], dict[str, Any]] = Bounded(
    16 * 2**20, lambda told: len(str(told))
)
"""By what the files hold, not by their names: whoever has the same photo asks for the same, and
nobody else can."""


class File:
    """An image file, known by its content.

    Raises:
        ImageError: there is no such file.
    """

    def __init__(self, path: str) -> None:
        try:
            with Path(path).open("rb") as file:
                self.digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise ImageError(_GONE) from None
        self._path = path

    def photo(self, side: int) -> Photo:
        """Decoded, no larger than `side`; the same again costs nothing."""
        key = (self.digest, side)
        return PHOTOS.get_or_make(key, lambda: decode(self._path, max_side=side))


def run(asked: Asked, device: str) -> tuple[Exploration, Photo]:
    """Run what is asked for; the same again, with another position or layer, costs nothing.

    What would be too much is run on a smaller photo, whose notes say so.
    """
    if asked.photo:
        with suppress(OSError):  # files in use stay young, see `delete_cache` in server.py
            os.utime(asked.photo)
    file, settings = File(asked.path), asked.settings
    photo, side = _fitting(file, whole("working size", asked.side), settings)
    exploration = RUNS.get_or_make(
        (file.digest, side, settings, device),
        lambda: explore(photo.pixels, settings, device).to("cpu"),
    )
    return exploration, photo


def _fitting(file: File, side: int, settings: Settings) -> tuple[Photo, int]:
    """The photo as large as was asked for, or as the run may be; and its size."""
    photo = file.photo(side)
    size = photo.pixels.shape[0], photo.pixels.shape[1]
    largest = largest_side(settings, size, MOST_POINTS)
    if largest == max(size):
        return photo, side
    small = file.photo(largest)
    h, w = small.pixels.shape[:2]
    note = (
        f"run at {h} x {w} pixels instead of {size[0]} x {size[1]}: its taps at all positions "
        f"would be {points(settings, size) / 1e6:.0f} million points, more than "
        f"{MOST_POINTS / 1e6:.0f} million"
    )
    return replace(small, notes=(*small.notes, note)), largest


def five_ways(asked: Asked, device: str) -> dict[str, Any]:
    """The published comparison of the five ways to shift, and the same on the image."""
    s, side = asked.settings, min(_TIMED_SIDE, whole("working size", asked.side))
    file = File(asked.path)
    return _SHIFTS.get_or_make(
        (file.digest, side, s.directions, s.reach, s.border, device),
        lambda: _five_ways(file.photo(side), s.directions, s.reach, s.border, device),
    )


def _five_ways(
    photo: Photo, directions: str, reach: Pair, border: Border, device: str
) -> dict[str, Any]:
    pixels = torch.from_numpy(photo.pixels).to(device)
    image = pixels.permute(2, 0, 1)[None].float() / 255
    shifts = [(dy * reach[0], dx * reach[1]) for dy, dx in DIRECTIONS[directions]]
    return shifts_part(
        compare_strategies(published_tensor(), PUBLISHED_SHIFTS, border),
        compare_strategies(image.repeat(1, len(shifts), 1, 1), shifts, border),
    )
