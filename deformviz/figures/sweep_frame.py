"""One frame of the film: the ground, and the marks of one position as the page draws them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ..geometry import Pair
from ..sampling import Sampling
from .canvas import input_box
from .points import largest_dot, tap_colors, tap_sizes, to_array
from .views import check_image, input_pixels

WHITE, RIM = (255, 255, 255), (24, 24, 24)
"""The marks' colours beside the taps' own."""

_PLAIN = (52, 56, 64)
_SIDE = 480  # the frame on which marks have the page's sizes, in pixels
_SMOOTH = 4  # marks are drawn so much larger, then averaged


@dataclass(frozen=True)
class Scene:
    """What all frames share.

    Attributes:
        ground: the picture under the points, RGB, of a frame's size.
        box: what it shows, (top, left, height, width) in the image's pixels.
        unit: marks are so many times as large as on the page.
    """

    sampling: Sampling
    ground: Image.Image
    box: tuple[float, float, float, float]
    unit: float

    @property
    def size(self) -> np.ndarray:
        """[2], (height, width) of a frame."""
        return np.array(self.ground.size[::-1])

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] in the image's pixels to places on a frame, whose corner is (0, 0)."""
        corner, extent = np.array(self.box[:2]), np.array(self.box[2:])
        return np.asarray((points.astype(np.float64) - corner) * (self.size / extent))


def prepare_scene(sampling: Sampling, image: np.ndarray | None, side: int) -> Scene:
    """The scene of a film whose frames are `side` pixels long.

    Raises:
        ValueError: an image that the map does not cover.
    """
    if image is None:
        box, pixels = input_box(sampling), input_pixels(sampling)
    else:
        check_image(sampling, image)
        box, pixels = (-0.5, -0.5, float(image.shape[0]), float(image.shape[1])), image
    scale = side / max(box[2:])
    height, width = (max(1, round(extent * scale)) for extent in box[2:])
    # Smaller frames have smaller marks, though not invisible ones.
    unit = max(side / _SIDE, 0.25) * _thinned(sampling, _SIDE / max(box[2:]))
    return Scene(sampling, _ground(pixels, (height, width)), box, unit)


def _thinned(sampling: Sampling, scale: float) -> float:
    """By how much marks shrink so that discs on a fine grid stay apart: from 0.7 to 1.

    Args:
        scale: how large a pixel of the image is on a frame of the side `_SIDE`.
    """
    kernel, stride = sampling.kernel, sampling.image_map.stride
    steps = [
        dilation * pixels * scale
        for size, dilation, pixels in zip(kernel.size, kernel.dilation, stride, strict=True)
        if size > 1
    ]
    return float(np.clip(min(steps, default=math.inf) / largest_dot(sampling.taps), 0.7, 1))


def _ground(pixels: np.ndarray | None, size: Pair) -> Image.Image:
    """A picture [H, W, 3] uint8 scaled to (height, width), its pixels sharp where it grows."""
    height, width = size
    if pixels is None:
        return Image.new("RGB", (width, height), _PLAIN)
    shrinks = height < pixels.shape[0] or width < pixels.shape[1]
    how = Image.Resampling.LANCZOS if shrinks else Image.Resampling.NEAREST
    return Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), how)


# A frame


@dataclass(frozen=True)
class _Marks:
    """What one position adds to the ground, in pixels of the frame.

    Attributes:
        squares: [s, 2] the centres, (y, x), of the regular grid's squares.
        lines: [l, 2, 2] from and to.
        discs: [d, 2] the centres of the taps, the largest first.
        radii: [d] without the rim.
        colors: [d] strings.
    """

    squares: np.ndarray
    lines: np.ndarray
    discs: np.ndarray
    radii: np.ndarray
    colors: np.ndarray


def _marks(scene: Scene, y: int, x: int) -> _Marks:
    """The marks of the output position (y, x), without those that lie wholly off the frame."""
    sampling, to_image = scene.sampling, scene.sampling.image_map.to_image
    base, points = (
        scene.to_frame(to_array(to_image(at(y, x)))).reshape(-1, 2)  # [G * K, 2]
        for at in (sampling.base_at, sampling.points_at)
    )
    mask = np.nan_to_num(to_array(sampling.mask_at(y, x)), nan=0)  # [G, K]
    radii = scene.unit / 2 * tap_sizes(sampling, mask).reshape(-1)
    order = np.argsort(-radii, kind="stable")  # a small disc is not hidden by a large one
    discs = order[_near(points, scene)[order]]
    moved = np.isfinite(base + points).all(axis=1) & (base != points).any(axis=1)
    return _Marks(
        squares=np.unique(base[_near(base, scene)], axis=0),
        lines=_clipped(base[moved], points[moved], scene),
        discs=points[discs],
        radii=radii[discs],
        colors=tap_colors(sampling).reshape(-1)[discs],
    )


