"""Image file in, `Photo` out, within limits of time and memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.TiffImagePlugin import TiffImageFile

from .bmp import BMP_RUN_LENGTH
from .errors import EXPECTED, REMEDY, ImageError, check_range
from .formats import FORMATS, format_of
from .pixels import Photo, photo_of
from .tiff import TILE_LENGTH, TILE_WIDTH

MAX_BYTES = 50_000_000
MAX_PIXELS = 64_000_000
MIN_SIDE, MAX_SIDE = 16, 4096


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
    check_range("max_side", max_side, MIN_SIDE, MAX_SIDE)
    check_range("max_pixels", max_pixels, 1, MAX_PIXELS)
    data = _read_bytes(source)
    name = format_of(data)
    with _as_image_error(name):
        frame = FORMATS[name](data)
        _check_pixels(frame.size, max_pixels)
        image = frame.plugin(_Budgeted(frame.data))
        _check_pixels(image.size, max_pixels)
        _check_layout(image, max_pixels)
        return photo_of(name, frame, image, max_side)


# ------------------------------------------------------------------------------------------ checks


def _check_pixels(size: tuple[int, int] | None, max_pixels: int) -> None:
    """Refuse (W, H) above the limit; None is a size that the header reader leaves to Pillow."""
    if size is None or size[0] * size[1] <= max_pixels:
        return
    width, height = size
    raise ImageError(
        f"Expected at most {max_pixels:,} pixels, but this picture has {width:,} x {height:,} "
        f"= {width * height:,}. Scale it down first."
    )


def _check_layout(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Refuse what Pillow would decode at a cost that the picture's size does not bound."""
    if isinstance(image, TiffImageFile):
        # A whole tile is decoded, however little of it the picture uses.
        tile = image.tag_v2.get(TILE_WIDTH, 1), image.tag_v2.get(TILE_LENGTH, 1)
        _check_pixels(tile, max_pixels)
    if isinstance(image, BmpImageFile) and image.info["compression"] in BMP_RUN_LENGTH:
        # Pillow decodes it in Python, and one skip may span 255 rows of any width.
        raise ImageError(f"This BMP is run-length coded, which is not read here. {REMEDY}")


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
            f"Expected {EXPECTED}. This file begins like a {name}, but it is damaged, "
            f"cut short or of a rare kind. {REMEDY}"
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
        raise ImageError(f"Expected {EXPECTED}, but this file is empty. Choose another one.")
    if len(data) > MAX_BYTES:
        limit = f"{MAX_BYTES // 1_000_000} MB"
        raise ImageError(f"Expected at most {limit}, but this file is larger. Scale it down first.")
    return data


def _read_file(path: Path) -> bytes:
    """Read at most one byte more than MAX_BYTES, of a regular file only: a pipe never ends."""
    try:
        if path.is_dir():
            raise ImageError(f"Expected {EXPECTED}, but this is a folder. Choose a file in it.")
        if not path.is_file():
            raise ImageError(f"Expected {EXPECTED}, but there is no such file. Check its name.")
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
            raise ImageError(f"This file refers to the same bytes again and again. {REMEDY}")
        return chunk
