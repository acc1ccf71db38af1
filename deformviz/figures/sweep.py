"""A looping GIF that walks over the output and shows, frame by frame, where each position reads.

Drawn by Pillow alone, so that a film needs no browser. A GIF has 256 colours: the taps keep
theirs, the photo is dithered once in what is left, and each frame changes only what moved.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from ..geometry import Pair
from ..sampling import Sampling
from .canvas import input_box
from .points import largest_dot, tap_colors, tap_sizes, to_array
from .views import check_image, input_pixels

_FRAMES = (2, 600)
_SIDES = (16, 2048)
_LONGEST = 600  # seconds; frames that agree become one, and a GIF's frame lasts at most 655

_INNER = 0.9  # of the output, in which the walk stays
_SIDE = 480  # the frame on which marks have the page's sizes, in pixels
_SMOOTH = 4  # marks are drawn so much larger, then averaged
_WHITE, _RIM, _PLAIN = (255, 255, 255), (24, 24, 24), (52, 56, 64)

_COLORS = 255  # of the palette: the 256th stands for pixels that a frame leaves as they were
_OWN = 121  # of them the taps' own at most, which is enough for a kernel of 11 x 11
_EDGES = 24  # of them for the marks' soft edges
_SAMPLE = 256  # the longer side of the picture, in pixels, when colours are chosen for it


def sweep_positions(output_size: Pair, frames: int) -> list[Pair]:
    """A smooth closed walk over the output: a Lissajous curve, whose last step leads to the first.

    For t = 2 pi i / frames, scaled to the inner 90 % and rounded, halves upwards:

        y = (h - 1) / 2 * (1 + 0.9 sin 2t)
        x = (w - 1) / 2 * (1 - 0.9 cos 3t)

    The page's sweep follows the same formula.

    Args:
        output_size: (h, w), each at least 1.
        frames: how many positions.

    Returns:
        (y, x) for each frame, all inside the output.

    Example:
        >>> sweep_positions((11, 11), 4)
        [(5, 1), (5, 5), (5, 10), (5, 5)]
    """
    h, w = output_size
    turns = [2 * math.pi * i / frames for i in range(frames)]
    return [
        (
            _rounded((h - 1) / 2 * (1 + _INNER * math.sin(2 * t))),
            _rounded((w - 1) / 2 * (1 - _INNER * math.cos(3 * t))),
        )
        for t in turns
    ]


def _rounded(value: float) -> int:
    """To the nearest integer; what is half but for the last digit of a sine goes up everywhere."""
    return math.floor(value + 0.5 + 1e-9)


def sweep_frames(
    sampling: Sampling, image: np.ndarray | None = None, *, frames: int = 48, side: int = 480
) -> list[Image.Image]:
    """The film's pictures: for each of `sweep_positions`, the points of all offset groups.

    White squares are the regular grid, thin lines lead from them to the moved taps, and the taps
    are discs in their colours, whose areas go with the mask. A point that is not finite is left
    out.

    Args:
        sampling: from any operator.
        image: [H, W, 3] uint8, or None to draw the input map's first three channels, or its first.
        frames: how many, 2 to 600.
        side: the longer side of a frame in pixels, 16 to 2048.

    Returns:
        RGB pictures of one size, in memory all at once: 600 of 2048 x 2048 are 7.5 GB.

    Raises:
        ValueError: an image that is not [H, W, 3] uint8 or that the map does not cover, or a
            number outside its range.

    Example:
        >>> import torch
        >>> from deformviz.operators import DeformConv2d
        >>> s = DeformConv2d(3, 8, 3, padding=1).sampling(torch.rand(1, 3, 32, 24))
        >>> film = sweep_frames(s, frames=12, side=64)
        >>> len(film), film[0].size  # Pillow's (width, height)
        (12, (48, 64))
    """
    _check(image, frames, side)
    scene = _scene(sampling, image, side)
    return [_frame(scene, y, x) for y, x in sweep_positions(sampling.output_size, frames)]


def save_sweep(
    sampling: Sampling,
    path: str | Path,
    image: np.ndarray | None = None,
    *,
    frames: int = 48,
    seconds: float = 6.0,
    side: int = 480,
) -> None:
    """Write the pictures of `sweep_frames` as a GIF that loops for ever.

    The file is whole or it is not there: it is written under another name beside `path`, then
    renamed, and replaces what was there. Frames that agree, as on an output of one position,
    become one that lasts as long. A photo of 256 x 256 makes 0.2 to 0.5 MB, as far as taps spread.

    Args:
        sampling, image, frames, side: as for `sweep_frames`.
        path: of the file.
        seconds: how long one round takes, to a hundredth: at least 0.02 a frame, as browsers slow
            down what is faster, and at most 600.

    Raises:
        ValueError: as `sweep_frames`, and for seconds outside their range.
        OSError: a folder that is missing or cannot be written to.

    Example:
        >>> import tempfile, torch
        >>> from deformviz.operators import DeformConv2d
        >>> s = DeformConv2d(3, 8, 3, padding=1).sampling(torch.rand(1, 3, 32, 24))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_sweep(s, f"{folder}/sweep.gif", frames=24, seconds=3, side=64)
        ...     Image.open(f"{folder}/sweep.gif").n_frames
        24
    """
    _check(image, frames, side)
    _check_seconds(seconds, frames)
    scene = _scene(sampling, image, side)
    target = Path(path).resolve()  # a link stays a link
    part = target.with_name(f".sweep-{secrets.token_hex(8)}.gif")
    try:
        _write_gif(part, scene, frames, seconds)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _check(image: object, frames: object, side: object) -> None:
    """Refuse what no film can be made of."""
    for name, value, (low, high) in (("frames", frames, _FRAMES), ("side", side, _SIDES)):
        if not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    if image is None:
        return
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be [H, W, 3] uint8 or None, got a {type(image).__name__}")
    fits = image.ndim == 3 and image.shape[2] == 3 and image.size > 0
    if not fits or image.dtype != np.uint8:
        raise ValueError(f"image must be [H, W, 3] uint8, got {image.dtype} {list(image.shape)}")


def _check_seconds(seconds: float, frames: int) -> None:
    number = isinstance(seconds, int | float)
    # In hundredths, as 0.02 has no exact double; false for NaN, too.
    if not number or not 2 * frames <= round(100 * seconds, 6) <= 100 * _LONGEST:
        raise ValueError(
            f"seconds must be a number from {frames / 50:g} to {_LONGEST} for {frames} frames, "
            f"got {seconds!r}"
        )


# The scene


@dataclass(frozen=True)
class _Scene:
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


def _scene(sampling: Sampling, image: np.ndarray | None, side: int) -> _Scene:
    if image is None:
        box, pixels = input_box(sampling), input_pixels(sampling)
    else:
        check_image(sampling, image)
        box, pixels = (-0.5, -0.5, float(image.shape[0]), float(image.shape[1])), image
    scale = side / max(box[2:])
    height, width = (max(1, round(extent * scale)) for extent in box[2:])
    # Smaller frames have smaller marks, though not invisible ones.
    unit = max(side / _SIDE, 0.25) * _thinned(sampling, _SIDE / max(box[2:]))
    return _Scene(sampling, _ground(pixels, (height, width)), box, unit)


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


def _marks(scene: _Scene, y: int, x: int) -> _Marks:
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


def _margin(scene: _Scene) -> float:
    """How far beside the frame a mark may lie and still reach into it: more than any radius."""
    return 16 * scene.unit


def _near(points: np.ndarray, scene: _Scene) -> np.ndarray:
    """Which of [n, 2] points can be seen: [n] booleans, false for what is not finite."""
    margin = _margin(scene)
    return np.asarray(((points > -margin) & (points < scene.size + margin)).all(axis=1))


def _clipped(start: np.ndarray, end: np.ndarray, scene: _Scene) -> np.ndarray:
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


def _frame(scene: _Scene, y: int, x: int) -> Image.Image:
    """The ground and the marks of one position."""
    marks, frame = _marks(scene, y, x), scene.ground.copy()
    box = _bounds(marks, scene)
    if box is not None:  # only the part with marks is drawn large
        part = frame.crop(box)
        large = part.resize((_SMOOTH * part.width, _SMOOTH * part.height), Image.Resampling.NEAREST)
        _draw(large, marks, np.array([box[1], box[0]]), scene.unit)
        frame.paste(large.reduce(_SMOOTH), box[:2])
    return frame


def _bounds(marks: _Marks, scene: _Scene) -> tuple[int, int, int, int] | None:
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
        for color, width in ((_RIM, 3.0), (_WHITE, 1.5)):  # the rim lets white show on white
            draw.line(ends, fill=color, width=max(1, round(width * pixel)))
    for centre in (marks.squares - corner) * _SMOOTH:
        draw.rectangle(_around(centre, 3.0 * pixel), fill=_RIM)
        draw.rectangle(_around(centre, 2.1 * pixel), fill=_WHITE)
    for centre, radius, color in zip(
        (marks.discs - corner) * _SMOOTH, marks.radii * _SMOOTH, marks.colors, strict=True
    ):
        draw.ellipse(_around(centre, radius + pixel), fill=_RIM)
        draw.ellipse(_around(centre, radius), fill=str(color))


def _around(centre: np.ndarray, radius: float) -> list[int]:
    """The square around (y, x), as Pillow takes it: with its last row and column."""
    corners = np.concatenate((centre - radius, centre + radius)).round().astype(int)
    top, left, bottom, right = corners.tolist()
    return [left, top, max(left, right - 1), max(top, bottom - 1)]


# The GIF


def _write_gif(path: Path, scene: _Scene, frames: int, seconds: float) -> None:
    positions = sweep_positions(scene.sampling.output_size, frames)
    palette = _palette(scene, positions)
    film = _indexed(scene, positions, palette)
    next(film).save(
        path,
        format="GIF",
        save_all=True,
        append_images=film,  # one frame at a time
        duration=_durations(frames, seconds),
        loop=0,
        disposal=1,  # a frame is drawn over the one before it,
        optimize=True,  # and what has not changed is transparent
        interlace=0,
        palette=palette.colors.tobytes(),
    )


def _durations(frames: int, seconds: float) -> list[int]:
    """Milliseconds of each frame, in the hundredths that a GIF has; together `seconds`."""
    ends = [round(100 * seconds * i / frames) for i in range(frames + 1)]
    return [10 * (end - start) for start, end in pairwise(ends)]


def _indexed(scene: _Scene, positions: list[Pair], palette: _Palette) -> Iterator[Image.Image]:
    """The frames in the palette's colours, one after the other.

    The ground is dithered once for all: a dither of its own would make each frame flicker, and the
    file large.
    """
    ground = np.asarray(scene.ground)  # [H, W, 3]
    still = _dithered(scene.ground, palette)  # [H, W]
    for y, x in positions:
        frame = np.asarray(_frame(scene, y, x))  # [H, W, 3]
        changed = (frame != ground).any(axis=-1)  # [H, W]
        indices = still.copy()
        indices[changed] = _nearest(frame[changed], palette.colors)
        yield _with_palette(Image.fromarray(indices), palette.colors)


def _dithered(ground: Image.Image, palette: _Palette) -> np.ndarray:
    """Indices [H, W] of the ground in its own colours: a tap's colour would be a stray spot."""
    own = _with_palette(Image.new("P", (1, 1)), palette.colors[: palette.ground])
    return np.asarray(ground.quantize(palette=own))


