"""What is hovered is shown at once: the points, the kernel, the formula, each as computed here.

The same is asked of the app's page and of the file that it saves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from explore_page import ExplorePage, query_of
from playwright.sync_api import BrowserContext
from seen import numbers
from shown import assert_shows
from tabs import OpenFile, explore_page, file_opener
from truth import base_at, photo_pixels, points_at, run
from viewer_page import IMAGE, OUTPUT, ViewerPage

from deformviz import Sampling
from deformviz.explore import OPERATORS, Settings
from deformviz.viewer import View, ViewState
from deformviz.web.explore_tab import FIRST

pytestmark = pytest.mark.browser

PLACES = [
    (IMAGE, (10.3, 12.4), (10, 12)),
    (IMAGE, (0.0, 0.0), (0, 0)),
    (IMAGE, (46.7, 62.8), (47, 63)),
    (OUTPUT, (40.2, 49.9), (40, 50)),
    (OUTPUT, (3.0, 60.1), (3, 60)),
]
"""Where the pointer goes, and which position that is."""


@dataclass(frozen=True)
class Case:
    """A viewer that shows an operator's run of the photo."""

    viewer: ViewerPage
    operator: str
    sampling: Sampling


@pytest.fixture(scope="module")
def uploaded(context: BrowserContext, server: str, photo: Path) -> Iterator[ExplorePage]:
    """The page with the photo on it."""
    with explore_page(context, server) as page:
        page.open()
        page.upload(photo)
        page.wait_for("| 48 x 64 |")
        yield page


@pytest.fixture(scope="module", params=list(OPERATORS))
def operator(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["page", "file"])
def case(
    request: pytest.FixtureRequest,
    operator: str,
    uploaded: ExplorePage,
    offline: BrowserContext,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Case]:
    sampling = run(replace(FIRST, operator=operator)).sampling
    if not uploaded.shown.startswith(operator):
        uploaded.operator(operator)
    uploaded.wait_loaded()
    with ExitStack() as stack:
        viewer: ViewerPage = uploaded
        if request.param == "file":
            open_file = stack.enter_context(file_opener(offline))
            viewer = saved(uploaded, open_file, tmp_path_factory.mktemp("saved"))
        yield Case(viewer, operator, sampling)
        choose(viewer, 0, None)


def saved(page: ExplorePage, open_file: OpenFile, folder: Path) -> ViewerPage:
    """Save the page's run as HTML, as a person does, and open the file."""
    page.menu("export")
    with page.page.expect_download() as download:
        page.page.get_by_role("link", name="HTML that keeps the hover").click()
    page.menu("export")
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return open_file(file)


def choose(viewer: ViewerPage, output: int | None, channel: int | None) -> None:
    """Choose the formula's channels; None for all of them."""
    for name, value in (("output_channel", output), ("input_channel", channel)):
        viewer.control(name).select_option("all" if value is None else str(value))


def test_the_points_and_the_terms_are_those_of_the_position_under_the_pointer(case: Case) -> None:
    for figure, place, position in PLACES:
        case.viewer.hover(figure, *place)
        case.viewer.wait_at(*position)
        assert_shows(case.viewer.seen(), case.sampling, *position)
        np.testing.assert_allclose(case.viewer.marker(), position, atol=0.05)


def test_the_last_position_stays_when_the_pointer_leaves(case: Case) -> None:
    viewer = case.viewer
    viewer.hover(IMAGE, 20, 31)
    viewer.wait_at(20, 31)
    caption = viewer.text("output-caption")
    viewer.leave()
    viewer.wait_other_text("output-caption", caption)
    assert_shows(viewer.seen(), case.sampling, 20, 31)


def test_the_formula_is_that_of_the_channels_that_are_chosen(case: Case) -> None:
    viewer, sampling = case.viewer, case.sampling
    assert sampling.input is not None
    last = len(sampling.input) - 1
    viewer.hover(IMAGE, 15, 40)
    viewer.wait_at(15, 40)
    for output, channel in ((1, None), (None, None), (2, last), (None, 0), (0, 0)):
        choose(viewer, output, channel)
        seen = viewer.seen()
        assert_shows(seen, sampling, 15, 40, output=output, channel=channel)
        assert ("mean of the channels" in seen.line) == (output is None)


def test_it_says_why_a_position_reads_as_it_does(case: Case) -> None:
    choose(case.viewer, 0, None)
    for y, x in ((9, 50), (0, 0), (30, 7)):
        case.viewer.hover(OUTPUT, y, x)
        case.viewer.wait_at(y, x)
        assert_why(case, case.viewer.seen().why, y, x)


