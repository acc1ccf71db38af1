"""What the viewer shows of a `Sampling`: the position, the layers, the zoom.

Everything here can stand in a link, and a link can come from anyone: `ViewState` refuses what does
not make sense by itself, and the viewer moves what a given record does not have (tap 7 of a kernel
of 5) to the nearest that it has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from ..analysis.histograms import Quantity
from ..analysis.tracing import Follow, Mode
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
MAX_FOLLOWED = 16
MAX_LEFT_OUT = 32
_OR_NONE = (
    "y", "x", "output_channel", "input_channel", "layer", "follow_level", "bar_group", "bar_tap",
    "bar", "finding",
)  # fmt: skip
"""Whole numbers that there need not be."""
_MOST = 2**31 - 1
# What `float` takes beyond this, such as "1_0", " 1" or the digits of other scripts, no link holds.
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


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
        layer: which of several layers is shown, in the order of their calls; None for the last.
        follow: through how many of the layers below the taps are followed down; 0 for none.
        follow_mode, follow_weight: how, as `mode` and `follow` of `analysis.trace`.
        follow_level: after how many layers the points are shown; None for the lowest.
        all_groups: whether all offset groups are followed, or only `group`.
        leave_out: layers that are not followed through, by the order of their calls.
        about: whether the histogram, findings and facts of the layer are unfolded.
        quantity: what the histogram counts.
        bar_group, bar_tap: whose values it counts; None for all.
        log_counts: whether its bars are as high as their counts' logarithms.
        bar: the bar whose positions are shown; None for none.
        finding: the finding whose positions are shown; None for none. A bar goes before it.

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
    layer: int | None = None
    follow: int = 0
    follow_mode: Mode = "interp"
    follow_weight: Follow = "mask"
    follow_level: int | None = None
    all_groups: bool = False
    leave_out: tuple[int, ...] | None = None
    about: bool = False
    quantity: Quantity = "magnitude"
    bar_group: int | None = None
    bar_tap: int | None = None
    log_counts: bool = False
    bar: int | None = None
    finding: int | None = None

    def __post_init__(self) -> None:
        _one_of("over", self.over, OVERLAYS)
        _one_of("palette", self.palette, get_args(FieldPalette))
        _one_of("follow_mode", self.follow_mode, get_args(Mode))
        _one_of("follow_weight", self.follow_weight, get_args(Follow))
        _one_of("quantity", self.quantity, get_args(Quantity))
        for name in _OR_NONE:
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), _MOST)
        _whole("tap", self.tap, _MOST)
        _whole("group", self.group, _MOST)
        _whole("arrows", self.arrows, MAX_ARROWS)
        _whole("follow", self.follow, MAX_FOLLOWED)
        if self.leave_out is not None:
            _check_left_out(self.leave_out)
        for name in ("pinned", "points", "sweep", "all_groups", "about", "log_counts"):
            _switch(name, getattr(self, name))
        if not _is_number(self.morph) or not 0 <= self.morph <= 1:  # false for NaN, too
            raise ValueError(f"morph must be between 0 and 1, got {short(self.morph)}")
        if self.zoom is not None:
            _check_zoom(self.zoom)

    def json(self) -> dict[str, Any]:
        """As plain JSON types, by name."""
        return asdict(self)

    def query(self) -> dict[str, str]:
        """What differs from the first state, as a link's query: the inverse of `from_query`."""
        first = ViewState().json()
        return {name: as_text(value) for name, value in self.json().items() if value != first[name]}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> tuple[ViewState, list[str]]:
        """Read a link's query: the state, and a sentence for each value that was refused.

        Names that are not ours are left alone.

        Example:
            >>> ViewState.from_query({"arrows": "12", "tap": "-1", "utm_source": "mail"})[1]
            ["the link's tap was left out: expected a whole number, got '-1'"]
        """
        state, problems = cls().json(), []
        for name in state:
            if name not in query:
                continue
            try:
                value = _READERS[name](query[name])
                cls(**{name: value})
            except ValueError as error:
                problems.append(f"the link's {name} was left out: {error}")
            else:
                state[name] = value
        return cls(**state), problems


