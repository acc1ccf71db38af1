"""A tap is one thing in three views: lit in all of them, and moved by hand in all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from seen import number
from shown import assert_shows
from tabs import OpenFile, OpenRun
from truth import base_at, neighbours, photo_pixels, points_at, run
from viewer_page import IMAGE, ViewerPage

from deformviz import ImageMap, Sampling
from deformviz.explore import Settings
from deformviz.operators import deform_conv2d_sampling

pytestmark = pytest.mark.browser

SETTINGS = Settings(dilation=5, field="random", strength=1.0, mask_strength=0.5, weights="Gaussian")
POSITION = (20, 30)
PIXEL = 1.0
"""Screen pixels that a drag may be off by: a mouse has whole ones."""
READ_OFF = 1e-4
"""Of a sum at a point that is itself read off the screen."""
READ_OFF = 1e-4
"""Of a sum at a point that is itself read off the screen."""


@pytest.fixture
def viewer(open_run: OpenRun) -> ViewerPage:
    y, x = POSITION
    return open_run(run(SETTINGS), y=y, x=x, pinned=True)


@pytest.fixture
def sampling() -> Sampling:
    return run(SETTINGS).sampling


def bilinear(sampling: Sampling, channel: int, point: np.ndarray) -> float:
    """torch's own sample of the input at a point (y, x), zero outside."""
    assert sampling.input is not None
    size = torch.tensor(sampling.input_size, dtype=torch.float64)
    grid = (2 * torch.from_numpy(point) / (size - 1) - 1).flip(0).reshape(1, 1, 1, 2)
    values = sampling.input[None, channel : channel + 1].double()
    return float(F.grid_sample(values, grid, padding_mode="zeros", align_corners=True))


def put(viewer: ViewerPage, where: str, n: int, dy: float, dx: float) -> None:
    """Drag a dot by so many screen pixels."""
    left, top = viewer.dot(where, n)
    viewer.drag((left, top), (left + dx, top + dy))


# --- one tap in three views ----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["image", "kernel", "table"])
def test_a_tap_that_is_hovered_is_lit_in_all_views_with_its_pixels(
    viewer: ViewerPage, sampling: Sampling, where: str
) -> None:
    for n in (0, 5, 7):
        if where == "table":
            viewer.row(n).hover()
        else:
            viewer.page.mouse.move(*viewer.dot(where, n))
        assert_lit(viewer, sampling, n)
    viewer.leave()
    seen = viewer.seen()
    assert (seen.lit("image"), seen.lit("kernel"), seen.lit_rows) == ([], [], [])
    assert viewer.pixels() == []


def assert_lit(viewer: ViewerPage, sampling: Sampling, n: int) -> None:
    seen = viewer.seen()
    assert (seen.lit("image"), seen.lit("kernel"), seen.lit_rows) == ([n], [n], [n])
    corner, weights = neighbours(points_at(sampling, *POSITION)[n], sampling.input_size)
    expected = [corner + divmod(i, 2) for i in range(4) if weights[i] > 0]
    pixels = viewer.pixels()
    np.testing.assert_allclose([place for place, _, _ in pixels], expected, atol=0.01)
    np.testing.assert_allclose([size for _, size, _ in pixels], 1, atol=0.01)


def test_the_weights_are_written_where_there_is_room(
    viewer: ViewerPage, sampling: Sampling
) -> None:
    viewer.row(4).hover()
    assert [text for _, _, text in viewer.pixels()] == [""] * 4
    viewer.press(*["+"] * 8)
    viewer.row(4).hover()
    _, weights = neighbours(points_at(sampling, *POSITION)[4], sampling.input_size)
    written = [number(text) for _, _, text in viewer.pixels()]
    assert written == pytest.approx(weights, abs=0.0051)


def test_brackets_light_one_tap_after_the_other_and_read_it_out(
    viewer: ViewerPage, sampling: Sampling
) -> None:
    for key, n in (("]", 0), ("]", 1), ("[", 0), ("[", 8), ("]", 0)):
        viewer.press(key)
        assert_lit(viewer, sampling, n)
        said = "tap " + "; ".join(viewer.seen().rows[n])
        assert viewer.text("said") == " ".join(said.split())


# --- moved by hand -------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["image", "kernel"])
def test_a_tap_that_is_dragged_reads_where_it_was_put(
    viewer: ViewerPage, sampling: Sampling, where: str
) -> None:
    points = points_at(sampling, *POSITION)
    unit = viewer.scale() if where == "image" else viewer.seen().unit
    put(viewer, where, 5, 21, -33)
    put(viewer, where, 0, 14, 40)
    put(viewer, where, 0, -6, 0)  # the same tap once more
    seen = viewer.seen()
    for n, moved in ((5, (21, -33)), (0, (8, 40))):
        place = seen.image[n].place
        np.testing.assert_allclose(place, points[n] + np.array(moved) / unit, atol=PIXEL / unit)
        points[n] = place
        assert number(seen.rows[n][5]) == pytest.approx(bilinear(sampling, 0, place), abs=1e-4)
    assert_shows(seen, sampling, *POSITION, points=points, slack=READ_OFF)
    assert "✓" not in seen.line
    assert "where nothing was moved by hand" in seen.line
    viewer.menu("move taps")
    viewer.action("unmove").click()
    assert_shows(viewer.seen(), sampling, *POSITION)


def test_a_tap_may_be_dragged_off_the_map_where_it_reads_nothing(
    viewer: ViewerPage, sampling: Sampling
) -> None:
    viewer.press("Escape")
    viewer.hover(IMAGE, 4, 30)
    viewer.wait_at(4, 30)
    put(viewer, "kernel", 1, -30, 0)
    seen = viewer.seen()
    points = points_at(sampling, 4, 30)
    points[1, 0] -= 30 / seen.unit
    assert points[1, 0] < -1
    assert [number(seen.rows[1][i]) for i in (5, 8)] == [0, 0]
    np.testing.assert_allclose(seen.image[1].place, points[1], atol=PIXEL / seen.unit)
    points[1] = seen.image[1].place
    assert_shows(seen, sampling, 4, 30, points=points, slack=READ_OFF)


