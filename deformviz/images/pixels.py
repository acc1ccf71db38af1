"""From the stored picture to a photo: RGB, upright, no larger than asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from .data_uri import to_data_uri
from .frame import Frame
from .tiff import BITS, TIFF_MAX_PAGES

# Pixels that are converted to RGB at a time, so that a large picture is never held twice.
_BAND_PIXELS = 4_000_000


@dataclass(frozen=True)
class Photo:
    """A decoded picture.

    Attributes:
        pixels: [H, W, 3] uint8, RGB, upright, at most ``max_side`` pixels on the long side.
        original_size: (H, W) in pixels before shrinking, after the rotation that EXIF asks for.
        notes: what was changed on the way, one short sentence each, for the user to read.
    """

    pixels: np.ndarray
    original_size: tuple[int, int]
    notes: tuple[str, ...]

    @cached_property
    def uri(self) -> str:
        """The pixels for a page, see `to_data_uri`; a photo is shown many times."""
        return to_data_uri(self.pixels)

    @cached_property
    def name(self) -> str:
        """A name of the pixels: the same for equal ones alone."""
        size = "x".join(map(str, self.pixels.shape))
        return f"{size} {hashlib.blake2b(self.pixels.tobytes(), digest_size=16).hexdigest()}"


_Converter = Callable[[Image.Image], Image.Image]

# What to do with the stored picture so that it stands upright, by EXIF orientation.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def photo_of(name: str, frame: Frame, image: ImageFile.ImageFile, max_side: int) -> Photo:
    """Decode the stored picture, shrink it, turn it upright, and note what was changed."""
    stored_size = image.size
    target = _fitted(stored_size, max_side)
    notes = _frame_notes(name, frame, image)
    if isinstance(image, JpegImageFile):
        # libjpeg leaves out the frequencies that a picture of twice the target does not show.
        image.draft(None, (2 * target[0], 2 * target[1]))
    image.load()
    convert, conversion_notes = _converter(image)
    small = _resized(image, target, convert)
    if frame.orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[frame.orientation])
        notes.append("rotated as its EXIF tag says")
    if small.mode == "RGBA" and small.getchannel("A").getextrema() != (255, 255):
        conversion_notes.append("transparent parts are shown on white")
    # Orientations 5 to 8 lie on their side.
    original = stored_size if frame.orientation >= 5 else stored_size[::-1]
    pixels = np.array(_on_white(small), dtype=np.uint8)
    if target != stored_size:
        notes.append(
            f"shrunk from {original[0]} x {original[1]} to {pixels.shape[0]} x {pixels.shape[1]}"
        )
    return Photo(pixels, (original[0], original[1]), tuple(notes + conversion_notes))


def _frame_notes(name: str, frame: Frame, image: ImageFile.ImageFile) -> list[str]:
    notes = []
    if frame.frames > 1 and name == "TIFF":
        count = "many" if frame.frames == TIFF_MAX_PAGES else frame.frames
        notes.append(f"several pages: first of {count} is used")
    elif frame.frames > 1:
        notes.append(f"animated: first of {frame.frames} frames is used")
    bits = frame.bits
    if isinstance(image, TiffImageFile):
        bits = max(image.tag_v2.get(BITS, (1,)))
    if bits == 16 and image.mode not in ("I", "F"):
        notes.append("16-bit: scaled to 8")
    return notes


def _fitted(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Find the (W, H) of the same shape that fits, never enlarged and never 0 pixels thin."""
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resized(image: Image.Image, target: tuple[int, int], convert: _Converter) -> Image.Image:
    """Convert and shrink: first by a whole factor, band after band, then with a fine filter."""
    factor = max(1, max(image.size) // (2 * max(target)))
    mode = "RGBA" if convert is _to_rgba else "RGB"
    coarse = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    top = 0
    for band in _bands(image, factor):
        reduced = convert(band).reduce(factor)
        coarse.paste(reduced, (0, top))
        top += reduced.height
    return coarse if coarse.size == target else coarse.resize(target, Image.Resampling.LANCZOS)


def _bands(image: Image.Image, factor: int = 1) -> Iterator[Image.Image]:
    """Cut the picture into full-width pieces; all but the last have ``factor`` times n rows."""
    rows = factor * max(1, _BAND_PIXELS // (image.width * factor))
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _converter(image: Image.Image) -> tuple[_Converter, list[str]]:
    """Choose how a band becomes RGB or RGBA, and what to tell the user about it."""
    if image.mode.startswith("I;16"):
        return _from_16_bits, []
    if image.mode in ("I", "F"):
        low, high = _finite_range(image)
        return _from_range(low, high), [f"values from {low:g} to {high:g} scaled to 0 to 255"]
    if image.has_transparency_data:
        return _to_rgba, []
    notes = ["CMYK converted to RGB"] if image.mode == "CMYK" else []
    return _to_rgb, notes


def _to_rgb(band: Image.Image) -> Image.Image:
    return band.convert("RGB")


def _to_rgba(band: Image.Image) -> Image.Image:
    return band.convert("RGBA")


def _from_16_bits(band: Image.Image) -> Image.Image:
    """Scale 0 to 65535 to 0 to 255, rounded; Pillow would clip at 255."""
    values = np.asarray(band).astype(np.uint32)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")


def _from_range(low: float, high: float) -> _Converter:
    """Scale so that low becomes 0 and high 255; infinities go to the ends, and NaN to 0."""

    def convert(band: Image.Image) -> Image.Image:
        values = np.asarray(band).astype(np.float64)
        # Halved, so that the width of the full range of float64 is still a number.
        width = max(high / 2 - low / 2, np.finfo(np.float64).tiny)
        unit = np.nan_to_num((values / 2 - low / 2) / width, nan=0.0, posinf=1.0, neginf=0.0)
        scaled = np.clip(unit * 255, 0, 255).round().astype(np.uint8)
        return Image.fromarray(scaled).convert("RGB")

    return convert


def _finite_range(image: Image.Image) -> tuple[float, float]:
    """Find the least and the greatest finite value; (0, 0) where there is none."""
    low, high = np.inf, -np.inf
    for band in _bands(image):
        values = np.asarray(band).astype(np.float64)
        finite = values[np.isfinite(values)]
        low = float(finite.min(initial=low))
        high = float(finite.max(initial=high))
    return (low, high) if low <= high else (0.0, 0.0)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    return flat
