"""Who reads a pixel: hovering the input shades those positions on the output, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from explore_page import ExplorePage, query_of
from tabs import OpenFile, OpenRun
from truth import photo_pixels, run
from viewer_page import IMAGE, OUTPUT, ViewerPage

from deformviz import Kernel, Sampling
from deformviz.explore import Settings
from deformviz.figures.colors import index_rgb
from deformviz.viewer import View
from deformviz.viewer.wire import to_bytes

pytestmark = pytest.mark.browser

SETTINGS = [
    Settings(field="random", strength=3.0, dilation=2),
    Settings(operator="Deformable Conv v1", kernel_size=(1, 1), stride=3, field="zero"),
    Settings(operator="CycleFC", kernel_size=(1, 5), stride=2),
    Settings(offset_groups=3, kernel_size=(3, 5), field="wave", strength=4.0),
]


def shares(sampling: Sampling, pixel: tuple[int, int]) -> np.ndarray:
    """The weight of a pixel in each point, by brute force: [G * K, h, w]."""
    points = sampling.base().double() + sampling.offset.double()  # as exact as the browser's
    away = np.abs(points.numpy() - np.array(pixel)[:, None, None])
    return np.asarray(np.clip(1 - away, 0, None).prod(axis=2).reshape(-1, *sampling.output_size))


def assert_shaded(viewer: ViewerPage, sampling: Sampling, pixel: tuple[int, int]) -> None:
    weight = shares(sampling, pixel)
    readers = weight.max(axis=0) > 0
    shade = viewer.canvas(OUTPUT, "shade")
    assert shade is not None
    assert shade.shape[:2] == sampling.output_size
    np.testing.assert_array_equal(shade[..., 3] > 0, readers)
    strongest = 110 + 145 * weight.max(axis=0)[readers]
    np.testing.assert_allclose(shade[..., 3][readers], strongest, atol=1)
    count = int(readers.sum())
    verb = "position reads" if count == 1 else "positions read"
    assert viewer.text("output-caption") == f"{count} {verb} pixel {pixel[0]}, {pixel[1]}"
    assert_tap_colors(shade, sampling, weight)


def assert_tap_colors(shade: np.ndarray, sampling: Sampling, weight: np.ndarray) -> None:
    """A position that reads the pixel by one tap alone has that tap's colour."""
    by_group = sampling.taps == 1
    colors = index_rgb(sampling.groups if by_group else sampling.taps)
    alone = (weight > 0).sum(axis=0) == 1
    tap = weight.argmax(axis=0) % len(colors)
    # A canvas keeps colours multiplied by their opacity, and rounds them twice.
    np.testing.assert_allclose(shade[alone][:, :3], colors[tap[alone]], atol=2)


def test_a_file_of_many_numbers_has_the_same_readers(
    open_run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deformviz.viewer.page._PIECE", 1024)  # so that they come in many pieces
    found = run(SETTINGS[-1])
    viewer = open_run(found)
    assert viewer.root.evaluate("(root) => document.getElementById('numbers+9') !== null")
    viewer.hover(IMAGE, 20, 30)
    viewer.wait_text("output-caption", "pixel 20, 30")
    assert_shaded(viewer, found.sampling, (20, 30))


@pytest.mark.parametrize("settings", SETTINGS, ids=["random", "one in nine", "shift", "groups"])
def test_exactly_the_readers_of_a_pixel_are_shaded(open_run: OpenRun, settings: Settings) -> None:
    sampling = run(settings).sampling
    viewer = open_run(run(settings))
    counts = set()
    for pixel in ((0, 0), (20, 30), (21, 31), (33, 7), (47, 63)):
        viewer.hover(IMAGE, *pixel)
        viewer.wait_text("output-caption", f"pixel {pixel[0]}, {pixel[1]}")
        assert_shaded(viewer, sampling, pixel)
        counts.add(int((shares(sampling, pixel).max(axis=0) > 0).sum()))
    assert len(counts) > 1  # it is not the same everywhere
    (h, w), box = sampling.output_size, viewer.canvas_box(OUTPUT, "shade")
    np.testing.assert_allclose(box, (-0.5, -0.5, h - 0.5, w - 0.5), atol=0.01)
    caption = viewer.text("output-caption")
    viewer.leave()
    viewer.wait_other_text("output-caption", caption)
    shade = viewer.canvas(OUTPUT, "shade")
    assert shade is not None
    assert not shade[..., 3].any()


def test_base_points_of_ones_own_and_rounded_offsets_have_their_readers(
    open_file: OpenFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(to_bytes.__kwdefaults__, "half_above", 0)
    generator = torch.Generator().manual_seed(0)
    base, offset = (16 * torch.rand(2, 5, 2, 7, 9, generator=generator) for _ in range(2))
    input = torch.rand(4, 16, 20, generator=generator)
    sampling = Sampling(
        "attention", (16, 20), (7, 9), Kernel.of(1), offset - 8, reference=base, input=input,
        output=input[:, :7, :9],
    )  # fmt: skip
    View(sampling).save(tmp_path / "view.html")
    viewer = open_file(tmp_path / "view.html")
    rounded = replace(sampling, offset=sampling.offset.half())
    counts = set()
    for pixel in ((0, 0), (3, 11), (15, 19), (8, 6)):
        viewer.hover(IMAGE, *pixel)
        viewer.wait_text("output-caption", f"pixel {pixel[0]}, {pixel[1]}")
        assert_shaded(viewer, rounded, pixel)
        counts.add(int((shares(rounded, pixel).max(axis=0) > 0).sum()))
    assert len(counts) > 1


def test_a_pinned_position_stays_while_readers_are_looked_up(explore: ExplorePage) -> None:
    settings = Settings(field="random", strength=3.0)
    sampling = run(settings, "cat").sampling
    explore.open(**query_of(settings, "cat"), y=20, x=30, pinned="on")
    for pixel in ((20, 30), (5, 50)):
        explore.hover(IMAGE, *pixel)
        explore.wait_text("output-caption", f"pixel {pixel[0]}, {pixel[1]}")
        assert_shaded(explore, sampling, pixel)
        assert explore.seen().position == (20, 30)


def test_the_photo_has_no_symmetry_that_would_hide_a_swapped_axis() -> None:
    pixels = photo_pixels()
    for other in (pixels[::-1], pixels[:, ::-1], pixels[::-1, ::-1]):
        assert np.abs(pixels.astype(int) - other).mean() > 10
