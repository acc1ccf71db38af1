"""What is no picture, or a damaged one: an ImageError that tells what to do."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import (
    FORMS,
    PICTURE,
    encoded,
    exif,
    grey16_png,
    grey_tiff_entries,
    message_of,
    tiff,
)
from PIL import Image

from deformviz.images import MAX_BYTES, ImageError, Photo, decode

rng = np.random.default_rng(0)


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
        file.truncate(MAX_BYTES + 1)
    assert "at most 50 MB" in message_of(path)


# --------------------------------------------------------------------------- truncated, damaged


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
