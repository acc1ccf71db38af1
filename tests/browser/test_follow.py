"""The taps of a position, followed down through the layers below, as drawn on the image."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator
from stack_page import assert_dots, followed, heat, heat_placing, lit, network, saved
from tabs import OpenFile
from viewer_page import IMAGE, OUTPUT, ViewerPage

from deformviz import Sampling
from deformviz.analysis import Traced, trace

pytestmark = pytest.mark.browser

LAYERS = network()
DOWN = [LAYERS[2], LAYERS[1], LAYERS[0]]
Opened = Callable[..., ViewerPage]


@pytest.fixture
def opened(open_file: OpenFile, tmp_path: Path) -> Opened:
    """The network's page; the viewer's state as keywords."""
    return lambda **state: open_file(saved(tmp_path / "stack.html", LAYERS, **state))


def option(page: ViewerPage, name: str) -> Locator:
    return page.root.locator(f'[data-follow="{name}"]')


def wait_said(page: ViewerPage, part: str) -> None:
    """Until the line on what is followed has a text."""
    page.until(
        "(root, part) => root.querySelector('[data-part=followed]').innerText.includes(part)", part
    )


def traced(layers: list[Sampling], y: int, x: int, *args: Any, **options: Any) -> Traced:
    """Python's trace, of the first group of each layer, as the image shows one at a time."""
    return trace(layers, y, x, *args, **{"group": 0} | options)


def test_taps_are_followed_wherever_the_pointer_goes(opened: Opened) -> None:
    """From the switch, which takes two more layers, to hovering, pinning and all the options."""
    page = opened(y=10, x=12)
    assert followed(page) == {}
    option(page, "on").check()
    expected = traced(DOWN, 10, 12, "interp")
    wait_said(page, f"{len(expected.weights)} points of 3 layers")
    assert "deep ▸ down ▸ stem" in page.text("followed")
    assert "leave places as they are" in page.text("followed")
    assert_dots(page, expected)

    page.hover(OUTPUT, 20, 25)
    page.wait_at(20, 25)
    assert_dots(page, traced(DOWN, 20, 25, "interp"))
    page.click(IMAGE, 1, 1)
    page.wait_at(0, 0)
    expected = traced(DOWN, 0, 0, "interp")
    assert_dots(page, expected)
    lost = 729 - len(expected.weights)
    assert lost > 0
    assert f", {lost} more end off the map" in page.text("followed")
    assert f"followed down: {len(expected.weights)} points" in page.text("said")

    option(page, "follow_mode").select_option("paper")
    assert_dots(page, traced(DOWN, 0, 0, "paper"))
    option(page, "follow_level").fill("2")
    assert_dots(page, traced(DOWN, 0, 0, "paper"), level=1)
    assert page.text("level-name").strip() == "2 of 3"
    option(page, "follow").fill("1")
    assert_dots(page, traced(DOWN[:2], 0, 0, "paper"))
    page.menu("which layers")
    page.root.locator('[data-part="follow-layers"]').get_by_label("down").uncheck()
    wait_said(page, "deep ▸ stem")
    assert_dots(page, traced([LAYERS[2], LAYERS[0]], 0, 0, "paper"))
    option(page, "all_groups").check()
    assert_dots(page, traced([LAYERS[2], LAYERS[0]], 0, 0, "paper", group=None))
    option(page, "on").uncheck()
    assert followed(page) == {}
    assert not page.root.locator('[data-part="followed"]').is_visible()


def test_a_tap_lights_up_what_it_leads_to(opened: Opened) -> None:
    page = opened(y=10, x=12, follow=1)
    wait_said(page, "points of 2 layers")
    page.row(5).hover()
    assert lit(page) == {5}
    page.leave()
    assert lit(page) == set()
    page.press("]", "]")
    assert lit(page) == {1}


