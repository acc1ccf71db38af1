"""JPEG: which of its segments the pixels need."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from PIL.JpegImagePlugin import JpegImageFile

from .errors import REMEDY, ImageError
from .frame import Frame
from .tiff import exif_orientation

_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a stuffed FF nor a restart
_JPEG_ALONE = {0x01, 0xD8}
_JPEG_END, _JPEG_SCAN, _JPEG_APP1 = 0xD9, 0xDA, 0xE1
# Frame headers, tables and scans, and the two segments that tell the colour space (JFIF, Adobe).
# Not DHP (0xDE), whose size Pillow would believe and libjpeg ignore.
_JPEG_KEPT = {*range(0xC0, 0xC8), *range(0xC9, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD, 0xE0, 0xEE}
_JPEG_MAX_SEGMENTS = 10_000
# A progressive JPEG passes over all its pixels once a scan. Encoders write about ten.
_JPEG_MAX_SCANS = 64


def jpeg_frame(data: bytes) -> Frame:
    """Keep headers, tables and scans of the first picture, and what tells its colour space."""
    kept = [data[:2]]
    orientation, scans = 1, 0
    for kind, segment in _jpeg_segments(data):
        if kind == _JPEG_APP1 and segment[4:10] == b"Exif\0\0":
            orientation = exif_orientation(segment[10:])
        scans += kind == _JPEG_SCAN
        if kind in _JPEG_KEPT or kind == _JPEG_END:
            kept.append(segment)
    if scans > _JPEG_MAX_SCANS:
        raise ImageError(f"This JPEG has {scans} scans, more than any camera's. {REMEDY}")
    return Frame(plugin=JpegImageFile, data=b"".join(kept), orientation=orientation)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, bytes) of the first picture; a scan comes with its coded pixels."""
    position = 2
    for _ in range(_JPEG_MAX_SEGMENTS):
        start = _next_jpeg_marker(data, position)
        kind = data[start + 1] if start + 1 < len(data) else _JPEG_END
        if kind == _JPEG_END:
            yield kind, data[start : start + 2]
            return
        if kind in _JPEG_ALONE:
            position = start + 2
            continue
        (length,) = struct.unpack_from(">H", data, start + 2)
        position = start + 2 + length
        if kind == _JPEG_SCAN:
            position = _next_jpeg_marker(data, position)
        yield kind, data[start:position]
    raise ImageError(f"This JPEG has more than {_JPEG_MAX_SEGMENTS:,} segments. {REMEDY}")


def _next_jpeg_marker(data: bytes, position: int) -> int:
    """Find where the next marker starts; the end of the data where there is none."""
    match = _JPEG_MARKER.search(data, position)
    return match.start() if match else len(data)
