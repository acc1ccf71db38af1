"""A looping GIF that walks over the output and shows, frame by frame, where each position reads.

Drawn by Pillow alone, so that a film needs no browser: see `sweep_frame` and `sweep_gif`.
"""

from __future__ import annotations

import math
import secrets
from pathlib import Path

import numpy as np
from PIL import Image

from ..geometry import Pair
from ..sampling import Sampling
from .sweep_frame import draw_frame, prepare_scene
from .sweep_gif import write_gif

_FRAMES = (2, 600)
_SIDES = (16, 2048)
_LONGEST = 600  # seconds; frames that agree become one, and a GIF's frame lasts at most 655

_INNER = 0.9  # of the output, in which the walk stays


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
    scene = prepare_scene(sampling, image, side)
    return [draw_frame(scene, y, x) for y, x in sweep_positions(sampling.output_size, frames)]


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
    scene = prepare_scene(sampling, image, side)
    target = Path(path).resolve()  # a link stays a link
    part = target.with_name(f".sweep-{secrets.token_hex(8)}.gif")
    try:
        write_gif(part, scene, sweep_positions(sampling.output_size, frames), seconds)
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
