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
from ..explore.convolutions import COLORS
from ..figures import LAYERS, Choice
from ..figures.canvas import output_box
from ..figures.colors import FieldPalette
from ..geometry import Pair
from ..images import Photo, decode
from ..operators.spatial_shift import DIRECTIONS, Border, Strategy
from .view import shifts_part, view_json

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
    layer: str
    tap: int
    group: int
    palette: FieldPalette
    channel: str
    y: int
    x: int

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


def position(asked: Asked, exploration: Exploration) -> tuple[int, int]:
    """The chosen output position, moved onto the output where that has become smaller."""
    h, w = exploration.sampling.output_size
    return min(max(int(asked.y or 0), 0), h - 1), min(max(int(asked.x or 0), 0), w - 1)


def choose(asked: Asked, exploration: Exploration) -> tuple[str, Choice]:
    """The layer, tap and group, or the nearest that this operator has."""
    sampling = exploration.sampling
    layer = asked.layer if LAYERS[asked.layer].fits(sampling) else "points"
    tap = min(max(int(asked.tap or 0), 0), sampling.taps - 1)
    group = min(max(int(asked.group or 0), 0), sampling.groups - 1)
    return layer, Choice(tap, group, asked.palette)


def draw(asked: Asked, device: str) -> tuple[str, int, int, Exploration]:
    """Run, and say it in the viewer's words: (view, y, x, exploration)."""
    exploration, photo = run(asked, device)
    y, x = position(asked, exploration)
    layer, choice = choose(asked, exploration)
    view = view_json(
        exploration,
        photo,
        y=y,
        x=x,
        layer=layer,
        choice=choice,
        channel=_channel(asked, exploration, choice),
        shifts=five_ways(asked, device) if asked.operator == "Spatial shift" else None,
    )
    return view, y, x, exploration


def _channel(asked: Asked, exploration: Exploration, choice: Choice) -> int:
    """The output channel of the chosen colour, in the chosen copy where there are several."""
    assert exploration.sampling.output is not None
    copies = exploration.sampling.output.shape[0] // 3
    return COLORS.index(asked.channel) + 3 * (choice.group if copies > 1 else 0)


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


def clicked(data: dict[str, Any], exploration: Exploration) -> tuple[int, int]:
    """The output position of a click, which the browser gives in pixels of a figure."""
    figure, place = data.get("figure"), (data.get("y"), data.get("x"))
    if figure not in ("image", "output") or not all(_is_pixel(value) for value in place):
        raise ValueError(f"a click must name a figure and a place, got {data!r}")
    y, x = float(data["y"]), float(data["x"])
    if figure == "image":
        top, left, height, width = output_box(exploration.sampling)
        h, w = exploration.sampling.output_size
        y, x = (y - top) * h / height - 0.5, (x - left) * w / width - 0.5
    return round(y), round(x)


def _is_pixel(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < 1e6  # type: ignore[arg-type]
