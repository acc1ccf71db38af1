"""BMP: nothing to leave out."""

from __future__ import annotations

from PIL.BmpImagePlugin import BmpImageFile

from .frame import Frame

BMP_RUN_LENGTH = (BmpImageFile.COMPRESSIONS["RLE8"], BmpImageFile.COMPRESSIONS["RLE4"])


def bmp_frame(data: bytes) -> Frame:
    """Keep it as it is: a header and rows."""
    return Frame(BmpImageFile, data)