def assert_why(case: Case, why: str, y: int, x: int) -> None:
    sampling = case.sampling
    if case.operator == "DRConv":
        assert sampling.guide is not None
        scores = sampling.guide[:, y, x].tolist()
        assert why.startswith(f"region {int(np.argmax(scores))}, as its guide score is the largest")
        assert numbers(why.split(" of ", 1)[1])[1::2] == pytest.approx(scores, abs=0.0006)
    elif case.operator == "CoordConv":
        down, across = 2 * y / 47 - 1, 2 * x / 63 - 1
        named = [part.split(" = ") for part in why.split(": ")[1].split(", ")]
        assert [name for name, _ in named] == ["x", "y", "radius"]
        expected = [across, down, np.hypot(down, across)]
        assert numbers(why) == pytest.approx(expected, abs=0.0006)
    elif case.operator == "Spatial shift":
        assert why == "channel group 0 of 4: channels 0 to 2 move together"
        choose(case.viewer, 4, None)
        assert case.viewer.seen().why == "channel group 1 of 4: channels 3 to 5 move together"
        choose(case.viewer, 0, None)
    elif case.operator in ("Active Shift", "CycleFC"):
        groups = sampling.groups
        assert why == f"{3 * groups} channels in {groups} groups, each with a shift of its own"
    else:
        assert why == ""


SETTINGS = [
    Settings(kernel_size=(3, 5), stride=2, field="random", strength=2.0, weights="mean"),
    Settings(operator="Deformable Conv v1", kernel_size=(2, 4), stride=3, dilation=2, field="wave"),
    Settings(operator="CycleFC", kernel_size=(1, 5), stride=2),
    Settings(operator="DRConv", kernel_size=(5, 3), generated=True, regions=3, dilation=3),
    Settings(operator="CoordConv", kernel_size=(1, 1), stride=4, radius=False),
]
"""Kernels that are not square, of an even size, with strides."""


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.operator)
def test_a_position_covers_the_ground_around_its_kernels_centre(
    explore: ExplorePage, settings: Settings
) -> None:
    sampling = run(settings, "cat").sampling
    explore.open(**query_of(settings, "cat"))
    assert sampling.input is not None
    for y, x in ((0.2, 0.1), (17.2, 33.8), (25.9, 8.1), (42.3, 63.2)):
        explore.hover(IMAGE, y, x)
        position = nearest_position(sampling, y, x)
        explore.wait_at(*position)
        assert_shows(explore.seen(), sampling, *position)


def nearest_position(sampling: Sampling, y: float, x: float) -> tuple[int, int]:
    """The output position whose kernel's centre is nearest to a place of the image."""
    k = sampling.kernel
    found = []
    for place, s, pad, size, d, n in zip(
        (y, x), k.stride, k.padding, k.size, k.dilation, sampling.output_size, strict=True
    ):
        centres = np.arange(n) * s - pad + d * (size - 1) / 2
        found.append(int(np.abs(centres - place).argmin()))
    return found[0], found[1]


def test_each_offset_group_has_dots_of_its_own(explore: ExplorePage) -> None:
    settings = Settings(offset_groups=3, field="random", strength=2.0)
    sampling = run(settings, "cat").sampling
    explore.open(**query_of(settings, "cat"), y=20, x=30)
    for group, output in ((0, 0), (0, 2), (2, 2), (1, None)):
        explore.fill("group", group)
        choose(explore, output, None)
        assert_shows(explore.seen(), sampling, 20, 30, output=output, group=group)


def test_without_its_output_a_record_still_tells_where_it_reads(
    open_file: OpenFile, tmp_path: Path
) -> None:
    mask = torch.full((1, 9, 48, 64), 0.125)  # as a softmax leaves it
    sampling = replace(run(Settings(field="random", strength=2.0)).sampling, mask=mask, output=None)
    View(sampling, photo_pixels(), ViewState(y=20, x=30)).save(tmp_path / "view.html")
    viewer = open_file(tmp_path / "view.html")
    seen = viewer.seen()
    assert "which this record does not hold" in seen.line
    assert min(dot.size for dot in seen.image.values()) > 8  # whole dots: no mask is larger
    base, points = base_at(sampling, 20, 30), points_at(sampling, 20, 30)
    for n, (_, place, moved, point, _, x, m, w, product) in seen.rows.items():
        assert numbers(place) == list(base[n])
        assert numbers(moved) == pytest.approx(list(points[n] - base[n]), abs=0.0051)
        assert numbers(point) == pytest.approx(list(points[n]), abs=0.0051)
        assert (x, m, w, product) == ("", "0.125", "", "")
