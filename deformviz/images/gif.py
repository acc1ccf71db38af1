"""GIF: which of its blocks the first picture needs."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL.GifImagePlugin import GifImageFile

from .frame import Frame

_GIF_EXTENSION, _GIF_PICTURE, _GIF_CONTROL = 0x21, 0x2C, 0xF9


def gif_frame(data: bytes) -> Frame:
    """Keep the screen, the first picture and the control block (its transparency) before it."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    screen = data[: 13 + _gif_palette_bytes(flags)]
    control = picture = b""
    frames = 0
    for kind, block in _gif_blocks(data, len(screen)):
        if kind == _GIF_PICTURE:
            frames += 1
            picture = picture or block
        elif frames == 0 and block[1] == _GIF_CONTROL and len(block) == 8:
            control = block
    left, top, columns, rows = struct.unpack_from("<HHHH", picture, 1)
    size = max(width, left + columns), max(height, top + rows)
    return Frame(GifImageFile, screen + control + picture + b";", size, frames)


def _gif_blocks(data: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, bytes) of each picture and extension; one that is cut short is the last."""
    while position < len(data) and data[position] in (_GIF_EXTENSION, _GIF_PICTURE):
        start, kind = position, data[position]
        try:
            if kind == _GIF_PICTURE:
                position += 11 + _gif_palette_bytes(data[position + 9])
            else:
                position += 2
            while data[position]:
                position += 1 + data[position]
            position += 1
        except IndexError:
            position = len(data)
        yield kind, data[start:position]


def _gif_palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