def _one_of(name: str, value: object, known: Iterable[str]) -> None:
    if value not in (names := list(known)):
        raise ValueError(f"{name} must be one of {', '.join(names)}; got {short(value)}")


def _whole(name: str, value: object, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}, got {short(value)}")


def _switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be on or off, True or False, got {short(value)}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_zoom(zoom: tuple[float, float, float, float]) -> None:
    four = isinstance(zoom, tuple) and len(zoom) == 4
    if not four or not all(_is_number(v) and abs(v) < 1e6 for v in zoom):  # false for NaN, too
        raise ValueError(f"zoom must be top, left, bottom and right in pixels, got {short(zoom)}")
    top, left, bottom, right = zoom
    if bottom - top < 0.5 or right - left < 0.5:
        raise ValueError(f"zoom must be at least half a pixel high and wide, got {short(zoom)}")


def _check_left_out(layers: tuple[int, ...]) -> None:
    known = isinstance(layers, tuple) and 1 <= len(layers) <= MAX_LEFT_OUT
    if not known or not all(type(i) is int and 0 <= i <= _MOST for i in layers):
        raise ValueError(
            f"leave_out must be 1 to {MAX_LEFT_OUT} whole numbers of layers, got {short(layers)}"
        )


# Values as a link's text. What the viewer shows is only a part of a link: the page reads what it
# runs with the same functions.


def short(value: object) -> str:
    """A value for a message, however long it is.

    >>> len(short("x" * 1000))
    60
    """
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_text(value: object) -> str:
    """A value as a link holds it: `read_whole`, `read_number` and `read_switch` give it back.

    >>> as_text(True), as_text(12.0), as_text(0.1), as_text((0, 0.5))
    ('on', '12', '0.1', '0,0.5')
    """
    if value is None:
        return "all"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(as_text(part) for part in value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def read_whole(text: str) -> int:
    """A whole number, of as many digits as any of ours has.

    Raises:
        ValueError: anything else, a sign included.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f"expected a whole number, got {short(text)}")
    return int(text)


def read_switch(text: str) -> bool:
    """On or off.

    Raises:
        ValueError: anything else.
    """
    if text not in ("on", "off"):
        raise ValueError(f"expected on or off, got {short(text)}")
    return text == "on"


def read_number(text: str) -> float:
    """A finite number in plain digits.

    Raises:
        ValueError: anything else.
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    if math.isinf(value):
        raise ValueError(f"expected a number, got {short(text)}")
    return value


def _read_whole_or_all(text: str) -> int | None:
    return None if text == "all" else read_whole(text)


def _read_zoom(text: str) -> tuple[float, ...]:
    try:
        top, left, bottom, right = map(read_number, text.split(","))
    except ValueError:
        expected = "four numbers with commas between them"
        raise ValueError(f"expected {expected}, got {short(text)}") from None
    return top, left, bottom, right


def _read_layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(read_whole, text.split(",")))
    except ValueError:
        expected = "whole numbers with commas between them"
        raise ValueError(f"expected {expected}, got {short(text)}") from None


_READERS: dict[str, Callable[[str], Any]] = {
    "y": read_whole,
    "x": read_whole,
    "pinned": read_switch,
    "points": read_switch,
    "arrows": read_whole,
    "over": str,
    "tap": read_whole,
    "group": read_whole,
    "palette": str,
    "output_channel": _read_whole_or_all,
    "input_channel": _read_whole_or_all,
    "morph": read_number,
    "zoom": _read_zoom,
    "sweep": read_switch,
    "layer": _read_whole_or_all,
    "follow": read_whole,
    "follow_mode": str,
    "follow_weight": str,
    "follow_level": _read_whole_or_all,
    "all_groups": read_switch,
    "leave_out": _read_layers,
    "about": read_switch,
    "quantity": str,
    "bar_group": read_whole,
    "bar_tap": read_whole,
    "log_counts": read_switch,
    "bar": read_whole,
    "finding": read_whole,
}
