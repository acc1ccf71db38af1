"""Small files that would cost a careless reader gigabytes or minutes."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import pytest
from image_files import (
    FORMS,
    PICTURE,
    chunk,
    encoded,
    grey_tiff_entries,
    message_of,
    png,
    tiff,
    zeros,
)
from PIL import Image

from deformviz.images import decode

ROOT = Path(__file__).resolve().parents[2]


def directory_bomb() -> bytes:
    """A TIFF directory of 3,000 entries that all point at the same 60 kB."""
    start = 8 + 2 + 3000 * 12 + 4
    entries = b"".join(struct.pack("<HHII", 40_000 + n, 1, 60_000, start) for n in range(3000))
    return b"II*\0" + struct.pack("<IH", 8, 3000) + entries + bytes(4) + bytes(60_000)


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


# The folder is imported alone, below a stub of the package: what else the package imports would
# hide what decoding takes.
PEAK = """
import sys
from pathlib import Path
from types import ModuleType

stub = sys.modules["deformviz"] = ModuleType("deformviz")
stub.__path__ = ["deformviz"]
from deformviz.images import ImageError, decode

assert not {"torch", "gradio", "plotly"} & set(sys.modules)

def peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024

for path in sys.argv[1:]:
    try:
        outcome = str(decode(path).pixels.shape)
    except ImageError as error:
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
