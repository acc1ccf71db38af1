"""Layers over the image: drawn in the browser, in the colours that Python's figures have.

What an overlay should be is painted here by `deformviz.figures.colors`. The browser may round a
colour the other way: by 1 of 255.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import numpy as np
import pytest
from explore_page import ExplorePage, query_of
from seen import numbers
from tabs import OpenRun
from truth import points_at, run
from viewer_page import IMAGE, ViewerPage

from deformviz import Sampling
from deformviz.explore import Settings
from deformviz.figures.canvas import input_box, output_box
from deformviz.figures.colors import (
    FieldPalette,
    color_table,
    direction_colors,
    index_rgb,
    lookup,
    robust_top,
    wheel_picture,
)

pytestmark = pytest.mark.browser

DEFORMABLE = Settings(
    kernel_size=(3, 5), dilation=2, stride=2, field="random", strength=2.0, mask="random",
    offset_groups=3, weights="Gaussian",
)  # fmt: skip
REGIONS = Settings(operator="DRConv", generated=True, regions=5)
COORDINATES = Settings(operator="CoordConv", coordinate_weight=1.0)


def assert_painted(
    viewer: ViewerPage,
    expected: np.ndarray,
    box: tuple[float, float, float, float],
    *rounded: np.ndarray,
) -> None:
    """The overlay has these colours, [h, w, 3 or 4], and lies at (top, left, height, width).

    A canvas keeps colours multiplied by their opacity, so that is how they are compared.

    Args:
        rounded: the colours of values a rounding away, which may be the next step of a scale.
    """
    shown = viewer.canvas(IMAGE)
    assert shown is not None
    assert shown.shape[:2] == expected.shape[:2]
    if expected.shape[-1] == 3:
        assert (shown[..., 3] == 255).all()
        gaps = [np.abs(shown[..., :3].astype(int) - each) for each in (expected, *rounded)]
        gap = np.min([each.max(axis=-1) for each in gaps], axis=0)
    else:
        gap = np.abs(seen_through(shown) - seen_through(expected))
    assert gap.max() <= 1
    assert np.ptp(expected, axis=(0, 1)).max() > 40  # and not a plain surface
    top, left, height, width = box
    corners = (top, left, top + height, left + width)
    np.testing.assert_allclose(viewer.canvas_box(IMAGE), corners, atol=0.01)


def seen_through(rgba: np.ndarray) -> np.ndarray:
    """Colours multiplied by their opacity, and the opacity: [..., 4]."""
    alpha = rgba[..., 3:].astype(float)
    return np.concatenate((rgba[..., :3] * (alpha / 255), alpha), axis=-1).round()


def assert_scale(viewer: ViewerPage, title: str, low: float, high: float) -> None:
    """The legend's title, and its numbers to three digits."""
    first, *labels = [line for line in viewer.legend().splitlines() if line.strip()]
    assert first == title
    shown = [value for label in labels for value in numbers(label)]
    assert shown == pytest.approx([low, (low + high) / 2, high], rel=0.005, abs=1e-6)


def length(sampling: Sampling, group: int, tap: int) -> np.ndarray:
    return np.hypot(*sampling.offset[group, tap].numpy())


@contextmanager
def without_the_server(page: ViewerPage) -> Iterator[None]:
    """Nothing in between asks anybody for anything."""
    before = len(page.requests)
    yield
    assert page.requests[before:] == []


def test_the_field_its_length_and_the_mask(explore: ExplorePage) -> None:
    sampling = run(DEFORMABLE, "cat").sampling
    explore.open(**query_of(DEFORMABLE, "cat"))
    box = output_box(sampling)
    with without_the_server(explore):
        for group, tap in ((0, 0), (2, 9)):
            top = robust_top(length(sampling, group, tap))
            explore.over("magnitude")
            explore.fill("group", group)
            explore.fill("tap", tap)
            assert_painted(explore, lookup(length(sampling, group, tap), "Cividis", 0, top), box)
            assert_scale(explore, f"|Δ| in pixels of tap {tap}", 0, top)
            explore.over("mask")
            assert sampling.mask is not None
            mask = sampling.mask[group, tap].numpy()
            assert_painted(explore, lookup(mask, "Cividis", 0, 1), box)
            assert_scale(explore, f"mask of tap {tap}", 0, 1)
            explore.over("field colours")
            offset = sampling.offset[group, tap].numpy()
            for palette in get_args(FieldPalette):
                explore.select("palette", palette)
                assert_painted(explore, direction_colors(offset, top, palette), box)
                assert_wheel(explore, palette, f"Δ of tap {tap}", top)
        explore.over("none")
        assert explore.canvas(IMAGE) is None
        assert not explore.clip(IMAGE).locator(".dv-legend:not(.dv-highlight-legend)").is_visible()


