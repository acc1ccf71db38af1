"""The formats that are read, told by their first bytes, and how each becomes a frame."""

from __future__ import annotations

import re
from collections.abc import Callable

from .bmp import bmp_frame
from .errors import EXPECTED, REMEDY, ImageError
from .frame import Frame
from .gif import gif_frame
from .jpeg import jpeg_frame
from .png import png_frame
from .tiff import tiff_frame
from .webp import webp_frame

FORMATS: dict[str, Callable[[bytes], Frame]] = {
    "PNG": png_frame,
    "JPEG": jpeg_frame,
    "GIF": gif_frame,
    "WebP": webp_frame,
    "TIFF": tiff_frame,
    "BMP": bmp_frame,
}

_SIGNATURES = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "GIF": rb"GIF8[79]a",
    "WebP": rb"RIFF.{4}WEBPVP8",
    "TIFF": rb"II\*\0|MM\0\*",
    "BMP": rb"BM",
}

# What people upload instead, so that the message can name it.
_STRANGERS = {
    "a web page": rb"\s*<(!DOCTYPE )?html",
    "an SVG drawing": rb"\s*<(.*<)?svg",
    "a PDF document": rb"%PDF",
    "an AVIF picture": rb".{4}ftypavi[fs]",
    "an HEIC picture": rb".{4}ftyp(hei|hev|mif1|msf1)",
    "a video": rb".{4}ftyp|\x1aE\xdf\xa3",
    "a ZIP archive": rb"PK\x03\x04",
    "a BigTIFF": rb"II\+\0|MM\0\+",
    "a JPEG 2000 picture": rb"\0{3}\x0cjP  |\xff\x4f\xff\x51",
    "a NumPy array": rb"\x93NUMPY",
}


def format_of(data: bytes) -> str:
    """Name the format by the first bytes alone."""
    head = data[:1024]
    for name, signature in _SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            return name
    found = "something else"
    for stranger, signature in _STRANGERS.items():
        if re.match(signature, head, re.DOTALL | re.IGNORECASE):
            found = stranger
            break
    raise ImageError(f"Expected {EXPECTED}, but this file holds {found}. {REMEDY}")
