"""Hostile and odd image files, made here: each is either right in its pixels or an ImageError."""

from __future__ import annotations

import base64
import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deformviz import images
from deformviz.images import ImageError, Photo, decode, to_data_uri

ROOT = Path(__file__).resolve().parents[1]
RED, GREEN, BLUE, WHITE, BLACK = [255, 0, 0], [0, 255, 0], [0, 0, 255], [255] * 3, [0, 0, 0]

rng = np.random.default_rng(0)
PICTURE = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)


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


def directory_bomb() -> bytes:
    """A TIFF directory of 3,000 entries that all point at the same 60 kB."""
    start = 8 + 2 + 3000 * 12 + 4
    entries = b"".join(struct.pack("<HHII", 40_000 + n, 1, 60_000, start) for n in range(3000))
    return b"II*\0" + struct.pack("<IH", 8, 3000) + entries + bytes(4) + bytes(60_000)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[274] = orientation
    return tags


def message_of(source: str | Path | bytes, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        decode(source, **options)
    return str(caught.value)


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


# ------------------------------------------------------------------------------------ odd modes


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    photo = decode(grey16_png([[0, 257, 32768, 65535], [128, 129, 1000, 65407]]))
    expected = [[0, 1, 128, 255], [0, 1, 4, 255]]  # value / 257, rounded
    np.testing.assert_array_equal(photo.pixels, np.repeat(expected, 3).reshape(2, 4, 3))
    assert photo.notes == ("16-bit: scaled to 8",)


def test_16_bit_colour_is_scaled() -> None:
    raw = b"\0" + struct.pack(">6H", 65535, 32896, 0, 0, 257 * 9, 65535)
    photo = decode(png((2, 1), zlib.compress(raw), bits=16, colour=2))
    assert photo.pixels.tolist() == [[[255, 128, 0], [0, 9, 255]]]
    assert photo.notes == ("16-bit: scaled to 8",)


def test_a_16_bit_colour_key_is_not_mistaken_for_an_8_bit_one() -> None:
    raw = b"\0" + struct.pack(">3H", 257 * 5, 257 * 6, 257 * 7)
    key = chunk(b"tRNS", struct.pack(">3H", 5, 6, 7))
    photo = decode(png((1, 1), zlib.compress(raw), bits=16, colour=2, extra=key))
    assert photo.pixels.tolist() == [[[5, 6, 7]]]
    assert photo.notes == ("16-bit: scaled to 8",)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_tiff(order: str) -> None:
    data = struct.pack(order + "4H", 0, 257 * 7, 257 * 200, 65535)
    photo = decode(tiff(grey_tiff_entries(2, 2, bits=16, bytes=8), data, order=order))
    assert photo.pixels[..., 0].tolist() == [[0, 7], [200, 255]]
    assert photo.notes == ("16-bit: scaled to 8",)


def test_float_tiff_is_scaled_by_its_finite_range() -> None:
    values = [-1.0, 0.0, 3.0, np.nan, np.inf, -np.inf]
    data = struct.pack("<6f", *values)
    photo = decode(tiff(grey_tiff_entries(3, 2, bits=32, format=3, bytes=24), data))
    assert photo.pixels[..., 0].tolist() == [[0, 64, 255], [0, 255, 0]]
    assert photo.notes == ("values from -1 to 3 scaled to 0 to 255",)


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.5, -3.4e38])
def test_constant_float_tiff_is_no_division_by_zero(value: float) -> None:
    data = struct.pack("<4f", *[value] * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photo = decode(tiff(grey_tiff_entries(2, 2, bits=32, format=3, bytes=16), data))
    assert photo.pixels.min() == photo.pixels.max()


def test_the_widest_float_range() -> None:
    data = struct.pack("<3f", -3.4e38, 0.0, 3.4e38)
    photo = decode(tiff(grey_tiff_entries(3, 1, bits=32, format=3, bytes=12), data))
    assert photo.pixels[0, :, 0].tolist() == [0, 128, 255]


def test_32_bit_integer_tiff_is_scaled_by_its_range() -> None:
    data = struct.pack("<3i", -2_000_000_000, 0, 2_000_000_000)
    photo = decode(tiff(grey_tiff_entries(3, 1, bits=32, format=2, bytes=12), data))
    assert photo.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert photo.notes == ("values from -2e+09 to 2e+09 scaled to 0 to 255",)


@pytest.mark.parametrize(("form", "tolerance"), [("TIFF", 0), ("JPEG", 3)])
def test_cmyk(form: str, tolerance: int) -> None:
    """Pure cyan takes the red away, and half black halves the rest."""
    image = Image.new("CMYK", (32, 16), (255, 0, 0, 0))
    image.paste((0, 255, 0, 128), (16, 0, 32, 16))
    photo = decode(encoded(image, form, **({"quality": 100} if form == "JPEG" else {})))
    assert np.abs(photo.pixels[8, 4].astype(int) - [0, 255, 255]).max() <= tolerance
    assert np.abs(photo.pixels[8, 28].astype(int) - [127, 0, 127]).max() <= max(tolerance, 1)
    assert photo.notes == ("CMYK converted to RGB",)


def test_lab_tiff() -> None:
    """Lightness 100 without colour is white; a* 80 over b* 67 at lightness 53 is red."""
    image = Image.new("LAB", (2, 1))
    image.putpixel((0, 0), (255, 128, 128))
    image.putpixel((1, 0), (136, 208, 195))
    photo = decode(encoded(image, "TIFF"))
    assert photo.pixels[0, 0].min() >= 253
    red = photo.pixels[0, 1].astype(int)
    assert red[0] > 240
    assert red[1:].max() < 50


def test_grey_and_bilevel() -> None:
    grey = np.array([[0, 100, 255]], np.uint8)
    assert decode(encoded(grey, "PNG")).pixels.tolist() == [[BLACK, [100] * 3, WHITE]]
    bilevel = Image.fromarray(np.array([[0, 255, 255, 0]], np.uint8)).convert("1")
    for form, options in [("PNG", {}), ("BMP", {}), ("TIFF", {"compression": "group4"})]:
        photo = decode(encoded(bilevel, form, **options))
        assert photo.pixels.tolist() == [[BLACK, WHITE, WHITE, BLACK]]


def test_rgba_lies_on_white() -> None:
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    for form in ("PNG", "TIFF"):
        photo = decode(encoded(rgba, form))
        assert photo.pixels.tolist() == [[RED, WHITE, [127] * 3]]  # 255 - 128
        assert photo.notes == ("transparent parts are shown on white",)


def test_opaque_rgba_has_no_note() -> None:
    photo = decode(encoded(np.full((2, 2, 4), 255, np.uint8), "PNG"))
    assert photo.pixels.tolist() == [[WHITE, WHITE], [WHITE, WHITE]]
    assert photo.notes == ()


def test_grey_with_alpha_lies_on_white() -> None:
    raw = b"\0" + bytes([10, 255, 10, 0, 0, 51])
    photo = decode(png((3, 1), zlib.compress(raw), colour=4))
    assert photo.pixels[0, :, 0].tolist() == [10, 255, 204]  # 0.2 of black


def test_a_palette_with_alpha() -> None:
    palette = chunk(b"PLTE", bytes([*RED, *GREEN, *BLUE])) + chunk(b"tRNS", bytes([255, 0, 102]))
    photo = decode(png((3, 1), zlib.compress(b"\0\0\1\2"), colour=3, extra=palette))
    assert photo.pixels.tolist() == [[RED, WHITE, [153, 153, 255]]]  # 0.4 of blue


def test_a_transparent_colour_key() -> None:
    raw = b"\0" + bytes([*RED, *GREEN])
    key = chunk(b"tRNS", struct.pack(">3H", *GREEN))
    photo = decode(png((2, 1), zlib.compress(raw), colour=2, extra=key))
    assert photo.pixels.tolist() == [[RED, WHITE]]


def test_faint_colour_under_alpha_does_not_bleed_when_shrunk() -> None:
    """Red of alpha 0 beside opaque blue: no mixture of the two may hold any red."""
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, ::2] = [*RED, 0]
    rgba[:, 1::2] = [*BLUE, 255]
    pixels = decode(encoded(rgba, "PNG"), max_side=16).pixels.astype(int)
    # Half blue, half white: red and green stay equal.
    assert np.abs(pixels[..., 0] - pixels[..., 1]).max() <= 2
    assert np.abs(pixels[2:-2, 2:-2] - [128, 128, 255]).max() <= 8


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