def assert_wheel(viewer: ViewerPage, palette: FieldPalette, title: str, top: float) -> None:
    """The legend is a disc in the colours of the directions, and says what its rim stands for."""
    found = re.fullmatch(rf"{re.escape(title)}, rim = ([\d.]+) px", viewer.legend().strip())
    assert found is not None
    assert float(found[1]) == pytest.approx(top, rel=0.005)
    wheel = viewer.legend_canvas()
    expected = wheel_picture(palette, len(wheel))
    assert np.abs(seen_through(wheel) - seen_through(expected)).max() <= 1


def test_regions_and_their_shares(explore: ExplorePage) -> None:
    sampling = run(REGIONS, "cat").sampling
    explore.open(**query_of(REGIONS, "cat"))
    assert sampling.region is not None
    region = sampling.region.numpy()
    with without_the_server(explore):
        explore.over("regions")
        assert_painted(explore, index_rgb(5)[region], output_box(sampling))
        title, *swatches = [line for line in explore.legend().splitlines() if line]
        share = np.bincount(region.reshape(-1), minlength=5) / region.size
        assert title == "region"
        assert [numbers(line)[0] for line in swatches] == list(range(5))
        assert [numbers(line)[1] for line in swatches] == pytest.approx(100 * share, abs=0.51)
        colors = (
            explore.clip(IMAGE)
            .locator(".dv-legend:not(.dv-highlight-legend) i")
            .evaluate_all("(nodes) => nodes.map((node) => getComputedStyle(node).backgroundColor)")
        )
        assert [[int(v) for v in numbers(color)] for color in colors] == index_rgb(5).tolist()


@pytest.mark.parametrize("settings", [DEFORMABLE, REGIONS], ids=["of one sign", "of both signs"])
def test_the_output_channel_by_channel(explore: ExplorePage, settings: Settings) -> None:
    sampling = run(settings, "cat").sampling
    explore.open(**query_of(settings, "cat"))
    assert sampling.output is not None
    signed = settings is REGIONS
    with without_the_server(explore):
        explore.over("output")
        for option, channel in (("red", 0), ("blue", 2), ("mean", None)):
            explore.select("output_channel", option)
            values = sampling.output.mean(dim=0) if channel is None else sampling.output[channel]
            top = robust_top(values.abs()) if signed else 1.0
            low, scale = (-top, "PuOr") if signed else (0.0, "Greys_r")
            assert (values.min() < -0.01) == signed
            # Two processes round what they add up differently, by less than this.
            exact, less, more = (
                lookup(values.numpy() + step * 1e-6 * top, scale, low, top) for step in (0, -1, 1)
            )
            assert_painted(explore, exact, output_box(sampling), less, more)
            title = "mean output" if channel is None else f"output {option}"
            assert_scale(explore, title, low, top)


def test_the_coordinate_channels(explore: ExplorePage) -> None:
    sampling = run(COORDINATES, "cat").sampling
    explore.open(**query_of(COORDINATES, "cat"))
    across, down = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 43))
    assert sampling.input is not None
    with without_the_server(explore):
        for i, (name, title, values, scale, low, high) in enumerate((
            ("x coordinate", "x channel", across, "PuOr", -1, 1),
            ("y coordinate", "y channel", down, "PuOr", -1, 1),
            ("radius", "radius channel", np.hypot(down, across), "Cividis", 0, np.sqrt(2)),
        )):  # fmt: skip
            explore.over(name)
            held = sampling.input[3 + i].numpy()  # a value between two colours is rounded as it is
            np.testing.assert_allclose(held, values, atol=1e-6)
            assert_painted(explore, lookup(held, scale, low, high), input_box(sampling))
            assert_scale(explore, title, low, high)


