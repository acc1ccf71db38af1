"""The film as a GIF, which has 256 colours.

The taps keep theirs, the photo is dithered once in what is left, and each frame changes only what
moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from ..geometry import Pair
from .points import tap_colors
from .sweep_frame import RIM, WHITE, Scene, draw_frame

_COLORS = 255  # of the palette: the 256th stands for pixels that a frame leaves as they were
_OWN = 121  # of them the taps' own at most, which is enough for a kernel of 11 x 11
_EDGES = 24  # of them for the marks' soft edges
_SAMPLE = 256  # the longer side of the picture, in pixels, when colours are chosen for it


def write_gif(path: Path, scene: Scene, positions: list[Pair], seconds: float) -> None:
    """Write a frame for each of the output positions (y, x), which together last `seconds`."""
    palette = _palette(scene, positions)
    film = _indexed(scene, positions, palette)
    next(film).save(
        path,
        format="GIF",
        save_all=True,
        append_images=film,  # one frame at a time
        duration=_durations(len(positions), seconds),
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


def _indexed(scene: Scene, positions: list[Pair], palette: _Palette) -> Iterator[Image.Image]:
    """The frames in the palette's colours, one after the other.

    The ground is dithered once for all: a dither of its own would make each frame flicker, and the
    file large.
    """
    ground = np.asarray(scene.ground)  # [H, W, 3]
    still = _dithered(scene.ground, palette)  # [H, W]
    for y, x in positions:
        frame = np.asarray(draw_frame(scene, y, x))  # [H, W, 3]
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


def _palette(scene: Scene, positions: list[Pair]) -> _Palette:
    """Choose the colours.

    The taps' own and the marks' black and white are exact, the others are chosen for the ground
    and for the soft edges of the marks; greys fill up what a ground of few colours leaves.
    """
    names = list(dict.fromkeys(tap_colors(scene.sampling).reshape(-1).tolist()))
    few = np.linspace(0, len(names) - 1, min(len(names), _OWN)).round().astype(int).tolist()
    exact = [*(ImageColor.getrgb(names[i]) for i in few), WHITE, RIM]
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


def _changes(scene: Scene, positions: list[Pair]) -> np.ndarray:
    """What some eight of the frames add to the ground: [n, 3] uint8, at most 65536 of it."""
    ground = np.asarray(scene.ground)
    frames = (np.asarray(draw_frame(scene, y, x)) for y, x in positions[:: -(-len(positions) // 8)])
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
