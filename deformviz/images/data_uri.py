"""Pixels for the page, as a `data:` URI."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from .errors import ImageError, check_range

# Up to this side a data URI keeps every pixel exactly: such a picture is shown magnified.
EXACT_UP_TO = 64


def to_data_uri(pixels: np.ndarray, *, quality: int = 92) -> str:
    """Encode pixels for the page, as a ``data:image/...`` URI.

    Args:
        pixels: [H, W, 3] (RGB) or [H, W, 4] (RGBA) uint8.
        quality: of a JPEG, 1 to 100. RGBA is kept exactly (as a WebP), whatever the quality, and so
            is a picture of up to 64 x 64 pixels (as a PNG).

    Returns:
        The URI, about 120 kB for a photo of 512 x 512, in about 2 ms.

    Raises:
        ImageError: another shape or type, a side of 0 or above 16383, or a wrong quality.

    Example:
        >>> to_data_uri(np.zeros((2, 2, 3), np.uint8))[:22]
        'data:image/png;base64,'
    """
    check_range("quality", quality, 1, 100)
    _check_pixel_array(pixels)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    encoded = io.BytesIO()
    if max(image.size) <= EXACT_UP_TO:
        image.save(encoded, "PNG")
        kind = "png"
    elif image.mode == "RGBA":
        # An overlay, whose colours are read as values: these are not to be smeared. Method 0 is
        # several times faster than the default, for files that are a tenth larger.
        image.save(encoded, "WEBP", method=0, lossless=True)
        kind = "webp"
    else:
        # With a colour for every pixel it is closer than a WebP that takes six times as long.
        image.save(encoded, "JPEG", quality=quality, subsampling=0)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"


def _check_pixel_array(pixels: np.ndarray) -> None:
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (3, 4):
        raise ImageError(
            f"Expected uint8 pixels of shape [H, W, 3] or [H, W, 4], "
            f"got {pixels.dtype} of shape {list(shape)}."
        )
    if not (1 <= shape[0] <= 16383 and 1 <= shape[1] <= 16383):
        raise ImageError(f"Expected sides from 1 to 16383 pixels, got {shape[0]} x {shape[1]}.")
