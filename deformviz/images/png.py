"""PNG: which of its chunks the pixels need."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from PIL.PngImagePlugin import PngImageFile

from .frame import Frame
from .tiff import exif_orientation

_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def png_frame(data: bytes) -> Frame:
    """Keep header, palette, transparency and pixels: an APNG becomes the plain PNG it also is."""
    body: dict[bytes, bytes] = {}
    image_data = bytearray()
    frames = 0
    for kind, content in _png_chunks(data):
        if kind == b"IDAT":
            image_data += content
        else:
            body.setdefault(kind, content)
            frames += kind == b"fcTL"
    bits = body[b"IHDR"][8]
    if bits == 16:
        body.pop(b"tRNS", None)  # Pillow compares its 16 bits with the pixels' 8
    body |= {b"IDAT": bytes(image_data), b"IEND": b""}
    return Frame(
        plugin=PngImageFile,
        data=data[:8]
        + b"".join(_png_chunk(kind, body[kind]) for kind in _PNG_KEPT if kind in body),
        frames=frames,
        orientation=exif_orientation(body.get(b"eXIf", b"")),
        bits=bits,
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, content) of the chunks that matter. The last may be cut short: Pillow tells."""
    position = 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if kind in _PNG_KEPT or kind in (b"eXIf", b"fcTL"):
            content = data[position + 8 : end]
            checksum = data[end : end + 4]
            if len(checksum) == 4 and checksum != _png_checksum(kind, content):
                raise ValueError(f"wrong checksum in {kind!r}")
            yield kind, content
        if kind == b"IEND":
            return
        position = end + 4


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + _png_checksum(kind, content)


def _png_checksum(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
