"""Colours that stay apart for colour-blind eyes, and a scale that one wild offset cannot spoil."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import plotly.colors
from torch import Tensor

FieldPalette = Literal["perceptual", "Middlebury"]

# Okabe and Ito, "Color Universal Design" (2008), ordered so that neighbours differ in lightness;
# a light grey stands in for black, which is lost on dark ground, and a crimson is added. Any two
# are at least 16 apart in CIE Lab, for normal and each kind of colour-blind vision.
_OKABE_ITO = (
    "#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#C8C8C8", "#009E73", "#CC79A7", "#F0E442",
)  # fmt: skip
_NINTH = "#FF3366"


@lru_cache(maxsize=64)
def index_colors(count: int) -> tuple[str, ...]:
    """A colour for each of `count` taps, groups or regions, by index.

    Up to nine are categories of the Okabe-Ito palette; more are steps of viridis, from the first
    to the last, as no palette holds that many that can be told apart.

    Example:
        >>> index_colors(2)
        ('#0072B2', '#E69F00')
    """
    if count <= 9:
        return (*_OKABE_ITO, _NINTH)[:count]
    steps = [i / (count - 1) for i in range(count)]
    return tuple(plotly.colors.sample_colorscale("Viridis", steps))


def index_rgb(count: int) -> np.ndarray:
    """`index_colors` as [count, 3] uint8."""
    return np.array([_rgb(color) for color in index_colors(count)], dtype=np.uint8)


def _rgb(color: str) -> tuple[int, int, int]:
    if color.startswith("#"):
        r, g, b = plotly.colors.hex_to_rgb(color)
    else:
        r, g, b = plotly.colors.unlabel_rgb(color)
    return (round(r), round(g), round(b))


def robust_top(values: Tensor | np.ndarray, share: float = 0.99) -> float:
    """The top of a colour scale: the 99th percentile of what is finite.

    One exploded offset then saturates instead of turning all the others white. Where most values
    are zero, the largest finite one.

    Example:
        >>> robust_top(np.array([1.0] * 999 + [1e9]))
        1.0
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return 1.0
    top = float(np.quantile(finite, share, method="lower"))
    top = top if top > 0 else float(finite.max())
    return top if top > 0 else 1.0


def lookup(values: np.ndarray, scale: str, low: float, high: float) -> np.ndarray:
    """Colour values [h, w] by a plotly colour scale between `low` and `high`: [h, w, 3] uint8."""
    table = color_table(scale)
    inside = np.clip(np.nan_to_num(np.asarray(values, dtype=np.float64), nan=low), low, high)
    position = (inside - low) / (high - low or 1.0)
    return np.asarray(table[(position * (len(table) - 1)).round().astype(int)])


def color_table(scale: str, steps: int = 256) -> np.ndarray:
    """A plotly colour scale in equal steps: [steps, 3] uint8."""
    samples = plotly.colors.sample_colorscale(
        scale, [i / (steps - 1) for i in range(steps)], colortype="tuple"
    )
    return (255 * np.array(samples)).round().astype(np.uint8)


def direction_colors(offset: np.ndarray, top: float, palette: FieldPalette) -> np.ndarray:
    """Colour vectors by direction, and by length up to `top`.

    "perceptual" takes the hue from a cyclic scale whose steps look equal and that colour-blind
    eyes can follow, and the opacity from the length. "Middlebury" is the colour wheel of the
    optical-flow benchmark (Baker et al., 2011), white at length zero.

    Args:
        offset: [2, h, w], (dy, dx).
        top: the length in pixels at which the colour is full.

    Returns:
        [h, w, 4] uint8, RGBA; a vector that is not finite is left transparent.
    """
    finite = np.isfinite(offset).all(axis=0)
    dy, dx = np.where(finite, offset, 0)
    length = np.minimum(np.hypot(dy, dx) / top, 1)
    angle = np.arctan2(-dy, -dx) / np.pi  # in [-1, 1], as the Middlebury code has it
    wheel = direction_tables()[palette]
    position = (angle + 1) / 2 * (len(wheel) - 1 if palette == "Middlebury" else len(wheel))
    lower = np.floor(position).astype(int) % len(wheel)
    part = (position - np.floor(position))[..., None]
    color = (1 - part) * wheel[lower] + part * wheel[(lower + 1) % len(wheel)]
    if palette == "Middlebury":
        color = 255 - length[..., None] * (255 - color)
        alpha = np.full_like(length, 255.0)
    else:
        alpha = 255 * length
    rgba = np.concatenate((color, np.where(finite, alpha, 0)[..., None]), axis=-1)
    return rgba.round().astype(np.uint8)


def direction_tables() -> dict[FieldPalette, np.ndarray]:
    """The hues of `direction_colors` by palette, each [n, 3], 0 to 255."""
    return {"perceptual": _perceptual_wheel(), "Middlebury": middlebury_wheel()}


def _perceptual_wheel() -> np.ndarray:
    """A cyclic scale, [n, 3]: the ends of plotly's list are the same colour, one is left out."""
    colors = [_rgb(color) for color in plotly.colors.cyclical.Phase[:-1]]
    return np.array(colors, dtype=np.float64)


def middlebury_wheel() -> np.ndarray:
    """The 55 hues of the Middlebury wheel: [55, 3], 0 to 255.

    Six ramps between red, yellow, green, cyan, blue and magenta, of unequal length as eyes tell
    more hues apart in some of them.
    """
    red, yellow, green, cyan, blue, magenta = np.array(
        [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], dtype=np.float64
    )
    corners = (red, yellow, green, cyan, blue, magenta, red)
    lengths = (15, 6, 4, 11, 13, 6)
    ramps = [
        start + (end - start) * (np.arange(n) / n)[:, None]
        for start, end, n in zip(corners, corners[1:], lengths, strict=False)
    ]
    return np.asarray(np.floor(255 * np.concatenate(ramps)))


def wheel_picture(palette: FieldPalette, size: int = 96) -> np.ndarray:
    """The legend of `direction_colors`: a disc whose colours are those of vectors from its centre.

    Returns:
        [size, size, 4] uint8, RGBA, transparent outside the disc.
    """
    axis = np.linspace(-1, 1, size)
    offset = np.stack(np.meshgrid(axis, axis, indexing="ij"))  # [2, size, size], (dy, dx)
    picture = direction_colors(offset, 1.0, palette)
    picture[np.hypot(*offset) > 1, 3] = 0
    return picture
