"""A photo as what a network takes: resized, normalised, channels first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import Pair, as_pair
from ..images import decode

Normalisation = (
    Literal["unit", "signed", "imagenet"] | tuple[float | Sequence[float], float | Sequence[float]]
)
"""A name, or (mean, deviation) of pixels in [0, 1]: (pixel - mean) / deviation."""

_NAMED: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0,), (1.0,)),
    "signed": ((0.5,), (0.5,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
_GREY = (0.299, 0.587, 0.114)
"""Of red, green and blue in grey, ITU-R BT.601, as Pillow and OpenCV have it."""

_MULTIPLE = 32


def photo_pixels(image: str | Path | bytes | np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 of a file or of such an array; of a grey one, each channel the same.

    Raises:
        ImageError: the file is no picture.
        ValueError: an array of another shape or type.

    Example:
        >>> photo_pixels(np.zeros((4, 5), np.uint8)).shape
        (4, 5, 3)
    """
    if not isinstance(image, np.ndarray):
        return decode(image).pixels
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"an image must be [H, W, 3] or [H, W] uint8, got {image.dtype} {list(image.shape)}"
        )
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def working_size(photo: Pair) -> Pair:
    """The nearest (H, W) whose sides are multiples of 32.

    Example:
        >>> working_size((170, 250))
        (160, 256)
    """
    rows, columns = (max(1, round(side / _MULTIPLE)) * _MULTIPLE for side in photo)
    return (rows, columns)


def fitting_size(fixed: Sequence[int | None], asked: Pair | None, free: Pair) -> Pair:
    """(H, W) to run a file at that may fix either side.

    Args:
        fixed: what the file says of (H, W), None where it leaves it open.
        asked: what the user wants, or None.
        free: what an open side is by default.

    Raises:
        ValueError: the user wants another size than the file's.

    Example:
        >>> fitting_size((None, 96), None, (64, 64))
        (64, 96)
    """
    rows, columns = asked or (
        by_default if side is None else side for by_default, side in zip(free, fixed, strict=True)
    )
    if any(side not in (None, got) for side, got in zip(fixed, (rows, columns), strict=True)):
        sides = " x ".join("any" if side is None else str(side) for side in fixed)
        raise ValueError(f"this network takes images of {sides} alone, got {rows} x {columns}")
    return (rows, columns)


def as_input(
    pixels: np.ndarray, size: Pair, normalisation: Normalisation = "unit", *, channels: int = 3
) -> Tensor:
    """A batch of one: [1, C, h, w] float32.

    Args:
        pixels: [H, W, 3] uint8.
        size: (h, w), reached by bilinear interpolation with antialiasing, where it is another.
        normalisation: see `Normalisation`.
        channels: 3, or 1 for grey.

    Raises:
        ValueError: an unknown normalisation, or one for another number of channels.

    Example:
        >>> as_input(np.full((8, 8, 3), 255, np.uint8), (4, 6), "signed").amin()
        tensor(1.)
    """
    x = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255
    size = as_pair(size, "size")
    if tuple(x.shape[2:]) != size:
        x = F.interpolate(x, size=size, mode="bilinear", antialias=True)
    if channels == 1:
        x = (x * torch.tensor(_GREY)[:, None, None]).sum(dim=1, keepdim=True)
    mean, deviation = (_of_channels(v, channels) for v in _pair_of(normalisation))
    return (x - mean) / deviation


def _pair_of(normalisation: Normalisation) -> tuple[object, object]:
    if isinstance(normalisation, str):
        if normalisation not in _NAMED:
            raise ValueError(
                f"normalisation must be one of {', '.join(_NAMED)} or (mean, deviation), "
                f"got {normalisation!r}"
            )
        return _NAMED[normalisation]
    mean, deviation = normalisation
    return mean, deviation


def _of_channels(value: object, channels: int) -> Tensor:
    """One number, or one a channel, as [1 or C, 1, 1]; of colours for a grey image, their mean."""
    numbers = torch.as_tensor(value, dtype=torch.float32).reshape(-1)
    if channels == 1:
        numbers = numbers.mean(dim=0, keepdim=True)
    if len(numbers) not in (1, channels):
        raise ValueError(f"normalisation has {len(numbers)} numbers for {channels} channels")
    return numbers[:, None, None]
