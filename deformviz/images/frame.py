"""What every container format is reduced to: the file of its first frame alone."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageFile


@dataclass(frozen=True)
class Frame:
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