def _margin(scene: Scene) -> float:
    """How far beside the frame a mark may lie and still reach into it: more than any radius."""
    return 16 * scene.unit


def _near(points: np.ndarray, scene: Scene) -> np.ndarray:
    """Which of [n, 2] points can be seen: [n] booleans, false for what is not finite."""
    margin = _margin(scene)
    return np.asarray(((points > -margin) & (points < scene.size + margin)).all(axis=1))


def _clipped(start: np.ndarray, end: np.ndarray, scene: Scene) -> np.ndarray:
    """The parts near the frame of lines from [n, 2] to [n, 2]: [m, 2, 2] (Liang and Barsky).

    A wild offset leads to a place that Pillow has no integers for.
    """
    margin, step = _margin(scene), end - start
    with np.errstate(divide="ignore", invalid="ignore"):  # a line along an axis: 0 / 0 is neither
        sides = np.stack((-margin - start, scene.size + margin - start)) / step  # [2, n, 2]
    enter = np.fmax(np.fmin(*sides).max(axis=1), 0)  # [n], from 0 at `start` ...
    leave = np.fmin(np.fmax(*sides).min(axis=1), 1)  # ... to 1 at `end`
    seen = enter < leave
    share = np.stack((enter, leave), axis=1)[seen, :, None]  # [m, 2, 1]
    return np.asarray(start[seen, None] + share * step[seen, None])


def draw_frame(scene: Scene, y: int, x: int) -> Image.Image:
    """The ground and the marks of one position."""
    marks, frame = _marks(scene, y, x), scene.ground.copy()
    box = _bounds(marks, scene)
    if box is not None:  # only the part with marks is drawn large
        part = frame.crop(box)
        large = part.resize((_SMOOTH * part.width, _SMOOTH * part.height), Image.Resampling.NEAREST)
        _draw(large, marks, np.array([box[1], box[0]]), scene.unit)
        frame.paste(large.reduce(_SMOOTH), box[:2])
    return frame


def _bounds(marks: _Marks, scene: Scene) -> tuple[int, int, int, int] | None:
    """The part of the frame that the marks touch: (left, top, right, bottom), or None."""
    places = np.concatenate((marks.squares, marks.lines.reshape(-1, 2), marks.discs))
    if not len(places):
        return None
    low = np.floor(np.clip(places.min(axis=0) - _margin(scene), 0, scene.size))
    high = np.ceil(np.clip(places.max(axis=0) + _margin(scene), 0, scene.size))
    (top, left), (bottom, right) = low.astype(int).tolist(), high.astype(int).tolist()
    return (left, top, right, bottom) if top < bottom and left < right else None


def _draw(large: Image.Image, marks: _Marks, corner: np.ndarray, unit: float) -> None:
    """Draw marks on a part of the frame that begins at `corner` and is `_SMOOTH` times as large."""
    draw, pixel = ImageDraw.Draw(large), _SMOOTH * unit
    for line in ((marks.lines - corner) * _SMOOTH).round().astype(int).tolist():
        ends = [(x, y) for y, x in line]
        for color, width in ((RIM, 3.0), (WHITE, 1.5)):  # the rim lets white show on white
            draw.line(ends, fill=color, width=max(1, round(width * pixel)))
    for centre in (marks.squares - corner) * _SMOOTH:
        draw.rectangle(_around(centre, 3.0 * pixel), fill=RIM)
        draw.rectangle(_around(centre, 2.1 * pixel), fill=WHITE)
    for centre, radius, color in zip(
        (marks.discs - corner) * _SMOOTH, marks.radii * _SMOOTH, marks.colors, strict=True
    ):
        draw.ellipse(_around(centre, radius + pixel), fill=RIM)
        draw.ellipse(_around(centre, radius), fill=str(color))


def _around(centre: np.ndarray, radius: float) -> list[int]:
    """The square around (y, x), as Pillow takes it: with its last row and column."""
    corners = np.concatenate((centre - radius, centre + radius)).round().astype(int)
    top, left, bottom, right = corners.tolist()
    return [left, top, max(left, right - 1), max(top, bottom - 1)]
