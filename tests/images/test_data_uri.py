"""What the page is given of a picture: close for a photo, exact for an overlay."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from deformviz.images import ImageError, to_data_uri

rng = np.random.default_rng(0)


def from_uri(uri: str, kind: str) -> np.ndarray:
    head, content = uri.split(",")
    assert head == f"data:image/{kind};base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(content, validate=True))))


def smooth_picture(side: int) -> np.ndarray:
    rows, columns = np.mgrid[0:side, 0:side] / side
    return (np.dstack([rows, columns, (rows + columns) / 2]) * 255).astype(np.uint8)


def test_a_photo_becomes_a_close_jpeg() -> None:
    pixels = smooth_picture(256)
    back = from_uri(to_data_uri(pixels), "jpeg")
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


@pytest.mark.parametrize("shape", [(1, 1, 3), (64, 64, 3), (64, 2, 4), (5, 64, 3)])
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
