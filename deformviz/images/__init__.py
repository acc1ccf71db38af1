"""The one place where a foreign image file becomes pixels.

An image may come from anyone, so a file is never handed to Pillow as it came. It is first reduced
to what the pixels of its first frame need: comments, text, colour profiles, previews, later frames
and later pages are left out. That is where nearly all the ways lie in which a small file can cost a
reader minutes or gigabytes. It also saves honest files that a careful reader would have to refuse,
such as a drawing that carries its own source in a large text chunk.

    photo = decode("holiday.jpg")
    photo.pixels.shape          # (384, 512, 3), uint8
    photo.notes                 # ("shrunk from 3024 x 4032 to 384 x 512",)

Only numpy and Pillow are imported in this folder.
"""

from .data_uri import EXACT_UP_TO, to_data_uri
from .decode import MAX_BYTES, MAX_PIXELS, MAX_SIDE, MIN_SIDE, decode
from .errors import ImageError
from .pixels import Photo

__all__ = [
    "EXACT_UP_TO",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MIN_SIDE",
    "ImageError",
    "Photo",
    "decode",
    "to_data_uri",
]