# ---------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((1, 1), 512, (1, 1)),
        ((512, 512), 512, (512, 512)),
        ((513, 1), 512, (512, 1)),
        ((1, 4000), 16, (1, 16)),
        ((4000, 1), 512, (512, 1)),
        ((40_000, 3), 16, (16, 1)),
        ((3024, 4032), 512, (384, 512)),
        ((1000, 999), 500, (500, 500)),
        ((5000, 20), 4096, (4096, 16)),
    ],
)
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_sizes(size: tuple[int, int], max_side: int, expected: tuple[int, int], form: str) -> None:
    photo = decode(encoded(Image.new("L", size, 77), form), max_side=max_side)
    assert photo.pixels.shape == (expected[1], expected[0], 3)
    assert np.abs(photo.pixels.astype(int) - 77).max() <= 1
    assert photo.original_size == size[::-1]
    assert (photo.notes == ()) == (size == expected)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_shrinking_averages_and_stays_in_place(form: str) -> None:
    """A fine chequer turns grey, and an edge stays at its place, also across bands."""
    rows, columns = np.mgrid[0:3000, 0:2000]
    pixels = ((rows + columns) % 2 * 255).astype(np.uint8)
    pixels[1500:, :1000] = 255
    photo = decode(encoded(pixels, form), max_side=300)
    small = photo.pixels[..., 0].astype(int)
    assert small.shape == (300, 200)
    assert np.abs(small[5:145, 5:195] - 127).max() <= 4
    assert small[155:295, 5:95].min() >= 250
    assert np.abs(small[155:295, 105:195] - 127).max() <= 4