def test_only_what_a_run_has_is_offered(explore: ExplorePage) -> None:
    offered = {
        "Convolution": ["none", "output"],
        "Deformable Conv v1": ["none", "field colours", "magnitude", "output"],
        "DRConv": ["none", "regions", "output"],
        "CycleFC": ["none", "field colours", "magnitude", "output"],
    }
    explore.open(**query_of(Settings(mask="radial"), "cat"))
    for operator, names in offered.items():
        explore.operator(operator)
        values = explore.root.locator('[data-part="over"] input').evaluate_all(
            "(radios) => radios.map((radio) => radio.value)"
        )
        assert values == names
        assert explore.control("arrowsOn").is_enabled() == ("magnitude" in names)


# --- points and arrows ---------------------------------------------------------------------------


def test_points_can_be_put_away(explore: ExplorePage) -> None:
    explore.open(**query_of(DEFORMABLE, "cat"), y=5, x=20)
    expected = points_at(run(DEFORMABLE, "cat").sampling, 5, 20)[:15]
    with without_the_server(explore):
        explore.control("points").uncheck()
        seen = explore.seen()
        assert (len(seen.image), len(seen.kernel), len(seen.rows)) == (0, 45, 15)
        explore.control("points").check()
        np.testing.assert_allclose(explore.seen().points(), expected, atol=0.01)


@pytest.mark.parametrize("across", [4, 10, 30])
def test_arrows_lead_from_the_regular_grid_to_where_it_is_read(
    open_run: OpenRun, across: int
) -> None:
    sampling = run(DEFORMABLE).sampling
    viewer = open_run(run(DEFORMABLE), tap=7, group=2)
    with without_the_server(viewer):
        viewer.control("arrowsOn").check()
        viewer.fill("arrows", across)
        assert_arrows(viewer, sampling, across)
        viewer.fill("morph", 0.5)
        assert_arrows(viewer, sampling, across, part=0.5)
        viewer.control("arrowsOn").uncheck()
        assert len(drawn_arrows(viewer)[0]) == 0


_ARROW_PATHS = """(paths) => paths.map((path) => (
  [path.getAttribute('d'), getComputedStyle(path).stroke]))"""


def drawn_arrows(viewer: ViewerPage) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends on the image [n, 4], (y, x, y, x), and colours [n, 3]."""
    paths = viewer.clip(IMAGE).locator(".dv-arrow").evaluate_all(_ARROW_PATHS)
    ends, colors = [], []
    for d, stroke in paths:
        # Each arrow is a line and the two sides of its head, which end where the line does.
        lines = [numbers(line.replace(" ", ", ")) for line in re.findall(r"M[^M]+", d)]
        for (x0, y0, x1, y1), one, other in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
            assert one[2:] == other[2:] == [x1, y1]
            ends.append([y0, x0, y1, x1])
            colors.append([int(value) for value in numbers(stroke)])
    return viewer.from_clip(np.array(ends).reshape(-1, 2)).reshape(-1, 4), np.array(colors)


def assert_arrows(viewer: ViewerPage, sampling: Sampling, across: int, part: float = 1.0) -> None:
    """So many arrows across the longer side, from the base points of a lattice to their points."""
    h, w = sampling.output_size
    step = round(max(h, w) / across)
    rows, columns = (np.arange(min(step, n) // 2, n, step) for n in (h, w))
    base = sampling.base()[2, 7][:, rows][:, :, columns].double().numpy().reshape(2, -1)
    offset = sampling.offset[2, 7][:, rows][:, :, columns].double().numpy().reshape(2, -1)
    drawn = np.hypot(*(part * offset)) * viewer.scale() > 0.5  # of half a screen pixel at least
    assert drawn.sum() > 0.8 * drawn.size
    assert max(len(rows), len(columns)) == pytest.approx(across, rel=0.15)
    expected = np.concatenate((base, base + part * offset)).T[drawn]  # [n, 4]
    shown, colors = drawn_arrows(viewer)
    assert len(shown) == len(expected)
    order, expected_order = np.lexsort(shown[:, :2].T.round(1)), np.lexsort(expected[:, :2].T)
    np.testing.assert_allclose(shown[order], expected[expected_order], atol=0.1 / viewer.scale())
    size = np.hypot(*offset)
    steps = (np.clip(size / robust_top(size), 0, 1) * 15).round() / 15
    plasma = color_table("Plasma")[(steps * 255).round().astype(int)][drawn]
    np.testing.assert_array_equal(colors[order], plasma[expected_order])
