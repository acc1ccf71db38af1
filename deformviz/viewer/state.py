"""What the viewer shows of a `Sampling`: the position, the layers, the zoom.

Everything here can stand in a link, and a link can come from anyone: `ViewState` refuses what does
not make sense by itself, and the viewer moves what a given record does not have (tap 7 of a kernel
of 5) to the nearest that it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, get_args

from ..figures.colors import FieldPalette

OVERLAYS = (
    "none",
    "field colours",
    "magnitude",
    "mask",
    "regions",
    "output",
    "x coordinate",
    "y coordinate",
    "radius",
)
"""What can lie over the image: one at a time."""

MAX_ARROWS = 64
_MOST = 2**31 - 1


@dataclass(frozen=True)
class ViewState:
    """The viewer's own state.

    Attributes:
        y, x: the output position that is shown; None for the middle.
        pinned: whether it stays when the pointer moves.
        points: whether its regular grid, arrows and taps are drawn.
        arrows: arrows across the image's longer side, of the chosen tap; 0 for none.
        over: one of `OVERLAYS`.
        tap, group: what arrows and overlays show, where they show one.
        palette: of the field's colours.
        output_channel, input_channel: whose terms the formula has; None for all, the mean of the
            output's channels or the sum over the input's.
        morph: 0 for the regular grid, 1 for the points that are read.
        zoom: (top, left, bottom, right) in pixels of the image; None for all of it.
        sweep: whether the position walks over the output until someone hovers.

    Raises:
        ValueError: a value of the wrong kind or out of range; the message names it.

    Example:
        >>> ViewState(y=3, x=5, over="mask").query()
        {'y': '3', 'x': '5', 'over': 'mask'}
    """

    y: int | None = None
    x: int | None = None
    pinned: bool = False
    points: bool = True
    arrows: int = 0
    over: str = "none"
    tap: int = 0
    group: int = 0
    palette: FieldPalette = "perceptual"
    output_channel: int | None = 0
    input_channel: int | None = None
    morph: float = 1.0
    zoom: tuple[float, float, float, float] | None = None
    sweep: bool = False

    def __post_init__(self) -> None:
        _one_of("over", self.over, OVERLAYS)
        _one_of("palette", self.palette, get_args(FieldPalette))
        for name in ("y", "x", "output_channel", "input_channel"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), _MOST)
        _whole("tap", self.tap, _MOST)
        _whole("group", self.group, _MOST)
        _whole("arrows", self.arrows, MAX_ARROWS)
        if not 0 <= self.morph <= 1:  # NaN, too
            raise ValueError(f"morph must be between 0 and 1, got {self.morph}")
        if self.zoom is not None:
            _check_zoom(self.zoom)

    def json(self) -> dict[str, Any]:
        """As plain JSON types, by name."""
        return asdict(self)

    def query(self) -> dict[str, str]:
        """What differs from the first state, as a link's query: the inverse of `from_query`."""
        first = ViewState().json()
        return {
            name: _format(value) for name, value in self.json().items() if value != first[name]
        }

    @classmethod
    def from_query(cls, query: dict[str, str]) -> tuple[ViewState, list[str]]:
        """Read a link's query: the state, and a sentence for each value that was refused.

        Names that are not ours are left alone.
        """
        state, problems = cls().json(), []
        for name in state.keys() & query.keys():
            try:
                value = _READERS[name](query[name])
                cls(**{name: value})
            except ValueError as error:
                problems.append(f"the link's {name} was left out: {error}")
            else:
                state[name] = value
        return cls(**state), sorted(problems)


def _one_of(name: str, value: object, known: Iterable[str]) -> None:
    if value not in (names := list(known)):
        raise ValueError(f"{name} must be one of {', '.join(names)}; got {_short(value)}")


def _whole(name: str, value: object, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(
            f"{name} must be a whole number from 0 to {most}, got {_short(value)}"
        )


def _check_zoom(zoom: tuple[float, float, float, float]) -> None:
    if len(zoom) != 4 or not all(math.isfinite(v) and abs(v) < 1e6 for v in zoom):
        raise ValueError(f"zoom must be top, left, bottom and right in pixels, got {_short(zoom)}")
    top, left, bottom, right = zoom
    if bottom - top < 0.5 or right - left < 0.5:
        raise ValueError(f"zoom must be at least half a pixel high and wide, got {_short(zoom)}")


def _short(value: object) -> str:
    """A value for a message, however long it is."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _format(value: object) -> str:
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(_format(part) for part in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _read_whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f"expected a whole number, got {_short(text)}")
    return int(text)


def _read_channel(text: str) -> int | None:
    return None if text == "all" else _read_whole(text)


def _read_switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(f"expected on or off, got {_short(text)}")
    return text == "on"


def _read_number(text: str) -> float:
    try:
        if len(text) > 32:
            raise ValueError
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {_short(text)}") from None


def _read_zoom(text: str) -> tuple[float, ...]:
    parts = text.split(",") if len(text) <= 200 else []
    if len(parts) != 4:
        raise ValueError(f"expected four numbers with commas between them, got {_short(text)}")
    return tuple(_read_number(part) for part in parts)


_READERS = {
    "y": _read_whole,
    "x": _read_whole,
    "pinned": _read_switch,
    "points": _read_switch,
    "arrows": _read_whole,
    "over": str,
    "tap": _read_whole,
    "group": _read_whole,
    "palette": str,
    "output_channel": _read_channel,
    "input_channel": _read_channel,
    "morph": _read_number,
    "zoom": _read_zoom,
    "sweep": _read_switch,
}
