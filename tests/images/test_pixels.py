"""Every kind of pixel becomes RGB, and a large picture a small one."""

from __future__ import annotations

import struct
import warnings
import zlib

import numpy as np
import pytest
from image_files import (
    BLACK,
    BLUE,
    GREEN,
    RED,
    WHITE,
    chunk,
    encoded,
    grey16_png,
    grey_tiff_entries,
    png,
    tiff,
)
from PIL import Image

from deformviz.images import decode

rng = np.random.default_rng(0)


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
        monkeypatch.setattr("deformviz.images.pixels._BAND_PIXELS", 1000)
        np.testing.assert_array_equal(decode(data, max_side=max_side).pixels, whole)
        monkeypatch.undo()
