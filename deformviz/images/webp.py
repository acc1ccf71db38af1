"""WebP: what its chunks tell of the canvas, the frames and the orientation."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL.WebPImagePlugin import WebPImageFile

from .frame import Frame
from .tiff import exif_orientation


def webp_frame(data: bytes) -> Frame:
    """Keep it as it is: its decoder takes one frame. But it allocates the canvas when opened."""
    frames, orientation = 0, 1
    for kind, content in _riff_chunks(data):
        frames += kind == b"ANMF"
        if kind == b"EXIF":
            orientation = exif_orientation(content)
    return Frame(WebPImageFile, data, _webp_size(data), frames, orientation)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read (W, H) of the canvas, which each of the three kinds of WebP writes in its own way."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (sides,) = struct.unpack_from("<I", data, 21)
        return 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
