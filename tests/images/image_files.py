"""What the tests in this folder share: image files, sound ones and some written by hand."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deformviz.images import ImageError, decode

RED, GREEN, BLUE, WHITE, BLACK = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255] * 3, [0, 0, 0]

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)

FORMS: dict[str, dict[str, object]] = {
    "PNG": {},
    "JPEG": {"quality": 90},
    "GIF": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "TIFF": {},
}


def encoded(image: Image.Image | np.ndarray, form: str, **options: object) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(
    size: tuple[int, int],
    pixels: bytes,
    *,
    bits: int = 8,
    colour: int = 0,
    extra: bytes = b"",
) -> bytes:
    """A PNG written by hand: (W, H), zlib-compressed rows, and chunks to put before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND")


def grey16_png(rows: list[list[int]]) -> bytes:
    raw = b"".join(b"\0" + struct.pack(f">{len(row)}H", *row) for row in rows)
    return png((len(rows[0]), len(rows)), zlib.compress(raw), bits=16)


def zeros(count: int) -> bytes:
    """That many zero bytes, compressed a megabyte at a time."""
    stream = zlib.compressobj(9)
    parts = [
        stream.compress(bytes(min(count - done, 1 << 20))) for done in range(0, count, 1 << 20)
    ]
    return b"".join(parts) + stream.flush()


def tiff(
    entries: Iterable[tuple[int, int, int, int]], data: bytes = b"", *, order: str = "<"
) -> bytes:
    """A TIFF written by hand: (tag, type, count, value) and the bytes from offset 8 on."""
    entries = sorted(entries)
    data += bytes(len(data) % 2)
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        shape = order + ("HHIHxx" if kind == 3 and count == 1 else "HHII")
        directory += struct.pack(shape, tag, kind, count, value)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", 8 + len(data)) + data + directory + bytes(4)


def grey_tiff_entries(width: int, height: int, **changes: int) -> list[tuple[int, int, int, int]]:
    """The tags of an uncompressed 8-bit grey picture in one strip at offset 8."""
    named = {"width": (256, 4), "height": (257, 4), "bits": (258, 3), "compression": (259, 3)}
    named |= {"photometric": (262, 3), "offset": (273, 4), "samples": (277, 3), "rows": (278, 4)}
    named |= {"bytes": (279, 4), "format": (339, 3)}
    values = {"width": width, "height": height, "bits": 8, "compression": 1, "photometric": 1}
    values |= {"offset": 8, "samples": 1, "rows": height, "bytes": width * height, "format": 1}
    return [(*named[name], 1, value) for name, value in (values | changes).items()]


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[274] = orientation
    return tags


def message_of(source: str | Path | bytes, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        decode(source, **options)
    return str(caught.value)
