"""What a person reads who chose a file or a number that cannot be used."""

from __future__ import annotations

EXPECTED = "a PNG, JPEG, WebP, BMP, GIF or TIFF picture"
REMEDY = "Open it in an image editor, save it as PNG or JPEG, and try that file."


class ImageError(ValueError):
    """A file or an array that cannot become a picture: what was expected, what came, what to do.

    The message is meant for the person who chose the file. It never holds a path of the server.
    """


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Refuse an argument that is no whole number, or one out of range."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ImageError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