def test_a_jpeg_is_shrunk_as_sharply_as_a_png() -> None:
    """The JPEG decoder's own, coarser scaling must leave enough for the fine filter."""
    blocks = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    large = Image.fromarray(blocks).resize((2048, 2048), Image.Resampling.NEAREST)
    from_png = decode(encoded(large, "PNG"), max_side=256).pixels.astype(int)
    from_jpeg = decode(encoded(large, "JPEG", quality=98, subsampling=0), max_side=256).pixels
    assert np.abs(from_jpeg - from_png).mean() < 3


def test_bands_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(rng.integers(0, 256, (301, 97, 4), dtype=np.uint8), "PNG")
    for max_side in (16, 64, 512):
        whole = decode(data, max_side=max_side).pixels
        monkeypatch.setattr(images, "_BAND_PIXELS", 1000)
        np.testing.assert_array_equal(decode(data, max_side=max_side).pixels, whole)
        monkeypatch.undo()


@pytest.mark.parametrize("max_side", [15, 4097, 0, -1, 512.0, "512", True, None])
def test_a_wrong_max_side(max_side: int) -> None:
    message = message_of(encoded(PICTURE, "PNG"), max_side=max_side)
    assert message == f"max_side must be a whole number from 16 to 4096, not {max_side!r}."


@pytest.mark.parametrize("max_pixels", [0, 64_000_001, 1e6])
def test_a_wrong_max_pixels(max_pixels: int) -> None:
    assert "max_pixels must be a whole number" in message_of(b"", max_pixels=max_pixels)


