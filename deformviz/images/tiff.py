"""TIFF: which entries of its first directory the pixels need; and EXIF, which is a TIFF too."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL.TiffImagePlugin import TiffImageFile

from .frame import Frame

BITS, _ORIENTATION, TILE_WIDTH, TILE_LENGTH = 258, 274, 322, 323
# Size, sample layout, compression, strips or tiles, palette, and the tables of JPEG in TIFF.
_TIFF_KEPT = {256, 257, BITS, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320}
_TIFF_KEPT |= {TILE_WIDTH, TILE_LENGTH, 324, 325, 332, 338, 339, 347, *range(512, 522)}
_TIFF_KEPT |= {529, 530, 531, 532}
_TIFF_MAX_VALUES = 200_000
TIFF_MAX_PAGES = 1_000


def tiff_frame(data: bytes) -> Frame:
    """Keep the strips, under a new directory of the first page with what pixels need.

    Pillow copies what every entry points at, so that a thousand entries that all point at the same
    megabyte would cost a gigabyte.
    """
    order = _byte_order(data)
    (first,) = struct.unpack_from(order + "I", data, 4)
    entries: dict[int, bytes] = {}
    for tag, count, entry in _directory(data, first):
        if tag in _TIFF_KEPT and count <= _TIFF_MAX_VALUES:
            entries.setdefault(tag, entry)  # of two, Pillow takes the last and libtiff the first
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries.values()) + bytes(4)
    odd = len(data) % 2  # a directory starts on an even byte
    end = len(data) + odd
    return Frame(
        plugin=TiffImageFile,
        data=b"".join((data[:4], struct.pack(order + "I", end), data[8:], bytes(odd), directory)),
        frames=_tiff_pages(data),
        orientation=exif_orientation(data),
    )


def _tiff_pages(data: bytes) -> int:
    order, seen = _byte_order(data), set[int]()
    (position,) = struct.unpack_from(order + "I", data, 4)
    while position and position not in seen and len(seen) < TIFF_MAX_PAGES:
        seen.add(position)
        try:
            (count,) = struct.unpack_from(order + "H", data, position)
            (position,) = struct.unpack_from(order + "I", data, position + 2 + 12 * count)
        except struct.error:
            break
    return len(seen)


def _byte_order(tiff: bytes) -> str:
    return "<" if tiff[:2] == b"II" else ">"


def _directory(tiff: bytes, position: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (tag, count of values, the entry's 12 bytes) of the TIFF directory at a position."""
    order = _byte_order(tiff)
    (entries,) = struct.unpack_from(order + "H", tiff, position)
    for start in range(position + 2, position + 2 + 12 * entries, 12):
        tag, _, count = struct.unpack_from(order + "HHI", tiff, start)
        yield tag, count, tiff[start : start + 12].ljust(12, b"\0")


def exif_orientation(exif: bytes) -> int:
    """Read the orientation, 1 to 8; 1 (upright) where the tag is missing or broken.

    Pillow's own reader copies what every entry points at, as said above.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = _byte_order(tiff)
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        for tag, _, entry in _directory(tiff, first):
            if tag == _ORIENTATION:
                (orientation,) = struct.unpack_from(order + "H", entry, 8)
                return orientation if 1 <= orientation <= 8 else 1
    except struct.error:
        pass
    return 1
