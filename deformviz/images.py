"""The one place where a foreign image file becomes pixels.

An image may come from anyone, so a file is never handed to Pillow as it came. It is first reduced
to what the pixels of its first frame need: comments, text, colour profiles, previews, later frames
and later pages are left out. That is where nearly all the ways lie in which a small file can cost a
reader minutes or gigabytes. It also saves honest files that a careful reader would have to refuse,
such as a drawing that carries its own source in a large text chunk.

    photo = decode("holiday.jpg")
    photo.pixels.shape          # (384, 512, 3), uint8
    photo.notes                 # ("shrunk from 3024 x 4032 to 384 x 512",)

Only numpy and Pillow are imported here.
"""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

MAX_BYTES = 50_000_000
MAX_PIXELS = 64_000_000
MIN_SIDE, MAX_SIDE = 16, 4096

# Below this side a data URI keeps every pixel exactly: such a picture is shown magnified.
EXACT_BELOW = 64

_EXPECTED = "a PNG, JPEG, WebP, BMP, GIF or TIFF picture"
_REMEDY = "Open it in an image editor, save it as PNG or JPEG, and try that file."

# Pixels that are converted to RGB at a time, so that a large picture is never held twice.
_BAND_PIXELS = 4_000_000


class ImageError(ValueError):
    """A file or an array that cannot become a picture: what was expected, what came, what to do.

    The message is meant for the person who chose the file. It never holds a path of the server.
    """


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


def decode(
    source: str | Path | bytes, *, max_side: int = 512, max_pixels: int = MAX_PIXELS
) -> Photo:
    """Turn an image file into upright RGB pixels, in bounded time and memory.

    Args:
        source: a path, or the bytes of the file. PNG, JPEG, WebP, BMP, GIF or TIFF, told by
            content, not by name, and no larger than ``MAX_BYTES``.
        max_side: longest side of the result in pixels, 16 to 4096. Smaller pictures stay as is.
        max_pixels: pixels that the file may declare, 1 to 64 million, checked before any is
            decoded.

    Returns:
        The first frame or page as a ``Photo``. Transparent parts lie on white. The worst files
        within the limits take about 3 seconds of one core and 1 GB of memory.

    Raises:
        ImageError: the source is missing, no picture, damaged, too large, or an argument is wrong.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (640, 320), "teal").save(file, "PNG")
        >>> photo = decode(file.getvalue(), max_side=64)
        >>> photo.pixels.shape, photo.original_size, photo.notes
        ((32, 64, 3), (320, 640), ('shrunk from 320 x 640 to 32 x 64',))
    """
    _check_range("max_side", max_side, MIN_SIDE, MAX_SIDE)
    _check_range("max_pixels", max_pixels, 1, MAX_PIXELS)
    data = _read_bytes(source)
    name = _format_of(data)
    with _as_image_error(name):
        frame = _FORMATS[name](data)
        _check_pixels(frame.size, max_pixels)
        image = frame.plugin(_Budgeted(frame.data))
        _check_pixels(image.size, max_pixels)
        _check_layout(image, max_pixels)
        return _photo(name, frame, image, max_side)


def to_data_uri(pixels: np.ndarray, *, quality: int = 90) -> str:
    """Encode pixels for the page, as a ``data:image/...`` URI.

    Args:
        pixels: [H, W, 3] (RGB) or [H, W, 4] (RGBA) uint8.
        quality: of a lossy WebP, 1 to 100. RGBA is kept exactly, whatever the quality, and so is
            a picture whose sides are both below 64 pixels (as a PNG).

    Returns:
        The URI, about 80 kB for a photo of 512 x 512, in about 10 ms.

    Raises:
        ImageError: another shape or type, a side of 0 or above 16383, or a wrong quality.

    Example:
        >>> to_data_uri(np.zeros((2, 2, 3), np.uint8))[:22]
        'data:image/png;base64,'
    """
    _check_range("quality", quality, 1, 100)
    _check_pixel_array(pixels)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    encoded = io.BytesIO()
    if max(image.size) < EXACT_BELOW:
        image.save(encoded, "PNG")
        kind = "png"
    else:
        # Method 0 is several times faster than the default, for files that are a tenth larger.
        # With alpha it is an overlay whose colours are read as values: these are not to be smeared.
        image.save(encoded, "WEBP", quality=quality, method=0, lossless=image.mode == "RGBA")
        kind = "webp"
    return f"data:image/{kind};base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"


# ------------------------------------------------------------------------------------------ checks


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ImageError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")