def _with_palette(picture: Image.Image, palette: np.ndarray) -> Image.Image:
    """A picture of indices with the colours [n, 3] that they stand for."""
    picture.putpalette(palette.tobytes())
    return picture


@dataclass(frozen=True)
class _Palette:
    """The colours of the whole film.

    Attributes:
        colors: [255, 3] uint8, each once.
        ground: so many of them, the first, are the ground's.
    """

    colors: np.ndarray
    ground: int


def _palette(scene: _Scene, positions: list[Pair]) -> _Palette:
    """Choose the colours.

    The taps' own and the marks' black and white are exact, the others are chosen for the ground
    and for the soft edges of the marks; greys fill up what a ground of few colours leaves.
    """
    names = list(dict.fromkeys(tap_colors(scene.sampling).reshape(-1).tolist()))
    few = np.linspace(0, len(names) - 1, min(len(names), _OWN)).round().astype(int).tolist()
    exact = [*(ImageColor.getrgb(names[i]) for i in few), _WHITE, _RIM]
    step = -(-max(scene.ground.size) // _SAMPLE)
    ground = np.asarray(scene.ground)[::step, ::step].reshape(-1, 3)
    chosen = _chosen(ground, _COLORS - _EDGES - len(exact))
    edges = _chosen(_changes(scene, positions), _EDGES)
    greys = [(v, v, v) for v in range(256)]
    unique = dict.fromkeys([*chosen, *exact, *edges, *greys])
    return _Palette(np.array(list(unique)[:_COLORS], dtype=np.uint8), len(chosen))


def _chosen(pixels: np.ndarray, count: int) -> list[tuple[int, ...]]:
    """At most `count` colours for pixels [n, 3], each once."""
    if not len(pixels):
        return []
    row = Image.fromarray(pixels[None])
    found = row.quantize(count, kmeans=1).getpalette()
    return list(dict.fromkeys(tuple(c) for c in np.array(found).reshape(-1, 3).tolist()))


def _changes(scene: _Scene, positions: list[Pair]) -> np.ndarray:
    """What some eight of the frames add to the ground: [n, 3] uint8, at most 65536 of it."""
    ground = np.asarray(scene.ground)
    frames = (np.asarray(_frame(scene, y, x)) for y, x in positions[:: -(-len(positions) // 8)])
    found = np.concatenate([frame[(frame != ground).any(axis=-1)] for frame in frames])
    return found[:: len(found) // 65536 + 1]


def _nearest(colors: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The index of the palette's colour [n, 3] nearest to each of [m, 3] uint8: [m] uint8.

    Pillow's own search stops within four steps of the nearest; a tap's colour must be found.
    """
    packed = colors.astype(np.int32) @ np.array([65536, 256, 1], np.int32)  # [m]
    _, where, back = np.unique(packed, return_index=True, return_inverse=True)
    wanted, table = colors[where].astype(np.float32), palette.astype(np.float32)
    # Squared distances but for a term that is the same for all: whole numbers, exact in float32.
    lengths = (table**2).sum(axis=1)  # [n]
    parts = np.array_split(wanted, len(wanted) // 65536 + 1)  # each within 64 MB
    found = [(lengths - 2 * part @ table.T).argmin(axis=1) for part in parts]
    return np.asarray(np.concatenate(found).astype(np.uint8)[back])
