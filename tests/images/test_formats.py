"""Each format's first frame: its pixels, its orientation, and no later frame."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from image_files import BLUE, GREEN, PICTURE, RED, WHITE, encoded, exif, grey_tiff_entries, tiff
from PIL import Image

from deformviz.images import decode

# ------------------------------------------------------------------------------- plain pictures


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_a_small_picture_keeps_every_pixel(form: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.xyz"  # the content tells the format, not the name
    path.write_bytes(encoded(PICTURE, form))
    for source in (path, str(path), path.read_bytes()):
        photo = decode(source)
        assert photo.pixels.dtype == np.uint8
        np.testing.assert_array_equal(photo.pixels, PICTURE)
        assert photo.original_size == (24, 40)
        assert photo.notes == ()


def test_lossless_webp_keeps_every_pixel() -> None:
    photo = decode(encoded(PICTURE, "WEBP", lossless=True))
    np.testing.assert_array_equal(photo.pixels, PICTURE)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_is_close_to_what_was_saved(options: dict[str, object]) -> None:
    smooth = np.zeros((48, 64, 3), np.uint8)
    smooth[..., 0] = np.arange(64) * 4
    smooth[..., 1] = np.arange(48)[:, None] * 5
    photo = decode(encoded(smooth, "JPEG", quality=95, **options))
    assert photo.notes == ()
    assert np.abs(photo.pixels.astype(int) - smooth).max() <= 12


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate", "lzma", "zstd"]
)
def test_compressed_tiff_keeps_every_pixel(compression: str) -> None:
    photo = decode(encoded(PICTURE, "TIFF", compression=compression))
    np.testing.assert_array_equal(photo.pixels, PICTURE)


def test_big_endian_tiff() -> None:
    data = bytes(range(0, 120, 10))
    photo = decode(tiff(grey_tiff_entries(4, 3), data, order=">"))
    np.testing.assert_array_equal(photo.pixels[..., 1].ravel(), list(data))


def test_a_jpeg_with_a_second_picture_behind_it_is_its_first() -> None:
    first, second = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    file = io.BytesIO()
    first.save(file, "MPO", save_all=True, append_images=[second])
    photo = decode(file.getvalue())
    assert np.abs(photo.pixels.astype(int) - RED).max() <= 2
    assert photo.notes == ()


# ------------------------------------------------------------------- orientation and animation

# Where the stored corners (first row, first column) and (first row, last column) are to be seen.
CORNERS = {1: "TL TR", 2: "TR TL", 3: "BR BL", 4: "BL BR", 5: "TL BL", 6: "TR BR", 7: "BR TR"}
CORNERS[8] = "BL TL"
PLACE = {"TL": (0, 0), "TR": (0, -1), "BL": (-1, 0), "BR": (-1, -1)}


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_moves_the_corners(orientation: int, form: str) -> None:
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :16], stored[:16, -16:] = RED, GREEN
    photo = decode(encoded(stored, form, exif=exif(orientation), quality=95))
    red, green = (PLACE[name] for name in CORNERS[orientation].split())
    assert photo.pixels[red].argmax() == 0
    assert photo.pixels[red][0] > 200
    assert photo.pixels[green].argmax() == 1
    assert photo.original_size == ((48, 32) if orientation >= 5 else (32, 48))
    assert photo.pixels.shape[:2] == photo.original_size
    assert ("rotated as its EXIF tag says" in photo.notes) == (orientation != 1)


def test_a_rotated_and_shrunk_picture_tells_its_upright_sizes() -> None:
    image = Image.new("RGB", (1000, 500))
    photo = decode(encoded(image, "JPEG", exif=exif(6)), max_side=100)
    assert photo.pixels.shape == (100, 50, 3)
    assert "shrunk from 1000 x 500 to 100 x 50" in photo.notes


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_a_wrong_orientation_is_upright(orientation: int) -> None:
    photo = decode(encoded(PICTURE, "PNG", exif=exif(orientation)))
    np.testing.assert_array_equal(photo.pixels, PICTURE)
    assert photo.notes == ()


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_its_first_frame(form: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    photo = decode(data)
    assert (photo.pixels == RED).all()
    assert photo.notes == ("animated: first of 3 frames is used",)


def test_later_frames_are_not_decoded() -> None:
    """The second frame of this GIF is nonsense, and nobody looks."""
    data = encoded(Image.new("RGB", (20, 10), "red"), "GIF")
    broken = b",\0\0\0\0\xff\xff\xff\xff\0\x0c\xff" + b"\xff" * 255 + b"\0"
    photo = decode(data[:-1] + broken + b";")
    assert (photo.pixels == RED).all()
    assert photo.notes == ("animated: first of 2 frames is used",)


def test_a_gif_smaller_than_its_screen_and_transparent() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putpixel((0, 0), 0)
    data = bytearray(encoded(image, "GIF", transparency=0))
    data[6:10] = struct.pack("<HH", 6, 5)
    photo = decode(bytes(data))
    assert photo.pixels.shape == (5, 6, 3)
    assert photo.pixels[1, 1].tolist() == GREEN
    assert photo.pixels[0, 0].tolist() == photo.pixels[4, 5].tolist() == WHITE


def test_pages_of_a_tiff() -> None:
    pages = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    photo = decode(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert (photo.pixels == RED).all()
    assert photo.notes == ("several pages: first of 3 is used",)