@pytest.mark.parametrize("weight", ["taps", "mask", "kernel"])
def test_exact_is_a_heat_map_of_the_lowest_map(opened: Opened, weight: Any) -> None:
    page = opened(y=10, x=12, follow=2, follow_mode="exact", follow_weight=weight, tap=3)
    expected = traced(DOWN, 10, 12, "exact", follow=weight)
    wait_said(page, f"{len(expected.weights)} pixels of 3 layers")
    total = float(page.text("followed").split("add up to ")[1].split(",")[0])
    assert total == pytest.approx(float(expected.weights.sum()), rel=0.006)
    # Those below a two-thousandth of the largest are too pale to be drawn.
    part = (expected.weights / expected.weights.max()).sqrt().numpy()
    places = [tuple(place) for place in expected.levels[-1].points.int().tolist()]
    drawn = heat(page)
    assert {place for place, p in zip(places, part, strict=True) if p > 0.024} <= drawn
    assert drawn <= {place for place, p in zip(places, part, strict=True) if p > 0.02}
    corner, size = heat_placing(page)
    np.testing.assert_allclose(corner, [0, 0], atol=0.02)
    assert size == pytest.approx(1, abs=0.01)
    page.row(0).hover()  # one tap has less
    page.until("(root, n) => root.querySelectorAll('.dv-trail path').length > 0", 0)
    assert heat(page) < drawn


def test_a_dragged_tap_takes_its_points_along(opened: Opened) -> None:
    page = opened(y=10, x=12, follow=1, pinned=True)
    wait_said(page, "points of 2 layers")
    before = followed(page)
    page.press("]", *["Alt+ArrowRight"] * 8)  # two pixels of a map of stride 2
    wait_said(page, "where you put them")
    after = followed(page)
    shift = after[0].mean(axis=0) - before[0].mean(axis=0)
    assert shift[1] > 2
    for n in range(1, 9):
        np.testing.assert_allclose(after[n], before[n], atol=0.02)


def test_the_state_is_in_the_link_and_opens_again(opened: Opened) -> None:
    state = {
        "y": 10, "x": 12, "follow": 2, "follow_mode": "paper", "follow_weight": "kernel",
        "follow_level": 1, "all_groups": True, "leave_out": (0,),
    }  # fmt: skip
    page = opened(**state)
    wait_said(page, "points of 1 layer")
    assert_dots(page, traced([LAYERS[2]], 10, 12, "paper", follow="kernel", group=None))
    query = dict(page.root.evaluate("(root) => [...new URLSearchParams(root.viewer.query())]"))
    expected = {
        "y": "10", "x": "12", "layer": "2", "follow": "2", "follow_mode": "paper",
        "follow_weight": "kernel", "follow_level": "1", "all_groups": "on", "leave_out": "0",
    }  # fmt: skip
    assert query.items() >= expected.items()


def test_an_export_has_the_points(opened: Opened, tmp_path: Path) -> None:
    page = opened(y=10, x=12, follow=1)
    wait_said(page, "points of 2 layers")
    with page.page.expect_download() as download:
        page.menu("export")
        page.action("svg").click()
    download.value.save_as(tmp_path / "seen.svg")
    nodes = list(ET.parse(tmp_path / "seen.svg").iter("{http://www.w3.org/2000/svg}path"))
    dots = [node.get("d", "").count("M") for node in nodes if node.get("data-tap")]
    assert sum(dots) == sum(map(len, followed(page).values())) > 50
    drawn = [node for node in nodes if node.get("data-tap")]
    assert all(node.get("stroke-linecap") == "round" for node in drawn)
    assert all("stroke:rgb" in node.get("style", "").replace(" ", "") for node in drawn)


def test_too_many_points_say_what_to_do(open_file: OpenFile, tmp_path: Path) -> None:
    path = saved(tmp_path / "s.html", [LAYERS[0]] * 7, follow=6, y=20, x=30)
    page = open_file(path)
    wait_said(page, "take fewer layers, one group, or exact")
    option(page, "follow_mode").select_option("exact")
    wait_said(page, "pixels of 7 layers")