def test_a_press_on_a_tap_chooses_it_and_leaves_the_pin_where_it_is(
    viewer: ViewerPage, sampling: Sampling
) -> None:
    viewer.over("mask")
    for where, n in (("image", 8), ("kernel", 3)):
        viewer.page.mouse.click(*viewer.dot(where, n))
        assert viewer.control("tap").input_value() == str(n)
        assert viewer.legend().startswith(f"mask of tap {n}")
        assert_shows(viewer.seen(), sampling, *POSITION)


def turned(points: np.ndarray, base: np.ndarray, scale: float, rotate: float, shear: float):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Points sheared (x by y), then turned clockwise as seen on the screen, then scaled."""
    centre = base.mean(axis=0)
    y, x = (points - centre).T
    x = x + shear * y
    angle = np.radians(rotate)
    down, across = np.cos(angle) * y + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * y
    return centre + scale * np.stack((down, across), axis=-1)


def test_sliders_scale_turn_and_shear_the_kernel(viewer: ViewerPage, sampling: Sampling) -> None:
    points, base = points_at(sampling, *POSITION), base_at(sampling, *POSITION)
    viewer.menu("move taps")
    edit = {"scale": 1.0, "rotate": 0.0, "shear": 0.0}
    for name, value, text in (
        ("scale", 0.5, "0.50"),
        ("rotate", -40, "−40°"),
        ("shear", -1.25, "−1.25"),
        ("scale", 2, "2.00"),
    ):
        viewer.fill(name, value)
        edit[name] = value
        assert viewer.text(name) == text
        moved = turned(points, base, **edit)
        assert_shows(viewer.seen(), sampling, *POSITION, points=moved)
    viewer.action("unmove").click()
    assert_shows(viewer.seen(), sampling, *POSITION)
    assert [viewer.control(name).input_value() for name in edit] == ["1", "0", "0"]


def test_keys_move_the_lit_tap_by_quarters_of_a_pixel(
    viewer: ViewerPage, sampling: Sampling
) -> None:
    points = points_at(sampling, *POSITION)
    viewer.press("]", "]", "]", "Alt+ArrowDown", "Alt+ArrowDown", "Alt+ArrowLeft")
    points[2] += (0.5, -0.25)
    assert_shows(viewer.seen(), sampling, *POSITION, points=points)
    viewer.press("Alt+Shift+ArrowUp", "[", "Alt+ArrowRight")
    points[2] += (-2.5, 0)
    points[1] += (0, 0.25)
    seen = viewer.seen()
    assert_shows(seen, sampling, *POSITION, points=points)
    for n in (1, 2):
        expected = bilinear(sampling, 0, points[n])
        assert number(seen.rows[n][5]) == pytest.approx(expected, abs=1e-4)
    assert_lit_pixels_follow(viewer, points[1])
    viewer.press("Escape")
    assert_shows(viewer.seen(), sampling, *POSITION)


def assert_lit_pixels_follow(viewer: ViewerPage, point: np.ndarray) -> None:
    places = np.array([place for place, _, _ in viewer.pixels()])
    assert (np.abs(places - point) < 1.01).all()


def test_another_position_has_its_taps_where_the_operator_has_them(
    viewer: ViewerPage, sampling: Sampling
) -> None:
    put(viewer, "image", 5, 21, -33)
    viewer.press("ArrowDown")
    assert_shows(viewer.seen(), sampling, 21, 30)
    viewer.press("ArrowUp")
    assert_shows(viewer.seen(), sampling, *POSITION)


# --- a map that is coarser than the image --------------------------------------------------------


def test_a_coarse_map_lies_on_the_image_where_it_says(open_file: OpenFile, tmp_path: Path) -> None:
    coarse = coarse_sampling()
    coarse.show(photo_pixels(), y=2, x=3, pinned=True).save(tmp_path / "coarse.html")
    viewer = open_file(tmp_path / "coarse.html")
    assert_shows(viewer.seen(), coarse, 2, 3)
    points, stride = points_at(coarse, 2, 3), np.array([8, 8])
    put(viewer, "image", 6, 30, 50)
    seen = viewer.seen()
    moved = points[6] + np.array([30, 50]) / viewer.scale()
    np.testing.assert_allclose(seen.image[6].place, moved, atol=PIXEL / viewer.scale())
    on_map = (np.array(points) - 3.5) / stride
    on_map[6] = (seen.image[6].place - 3.5) / stride
    assert_shows(seen, coarse, 2, 3, points=on_map, slack=READ_OFF)
    viewer.row(6).hover()
    np.testing.assert_allclose([size for _, size, _ in viewer.pixels()], 8, atol=0.01)
    viewer.press("Escape")
    viewer.hover(IMAGE, 41, 9)
    viewer.wait_at(5, 1)
    assert_shows(viewer.seen(), coarse, 5, 1)


def coarse_sampling() -> Sampling:
    """A call of a network's layer on a map of 6 x 8 pixels, each 8 x 8 of the photo's."""
    generator = torch.Generator().manual_seed(0)
    feature = torch.rand(1, 4, 6, 8, generator=generator)
    offset = 0.7 * torch.randn(1, 18, 6, 8, generator=generator)
    weight = torch.randn(2, 4, 3, 3, generator=generator)
    return deform_conv2d_sampling(
        feature, offset, weight, padding=1, image_map=ImageMap.of_stride(8)
    )
