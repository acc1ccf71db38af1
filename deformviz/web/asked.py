"""What the Explore tab's controls ask for, and the answer: no component in sight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from .. import examples
from ..analysis import compare_strategies, published_tensor
from ..analysis.shift_comparison import PUBLISHED_SHIFTS
from ..explore import Exploration, Settings, explore
from ..geometry import Pair
from ..images import Photo, decode
from ..operators.spatial_shift import DIRECTIONS, Border, Strategy
from .view import shifts_part

_TIMED_SIDE = 256
"""The five shifts are compared on an image of at most this size: others wait for the device."""


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
    directions: str
    strategy: Strategy
    border: Border
    seed: int

    @property
    def settings(self) -> Settings:
        """What the run depends on."""
        names = Settings.__dataclass_fields__.keys() - {"kernel_size"}
        values = {name: getattr(self, name) for name in names}
        for name in ("stride", "dilation", "offset_groups", "regions", "seed"):
            values[name] = whole(name, values[name])
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


@lru_cache(maxsize=16)
def _decoded(path: str, side: int) -> Photo:
    return decode(path, max_side=side)


@lru_cache(maxsize=4)
def _run(path: str, side: int, settings: Settings, device: str) -> Exploration:
    return explore(_decoded(path, side).pixels, settings, device)


def run(asked: Asked, device: str) -> tuple[Exploration, Photo]:
    """Run what is asked for; the same again, with another position or layer, costs nothing."""
    path, side = asked.path, whole("working size", asked.side)
    return _run(path, side, asked.settings, device), _decoded(path, side)


def five_ways(asked: Asked, device: str) -> dict[str, Any]:
    """The published comparison of the five ways to shift, and the same on the image."""
    s, side = asked.settings, min(_TIMED_SIDE, whole("working size", asked.side))
    return _five_ways(asked.path, side, s.directions, s.reach, s.border, device)


@lru_cache(maxsize=16)
def _five_ways(
    path: str, side: int, directions: str, reach: Pair, border: Border, device: str
) -> dict[str, Any]:
    pixels = torch.from_numpy(_decoded(path, side).pixels).to(device)
    image = pixels.permute(2, 0, 1)[None].float() / 255
    shifts = [(dy * reach[0], dx * reach[1]) for dy, dx in DIRECTIONS[directions]]
    return shifts_part(
        compare_strategies(published_tensor(), PUBLISHED_SHIFTS, border),
        compare_strategies(image.repeat(1, len(shifts), 1, 1), shifts, border),
    )