# -------------------------------------------------------------------------------- no pictures


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"\n<html><svg/></html>", "a web page"),
        (b'<?xml version="1.0"?>\n<!-- drawn --><svg xmlns="..."/>', "an SVG drawing"),
        (b"<svg/>", "an SVG drawing"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "an AVIF picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "an HEIC picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video"),
        (b"PK\x03\x04 checkpoint", "a ZIP archive"),
        (b"II+\0\x08\0\0\0", "a BigTIFF"),
        (b"8BPS\0\1", "something else"),
        (b"P6 1 1 255 abc", "something else"),
        (b"x", "something else"),
        (rng.bytes(10_000), "something else"),
    ],
)
def test_no_picture_at_all(content: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    message = message_of(path)
    assert "Expected a PNG, JPEG, WebP, BMP, GIF or TIFF picture" in message
    assert f"this file holds {found}." in message
    assert "save it as PNG or JPEG" in message
    assert str(tmp_path) not in message


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert "this file is empty" in message_of(tmp_path / "empty.png")
    assert "this file is empty" in message_of(b"")


def test_missing_files_folders_and_other_things(tmp_path: Path) -> None:
    assert "no such file" in message_of(tmp_path / "missing.png")
    assert "no such file" in message_of("a\0b.png")
    assert "this is a folder" in message_of(tmp_path)
    assert "could not be read" in message_of("x" * 5000)
    assert "got NoneType" in message_of(None)  # type: ignore[arg-type]
    for source in (tmp_path / "missing.png", tmp_path):
        assert str(tmp_path) not in message_of(source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "no such file" in message_of(tmp_path / "pipe.png")


def test_a_file_above_the_byte_limit(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.write(encoded(PICTURE, "PNG"))
        file.truncate(images.MAX_BYTES + 1)
    assert "at most 50 MB" in message_of(path)


# --------------------------------------------------------------------------- truncated, damaged

FORMS: dict[str, dict[str, object]] = {
    "PNG": {},
    "JPEG": {"quality": 90},
    "GIF": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "TIFF": {},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", [0.02, 0.1, 0.3, 0.5, 0.8, 0.95])
def test_a_truncated_picture(form: str, part: float, tmp_path: Path) -> None:
    data = encoded(PICTURE, form, **FORMS[form])
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * part)])
    message = message_of(path)
    assert "Expected a PNG, JPEG, WebP, BMP, GIF or TIFF picture" in message
    assert str(tmp_path) not in message
    assert "0x" not in message  # no Python object either


def test_a_png_that_lacks_only_its_end_is_whole() -> None:
    data = encoded(PICTURE, "PNG")
    for end in (-1, -8, -12):
        np.testing.assert_array_equal(decode(data[:end]).pixels, PICTURE)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_a_png_with_a_wrong_checksum(kind: bytes) -> None:
    data = bytearray(encoded(PICTURE, "PNG"))
    start = data.index(kind)
    (length,) = struct.unpack_from(">I", data, start - 4)
    data[start + 4 + length] ^= 1
    assert "begins like a PNG, but it is damaged" in message_of(bytes(data))


def test_other_errors_of_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(PICTURE, "PNG")
    for error, expected in [
        (MemoryError(), "not enough memory to decode this PNG"),
        (OSError("/srv/secret/file.png"), "damaged"),
        (Image.DecompressionBombError("bomb"), "damaged"),
        (struct.error("short"), "damaged"),
        (zlib.error("bad"), "damaged"),
        (RecursionError(), "damaged"),
    ]:

        def fail(self: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
        message = message_of(data)
        assert expected in message
        assert "secret" not in message


SEEDS = [encoded(PICTURE, form, **options) for form, options in FORMS.items()]
SEEDS += [
    encoded(PICTURE, "JPEG", progressive=True, exif=exif(6)),
    encoded(PICTURE, "TIFF", compression="tiff_lzw"),
    encoded(PICTURE, "PNG", save_all=True, append_images=[Image.fromarray(PICTURE[::-1].copy())]),
    encoded(PICTURE, "WEBP", quality=50, exif=exif(3)),
    encoded(Image.fromarray(PICTURE).convert("P"), "GIF", transparency=3, comment=b"hello"),
    encoded(Image.fromarray(PICTURE).convert("P"), "BMP"),
    grey16_png([[1, 2], [3, 4]]),
    tiff(grey_tiff_entries(3, 2, bits=32, format=3, bytes=24), struct.pack("<6f", *range(6))),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid file with bytes overwritten, cut out or put in, mostly near its head, maybe cut."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        reach = draw(st.sampled_from([40, 200, len(data)]))
        place = draw(st.integers(0, min(reach, len(data))))
        length = draw(st.sampled_from([0, 1, 1, 1, 2, 4, 20]))
        data[place : place + length] = draw(st.binary(max_size=6))
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@settings(max_examples=400, deadline=None)
@given(mutated())
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's about tags of a broken TIFF
def test_a_mutated_picture_is_a_photo_or_an_image_error(data: bytes) -> None:
    try:
        photo = decode(data, max_side=32, max_pixels=100_000)
    except ImageError as error:
        outcome: Photo | str = str(error)
    else:
        outcome = photo
    if isinstance(outcome, str):
        assert outcome.endswith(".")
        assert "0x" not in outcome
    else:
        assert outcome.pixels.dtype == np.uint8
        assert outcome.pixels.shape[2] == 3
        assert 1 <= max(outcome.pixels.shape[:2]) <= 32
        assert min(outcome.original_size) >= 1


# ------------------------------------------------------------------------------------- bombs


def huge_png() -> bytes:
    """20,000 x 20,000 pixels of one bit: 50 kB here, 400 MB in Pillow's memory."""
    return png((20_000, 20_000), zeros(20_000 * 2501), bits=1)


def text_bomb() -> bytes:
    text = chunk(b"zTXt", b"Comment\0\0" + zeros(50_000_000))
    text += chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros(50_000_000))
    text += chunk(b"iCCP", b"profile\0\0" + zeros(50_000_000))
    return png((2, 1), zlib.compress(b"\0\x0a\xc8"), extra=text)


def exif_bomb() -> bytes:
    """A JPEG whose EXIF directory asks for 180 MB out of 100 kB, split over two segments."""
    plain = encoded(Image.new("RGB", (16, 16), "white"), "JPEG")
    bomb = directory_bomb()
    parts = [b"Exif\0\0" + bomb[:60_000], b"Exif\0\0" + bomb[60_000:]]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return plain[:2] + segments + plain[2:]


def tiff_bomb() -> bytes:
    """A sound picture of 4 x 2 pixels among 10,000 entries that all point at the same 60 kB."""
    strange = [(tag, 1, 60_000, 16) for tag in range(40_000, 50_000)]
    data = bytes([10, 20, 30, 40, 50, 60, 70, 80]) + bytes(60_000)
    return tiff([*grey_tiff_entries(4, 2), *strange], data)


def test_the_huge_png_is_under_500_kb_and_refused() -> None:
    data = huge_png()
    assert len(data) < 500_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = message_of(data)
    assert "at most 64,000,000 pixels" in message
    assert "20,000 x 20,000 = 400,000,000" in message
    assert "Scale it down first" in message


def test_pillows_own_limit_is_neither_changed_nor_heard() -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = png((10_000, 10_000), zeros(10_000 * 1251), bits=1)  # Pillow would warn
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "100,000,000" in message_of(data)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("form", FORMS)
def test_max_pixels_is_a_limit_for_every_format(form: str) -> None:
    data = encoded(PICTURE, form, **FORMS[form])
    assert "40 x 24 = 960" in message_of(data, max_pixels=959)
    assert decode(data, max_pixels=960).pixels.shape == (24, 40, 3)


def test_a_png_with_huge_text_keeps_its_pixels() -> None:
    photo = decode(text_bomb())
    assert photo.pixels[0, :, 0].tolist() == [10, 200]


def test_a_jpeg_with_an_exif_bomb_keeps_its_pixels() -> None:
    assert decode(exif_bomb()).pixels.min() >= 254


def test_a_tiff_with_a_directory_bomb_keeps_its_pixels() -> None:
    pixels = decode(tiff_bomb()).pixels
    assert pixels[..., 0].tolist() == [[10, 20, 30, 40], [50, 60, 70, 80]]


def test_a_gif_frame_larger_than_its_screen() -> None:
    data = bytearray(encoded(Image.new("L", (4, 4)), "GIF"))
    start = data.index(b",", 13 + 3 * 2)
    data[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "65,535 x 65,535" in message_of(bytes(data))


def webp_with_canvas(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    header = b"VP8X" + struct.pack("<I", 10) + bytes(4) + sides
    picture = encoded(Image.new("RGB", (4, 4)), "WEBP", lossless=True)[12:]
    body = b"WEBP" + header + picture
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_a_webp_with_a_huge_canvas() -> None:
    assert "65,000 x 65,000" in message_of(webp_with_canvas(65_000, 65_000))


def test_a_tiff_with_a_huge_tile() -> None:
    entries = [entry for entry in grey_tiff_entries(4, 4) if entry[0] not in (273, 278, 279)]
    entries += [(322, 4, 1, 20_000), (323, 4, 1, 20_000), (324, 4, 1, 8), (325, 4, 1, 16)]
    assert "20,000 x 20,000" in message_of(tiff(entries, bytes(16)))


def test_a_tiff_whose_strips_are_all_the_same_bytes() -> None:
    """Each of 5,000 strips names the same 100 kB: half a gigabyte to copy."""
    width, height, strips = 1000, 101, 5000
    data = bytes(width * height) + struct.pack("<I", 8) * strips
    names = 8 + width * height
    entries = [e for e in grey_tiff_entries(width, height, rows=100) if e[0] not in (273, 279)]
    entries += [(273, 4, strips, names), (279, 4, strips, names)]
    assert "the same bytes again and again" in message_of(tiff(entries, data))


def test_of_two_equal_tags_the_first_counts() -> None:
    entries = [*grey_tiff_entries(3, 2), (256, 4, 1, 70_000)]
    assert decode(tiff(entries, bytes(6))).pixels.shape == (2, 3, 3)


def test_a_jpeg_with_endless_scans() -> None:
    data = encoded(PICTURE, "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert "scans" in message_of(data[:-2] + last * 100 + b"\xff\xd9")


def test_a_jpeg_with_endless_segments() -> None:
    data = encoded(PICTURE, "JPEG")
    assert "segments" in message_of(data[:2] + b"\xff\xfe\0\2" * 20_000 + data[2:])


def jpeg_with_header(marker: int, size: tuple[int, int]) -> tuple[bytes, bytes]:
    """What comes before a JPEG's frame header, and the header with another marker and (W, H)."""
    data = encoded(PICTURE, "JPEG")
    start = data.index(b"\xff\xc0")
    header = bytearray(data[start : start + 19])
    header[1] = marker
    header[5:9] = struct.pack(">HH", size[1], size[0])
    return data[:start], bytes(header)


def test_a_jpeg_with_two_frame_headers() -> None:
    data = encoded(PICTURE, "JPEG")
    head, header = jpeg_with_header(0xC0, (65500, 65500))
    assert "damaged" in message_of(head + header + data[len(head) :])


def test_a_jpeg_that_tells_pillow_another_size_than_libjpeg() -> None:
    data = encoded(PICTURE, "JPEG")
    head, huge = jpeg_with_header(0xC0, (65500, 65500))
    _, small = jpeg_with_header(0xDE, (40, 24))  # a hierarchical header: libjpeg skips it
    assert "65,500 x 65,500" in message_of(head + huge + small + data[len(head) + len(huge) :])


def test_a_run_length_coded_bmp() -> None:
    data = bytearray(encoded(Image.new("L", (4, 4)), "BMP"))
    data[30] = 1
    assert "run-length coded" in message_of(bytes(data))


# The module is run alone: what else the package imports would hide what decoding takes.
PEAK = """
import runpy
import sys
from pathlib import Path

module = runpy.run_path("deformviz/images.py")
assert not {"torch", "gradio", "plotly"} & set(sys.modules)

def peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

for path in sys.argv[1:]:
    try:
        outcome = str(module["decode"](path).pixels.shape)
    except module["ImageError"] as error:
        outcome = str(error)
    print(peak(), outcome, sep="\\t")
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's peak memory")
def test_bombs_cost_no_memory(tmp_path: Path) -> None:
    """Handed to Pillow as they are, most of them take hundreds of megabytes."""
    bombs = {
        "huge.png": (huge_png(), "20,000 x 20,000"),
        "text.png": (text_bomb(), "(1, 2, 3)"),
        "exif.jpg": (exif_bomb(), "(16, 16, 3)"),
        "directory.tif": (tiff_bomb(), "(2, 4, 3)"),
        "canvas.webp": (webp_with_canvas(16_000, 16_000), "16,000 x 16,000"),
    }
    for name, (data, _) in bombs.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", PEAK, *(str(tmp_path / name) for name in bombs)]
    lines = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for line, (name, (_, expected)) in zip(lines, bombs.items(), strict=True):
        megabytes, outcome = line.split("\t")
        assert expected in outcome, name
        assert int(megabytes) < 200, name


# ------------------------------------------------------------------------------------ data URIs


def from_uri(uri: str, kind: str) -> np.ndarray:
    head, content = uri.split(",")
    assert head == f"data:image/{kind};base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(content, validate=True))))


def smooth_picture(side: int) -> np.ndarray:
    rows, columns = np.mgrid[0:side, 0:side] / side
    return (np.dstack([rows, columns, (rows + columns) / 2]) * 255).astype(np.uint8)


def test_a_photo_becomes_a_close_webp() -> None:
    pixels = smooth_picture(256)
    back = from_uri(to_data_uri(pixels), "webp")
    assert back.shape == pixels.shape
    assert np.abs(back.astype(int) - pixels).mean() < 3


def test_quality_trades_size() -> None:
    noise = rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert len(to_data_uri(noise, quality=30)) < 0.6 * len(to_data_uri(noise, quality=95))


def test_an_overlay_keeps_every_visible_colour() -> None:
    pixels = rng.integers(0, 256, (100, 70, 4), dtype=np.uint8)
    back = from_uri(to_data_uri(pixels, quality=5), "webp")
    seen = pixels[..., 3] > 0
    np.testing.assert_array_equal(back[seen], pixels[seen])
    np.testing.assert_array_equal(back[..., 3], pixels[..., 3])


@pytest.mark.parametrize("shape", [(1, 1, 3), (63, 63, 3), (63, 2, 4), (5, 63, 3)])
def test_a_tiny_picture_keeps_every_pixel(shape: tuple[int, ...]) -> None:
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(from_uri(to_data_uri(pixels), "png"), pixels)


def test_a_view_that_is_not_contiguous() -> None:
    pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    back = from_uri(to_data_uri(pixels[::-1, ::2, ::-1]), "png")
    np.testing.assert_array_equal(back, pixels[::-1, ::2, ::-1])


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.zeros((4, 4, 3), np.float32), "got float32 of shape [4, 4, 3]"),
        (np.zeros((4, 4), np.uint8), "got uint8 of shape [4, 4]"),
        (np.zeros((4, 4, 2), np.uint8), "got uint8 of shape [4, 4, 2]"),
        (np.zeros((0, 4, 3), np.uint8), "got 0 x 4"),
        (np.zeros((1, 16384, 3), np.uint8), "got 1 x 16384"),
    ],
)
def test_what_is_no_picture_has_no_uri(pixels: np.ndarray, expected: str) -> None:
    with pytest.raises(ImageError) as caught:
        to_data_uri(pixels)
    assert expected in str(caught.value)


def test_a_wrong_quality() -> None:
    with pytest.raises(ImageError, match="quality must be a whole number from 1 to 100"):
        to_data_uri(np.zeros((4, 4, 3), np.uint8), quality=0)
