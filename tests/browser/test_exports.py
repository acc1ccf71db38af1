"""What can be taken along opens elsewhere, and shows what was seen."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from explore_page import ExplorePage, query_of
from PIL import Image
from seen import numbers
from shown import assert_shows
from tabs import OpenFile
from truth import run
from viewer_page import IMAGE, IMAGE_B, OUTPUT, ViewerPage

from deformviz import Sampling
from deformviz.explore import Settings

pytestmark = pytest.mark.browser

SETTINGS = Settings(dilation=4, field="random", strength=1.0, mask="radial", weights="Gaussian")
SVG = "{http://www.w3.org/2000/svg}"

Save = Callable[[str], Path]


@pytest.fixture
def page(explore: ExplorePage) -> ExplorePage:
    explore.open(**query_of(SETTINGS, "cat"), y=20, x=30, pinned="on", over="mask", tap=1)
    return explore


@pytest.fixture
def save(page: ExplorePage, tmp_path: Path) -> Save:
    """Saves by a button or a link of the menu; gives the file."""

    def saved(text: str) -> Path:
        with page.page.expect_download() as download:
            page.menu("export")
            page.root.locator('[data-part="exports"]').get_by_text(text).click()
        page.menu("export")
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    return saved


def panels(page: ViewerPage) -> dict[str, float]:
    """Where the pictures lie on the screen."""
    box = page.root.locator(".dv-panels").bounding_box()
    assert box is not None
    return dict(box)


# --- pictures ------------------------------------------------------------------------------------


def test_a_png_is_what_is_seen_at_twice_its_size(page: ExplorePage, save: Save) -> None:
    path = save("PNG")
    assert path.name == "deformviz.png"
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG"
        rgb = np.asarray(picture.convert("RGB")).astype(int)
    box = panels(page)
    height, width = rgb.shape[:2]
    assert height == pytest.approx(2 * (box["height"] + 20), abs=2)
    assert width == pytest.approx(2 * (box["width"] + 20), abs=2)
    for where, n in ((where, n) for where in ("image", "kernel") for n in (1, 4, 7)):
        left, top = page.dot(where, n)
        x, y = (round(2 * (v + 10 - box[side])) for v, side in ((left, "x"), (top, "y")))
        color = numbers(getattr(page.seen(), where)[n].color)
        around = rgb[y - 8 : y + 9, x - 8 : x + 9].reshape(-1, 3)
        assert np.abs(around - color).max(axis=1).min() <= 2, (where, n)
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) > 1000


def places(root: ET.Element, tag: str, left: float = 0, top: float = 0) -> list[list[float]]:
    """Where elements of a class stand in an SVG whose parts are SVGs: [x, y] of each."""
    found = []
    for node in root:
        if node.tag == f"{SVG}svg":
            inner = (left + float(node.get("x", 0)), top + float(node.get("y", 0)))
            found += places(node, tag, *inner)
        elif node.get("class", "").startswith(tag) and float(node.get("r", 0)) > 0:
            found.append([left + float(node.get("cx", 0)), top + float(node.get("cy", 0))])
        else:
            found += places(node, tag, left, top)
    return found


def test_an_svg_has_the_taps_where_they_are_on_the_screen(page: ExplorePage, save: Save) -> None:
    page.press("]")  # one is lit, with its pixels
    path = save("SVG")
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    assert root.tag == f"{SVG}svg"
    box = panels(page)
    on_screen = [
        page.dot(where, n) for where in ("image", "kernel") for n in sorted(page.seen().image)
    ]
    expected = np.array(on_screen) - (box["x"], box["y"]) + 10
    np.testing.assert_allclose(places(root, "dv-tap"), expected, atol=0.05)
    addresses = [node.get("href", "data:") for node in root.iter()]
    assert all(address.startswith("data:") for address in addresses)
    texts = "".join(root.itertext())
    for part in ("input", "output", "kernel", "mask of tap 1"):
        assert part in texts


def test_a_comparison_is_exported_with_both_images(page: ExplorePage, save: Save) -> None:
    page.action("compare").click()
    page.wait_loaded()
    root = ET.fromstring(save("SVG").read_text(encoding="utf-8"))
    assert len(places(root, "dv-tap")) == 4 * 9
    assert "B: Deformable Conv v2" in "".join(root.itertext())


# --- files of the run ----------------------------------------------------------------------------


def test_numbers_as_arrays_and_as_a_record(save: Save) -> None:
    sampling = run(SETTINGS, "cat").sampling
    with np.load(save("NPZ")) as arrays:
        np.testing.assert_allclose(arrays["points"], sampling.points(), atol=1e-4)
        np.testing.assert_allclose(arrays["output"], sampling.output, atol=1e-5)
    loaded = Sampling.load(save("safetensors"))
    assert loaded.header() == sampling.header()
    torch.testing.assert_close(loaded.offset, sampling.offset.contiguous(), atol=1e-4, rtol=0)


def test_a_film_of_the_sweep(save: Save) -> None:
    path = save("GIF")
    with Image.open(path) as film:
        assert film.format == "GIF"
        assert film.n_frames > 20  # type: ignore[attr-defined]
        assert film.info["loop"] == 0
        assert max(film.size) == 480
        assert film.size[0] / film.size[1] == pytest.approx(64 / 43, rel=0.02)
        first = np.asarray(film.convert("RGB"))
        film.seek(10)
        assert (np.asarray(film.convert("RGB")) != first).any()


def test_the_file_that_keeps_the_hover_opens_on_what_is_seen(
    page: ExplorePage, save: Save, open_file: OpenFile
) -> None:
    page.press("+", "+")
    page.select("output_channel", "mean")
    viewer = open_file(save("HTML"))
    sampling = run(SETTINGS, "cat").sampling
    assert_shows(viewer.seen(), sampling, 20, 30, output=None)
    assert viewer.action("pin").inner_text() == "pinned"
    mine, theirs = page.in_view(), viewer.in_view()
    assert (theirs[:2] <= mine[:2] + 0.01).all()  # at least that, in a frame of another shape
    assert (theirs[2:] >= mine[2:] - 0.01).all()
    np.testing.assert_array_equal(viewer.canvas(IMAGE), page.canvas(IMAGE))
    assert viewer.legend() == page.legend()


def test_a_saved_file_exports_and_compares_without_a_network(
    page: ExplorePage, save: Save, open_file: OpenFile, tmp_path: Path
) -> None:
    viewer = open_file(save("HTML"))
    viewer.menu("export")
    assert viewer.root.locator('[data-part="exports"] a').count() == 0  # no server to ask
    with viewer.page.expect_download() as download:
        viewer.action("png").click()
    download.value.save_as(tmp_path / "from file.png")
    with Image.open(tmp_path / "from file.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 1000
    viewer.action("compare").click()
    viewer.clip(IMAGE_B).wait_for()
    viewer.wait_loaded()
    assert viewer.text("output-caption") == "equal everywhere"
    assert viewer.canvas(OUTPUT) is not None