def _check_pixels(size: tuple[int, int] | None, max_pixels: int) -> None:
    """Refuse (W, H) above the limit; None is a size that the header reader leaves to Pillow."""
    if size is None or size[0] * size[1] <= max_pixels:
        return
    width, height = size
    raise ImageError(
        f"Expected at most {max_pixels:,} pixels, but this picture has {width:,} x {height:,} "
        f"= {width * height:,}. Scale it down first."
    )


def _check_pixel_array(pixels: np.ndarray) -> None:
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (3, 4):
        raise ImageError(
            f"Expected uint8 pixels of shape [H, W, 3] or [H, W, 4], "
            f"got {pixels.dtype} of shape {list(shape)}."
        )
    if not (1 <= shape[0] <= 16383 and 1 <= shape[1] <= 16383):
        raise ImageError(f"Expected sides from 1 to 16383 pixels, got {shape[0]} x {shape[1]}.")


def _check_layout(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Refuse what Pillow would decode at a cost that the picture's size does not bound."""
    if isinstance(image, TiffImageFile):
        # A whole tile is decoded, however little of it the picture uses.
        tile = image.tag_v2.get(_TILE_WIDTH, 1), image.tag_v2.get(_TILE_LENGTH, 1)
        _check_pixels(tile, max_pixels)
    if isinstance(image, BmpImageFile) and image.info["compression"] in _BMP_RUN_LENGTH:
        # Pillow decodes it in Python, and one skip may span 255 rows of any width.
        raise ImageError(f"This BMP is run-length coded, which is not read here. {_REMEDY}")


@contextmanager
def _as_image_error(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises over a hostile file into ImageError."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        message = f"There is not enough memory to decode this {name} file. Scale it down first."
        raise ImageError(message) from error
    except Exception as error:
        raise ImageError(
            f"Expected {_EXPECTED}. This file begins like a {name}, but it is damaged, "
            f"cut short or of a rare kind. {_REMEDY}"
        ) from error


# ----------------------------------------------------------------------------------------- reading


def _read_bytes(source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, Path)):
        data = _read_file(Path(source))
    else:
        raise ImageError(f"Expected a path or bytes, got {type(source).__name__}.")
    if not data:
        raise ImageError(f"Expected {_EXPECTED}, but this file is empty. Choose another one.")
    if len(data) > MAX_BYTES:
        limit = f"{MAX_BYTES // 1_000_000} MB"
        raise ImageError(f"Expected at most {limit}, but this file is larger. Scale it down first.")
    return data


def _read_file(path: Path) -> bytes:
    """Read at most one byte more than MAX_BYTES, of a regular file only: a pipe never ends."""
    try:
        if path.is_dir():
            raise ImageError(f"Expected {_EXPECTED}, but this is a folder. Choose a file in it.")
        if not path.is_file():
            raise ImageError(f"Expected {_EXPECTED}, but there is no such file. Check its name.")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise ImageError(f"This file could not be read: {reason}. Choose another one.") from error


class _Budgeted(io.BytesIO):
    """A file in memory that may be read a few times over, not thousands of times.

    The strips of a TIFF, for one, may all name the same bytes.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = 4 * len(data) + 1_000_000

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise ImageError(f"This file refers to the same bytes again and again. {_REMEDY}")
        return chunk


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


def _format_of(data: bytes) -> str:
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
    raise ImageError(f"Expected {_EXPECTED}, but this file holds {found}. {_REMEDY}")


# ------------------------------------------------------------------- each format's first frame only


@dataclass(frozen=True)
class _Frame:
    """A file reduced to what the pixels of its first frame need.

    The plugin's class is called rather than ``Image.open``: its limits are a global of Pillow, it
    warns on the console, and it tries other formats (a JPEG may come back as an MPO).
    """

    plugin: type[ImageFile.ImageFile]
    data: bytes
    size: tuple[int, int] | None = None  # (W, H), where Pillow must not see too large a one
    frames: int = 1
    orientation: int = 1  # as EXIF counts, 1 to 8
    bits: int = 8


_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def _png(data: bytes) -> _Frame:
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
    return _Frame(
        plugin=PngImageFile,
        data=data[:8]
        + b"".join(_png_chunk(kind, body[kind]) for kind in _PNG_KEPT if kind in body),
        frames=frames,
        orientation=_exif_orientation(body.get(b"eXIf", b"")),
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


_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a stuffed FF nor a restart
_JPEG_ALONE = {0x01, 0xD8}
_JPEG_END, _JPEG_SCAN, _JPEG_APP1 = 0xD9, 0xDA, 0xE1
# Frame headers, tables and scans, and the two segments that tell the colour space (JFIF, Adobe).
# Not DHP (0xDE), whose size Pillow would believe and libjpeg ignore.
_JPEG_KEPT = {*range(0xC0, 0xC8), *range(0xC9, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD, 0xE0, 0xEE}
_JPEG_MAX_SEGMENTS = 10_000
# A progressive JPEG passes over all its pixels once a scan. Encoders write about ten.
_JPEG_MAX_SCANS = 64


def _jpeg(data: bytes) -> _Frame:
    kept = [data[:2]]
    orientation, scans = 1, 0
    for kind, segment in _jpeg_segments(data):
        if kind == _JPEG_APP1 and segment[4:10] == b"Exif\0\0":
            orientation = _exif_orientation(segment[10:])
        scans += kind == _JPEG_SCAN
        if kind in _JPEG_KEPT or kind == _JPEG_END:
            kept.append(segment)
    if scans > _JPEG_MAX_SCANS:
        raise ImageError(f"This JPEG has {scans} scans, more than any camera's. {_REMEDY}")
    return _Frame(plugin=JpegImageFile, data=b"".join(kept), orientation=orientation)


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
    raise ImageError(f"This JPEG has more than {_JPEG_MAX_SEGMENTS:,} segments. {_REMEDY}")


def _next_jpeg_marker(data: bytes, position: int) -> int:
    """Find where the next marker starts; the end of the data where there is none."""
    match = _JPEG_MARKER.search(data, position)
    return match.start() if match else len(data)


_GIF_EXTENSION, _GIF_PICTURE, _GIF_CONTROL = 0x21, 0x2C, 0xF9


def _gif(data: bytes) -> _Frame:
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
    return _Frame(GifImageFile, screen + control + picture + b";", size, frames)


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


def _webp(data: bytes) -> _Frame:
    """Keep it as it is: its decoder takes one frame. But it allocates the canvas when opened."""
    frames, orientation = 0, 1
    for kind, content in _riff_chunks(data):
        frames += kind == b"ANMF"
        if kind == b"EXIF":
            orientation = _exif_orientation(content)
    return _Frame(WebPImageFile, data, _webp_size(data), frames, orientation)


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


_BMP_RUN_LENGTH = (BmpImageFile.COMPRESSIONS["RLE8"], BmpImageFile.COMPRESSIONS["RLE4"])


def _bmp(data: bytes) -> _Frame:
    """Keep it as it is: a header and rows."""
    return _Frame(BmpImageFile, data)


_BITS, _ORIENTATION, _TILE_WIDTH, _TILE_LENGTH = 258, 274, 322, 323
# Size, sample layout, compression, strips or tiles, palette, and the tables of JPEG in TIFF.
_TIFF_KEPT = {256, 257, _BITS, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320}
_TIFF_KEPT |= {_TILE_WIDTH, _TILE_LENGTH, 324, 325, 332, 338, 339, 347, *range(512, 522)}
_TIFF_KEPT |= {529, 530, 531, 532}
_TIFF_MAX_VALUES = 200_000
_TIFF_MAX_PAGES = 1_000


def _tiff(data: bytes) -> _Frame:
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
    return _Frame(
        plugin=TiffImageFile,
        data=b"".join((data[:4], struct.pack(order + "I", end), data[8:], bytes(odd), directory)),
        frames=_tiff_pages(data),
        orientation=_exif_orientation(data),
    )


def _tiff_pages(data: bytes) -> int:
    order, seen = _byte_order(data), set[int]()
    (position,) = struct.unpack_from(order + "I", data, 4)
    while position and position not in seen and len(seen) < _TIFF_MAX_PAGES:
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


def _exif_orientation(exif: bytes) -> int:
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


_FORMATS: dict[str, Callable[[bytes], _Frame]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "GIF": _gif,
    "WebP": _webp,
    "TIFF": _tiff,
    "BMP": _bmp,
}


# ------------------------------------------------------------------------------------------ pixels

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


def _photo(name: str, frame: _Frame, image: ImageFile.ImageFile, max_side: int) -> Photo:
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


def _frame_notes(name: str, frame: _Frame, image: ImageFile.ImageFile) -> list[str]:
    notes = []
    if frame.frames > 1 and name == "TIFF":
        count = "many" if frame.frames == _TIFF_MAX_PAGES else frame.frames
        notes.append(f"several pages: first of {count} is used")
    elif frame.frames > 1:
        notes.append(f"animated: first of {frame.frames} frames is used")
    bits = frame.bits
    if isinstance(image, TiffImageFile):
        bits = max(image.tag_v2.get(_BITS, (1,)))
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
