"""A position is pinned by a click or the keyboard, and stays on its place whatever changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from explore_page import ExplorePage, query_of
from shown import assert_shows
from tabs import OpenRun
from truth import run
from viewer_page import IMAGE, OUTPUT, ViewerPage

from deformviz.explore import Settings

pytestmark = pytest.mark.browser

SETTINGS = Settings(dilation=2, mask_strength=0.5, weights="Gaussian", field="wave", strength=3.0)


@pytest.fixture
def viewer(open_run: OpenRun) -> Iterator[ViewerPage]:
    return open_run(run(SETTINGS), y=20, x=30)


def is_pinned(viewer: ViewerPage) -> bool:
    """What the button says, to eyes and to a screen reader."""
    button = viewer.action("pin")
    pressed = button.get_attribute("aria-pressed") == "true"
    assert button.inner_text() == ("pinned" if pressed else "pin")
    return pressed


@pytest.mark.parametrize("figure", [IMAGE, OUTPUT])
def test_a_click_pins_and_escape_frees(viewer: ViewerPage, figure: str) -> None:
    sampling = run(SETTINGS).sampling
    assert not is_pinned(viewer)
    viewer.click(figure, 10.2, 44.1)
    viewer.wait_at(10, 44)
    assert is_pinned(viewer)
    assert_shows(viewer.seen(), sampling, 10, 44)
    viewer.hover(OUTPUT, 30, 50)
    viewer.hover(IMAGE, 31, 51)
    viewer.wait_text("output-caption", "pixel 31, 51")  # it has been heard
    assert_shows(viewer.seen(), sampling, 10, 44)
    viewer.click(figure, 33, 7)
    viewer.wait_at(33, 7)
    assert is_pinned(viewer)
    viewer.press("Escape")
    assert not is_pinned(viewer)
    viewer.hover(OUTPUT, 5, 6)
    viewer.wait_at(5, 6)
    assert_shows(viewer.seen(), sampling, 5, 6)


def test_the_pin_button_holds_the_position_and_lets_it_go(viewer: ViewerPage) -> None:
    viewer.hover(IMAGE, 12, 13)
    viewer.wait_at(12, 13)
    viewer.leave()
    for held in (True, False):
        viewer.action("pin").click()
        assert is_pinned(viewer) == held
        assert viewer.seen().position == (12, 13)


@pytest.mark.parametrize("figure", [IMAGE, OUTPUT])
def test_keys_move_the_pin_and_stop_at_the_border(viewer: ViewerPage, figure: str) -> None:
    viewer.press("Enter", figure=figure)
    assert is_pinned(viewer)
    assert viewer.seen().position == (20, 30)
    for keys, position in (
        (["ArrowUp"], (19, 30)),
        (["ArrowLeft", "ArrowLeft"], (19, 28)),
        (["ArrowDown", "ArrowRight"], (20, 29)),
        (["Shift+ArrowDown"], (30, 29)),
        (["Shift+ArrowRight"], (30, 39)),
        (["Shift+ArrowUp", "Shift+ArrowLeft"], (20, 29)),
        (3 * ["Shift+ArrowUp"] + 4 * ["Shift+ArrowLeft"], (0, 0)),
        (6 * ["Shift+ArrowDown"] + 8 * ["Shift+ArrowRight"], (47, 63)),
    ):
        viewer.press(*keys, figure=figure)
        viewer.wait_at(*position)
    assert_shows(viewer.seen(), run(SETTINGS).sampling, 47, 63)
    np.testing.assert_allclose(viewer.marker(), (47, 63), atol=0.05)


@pytest.mark.parametrize("figure", [IMAGE, OUTPUT])
def test_after_a_click_the_keys_are_its_own(viewer: ViewerPage, figure: str) -> None:
    viewer.click(figure, 10, 44)
    viewer.wait_at(10, 44)
    viewer.page.keyboard.press("ArrowRight")
    viewer.wait_at(10, 45)


def test_number_boxes_move_the_pin_and_take_the_nearest_that_there_is(viewer: ViewerPage) -> None:
    viewer.fill("y", 5)
    viewer.wait_at(5, 30)
    assert is_pinned(viewer)
    viewer.fill("x", 61)
    viewer.wait_at(5, 61)
    assert_shows(viewer.seen(), run(SETTINGS).sampling, 5, 61)
    viewer.fill("y", 4000)
    viewer.wait_at(47, 61)
    viewer.fill("x", -3)
    viewer.wait_at(47, 0)
    viewer.fill("x", "")  # half way through typing
    viewer.fill("x", 7)
    viewer.wait_at(47, 7)


def test_a_screen_reader_hears_where_the_pin_is(viewer: ViewerPage) -> None:
    viewer.press("Enter", "ArrowUp")
    seen = viewer.seen()
    viewer.wait_text("said", f"pinned y 19, x 30: output {seen.total:.4f}, 9 terms")
    viewer.press("Escape")
    viewer.wait_text("said", "position free")


def assert_whole(zoom: np.ndarray, rows: int, columns: int) -> None:
    """The image is all in view, and as large as its frame lets it be."""
    room = np.array([-0.5, -0.5, -rows + 0.5, -columns + 0.5]) - zoom * (1, 1, -1, -1)
    assert room.min() == pytest.approx(0, abs=0.01)
    assert room[:2] == pytest.approx(room[2:], abs=0.01)  # in the middle
    assert min(room.reshape(2, 2).sum(axis=0)) == pytest.approx(0, abs=0.01)


def test_keys_and_the_wheel_zoom_and_the_points_stay_on_their_places(viewer: ViewerPage) -> None:
    sampling, whole = run(SETTINGS).sampling, viewer.in_view()
    assert_whole(whole, 48, 64)
    viewer.press("+", "+")
    near = viewer.in_view()
    assert near[2] - near[0] < 0.7 * 48
    assert_shows(viewer.seen(), sampling, 20, 30)
    viewer.press("-")
    assert viewer.in_view()[2] - viewer.in_view()[0] > 1.2 * (near[2] - near[0])
    viewer.press("0")
    np.testing.assert_allclose(viewer.in_view(), whole, atol=0.01)
    viewer.hover(IMAGE, 40, 10)
    width = viewer.picture()["width"]
    viewer.page.mouse.wheel(0, -400)
    viewer.wait_wider(IMAGE, 1.1 * width)
    assert_shows(viewer.seen(), sampling, 40, 10)
    viewer.hover(IMAGE, 38, 12)
    viewer.wait_at(38, 12)
    assert_shows(viewer.seen(), sampling, 38, 12)


PINCH = """(root) => {
  const frame = root.querySelector('[data-figure="image"]').parentNode;
  const { left, top, width, height } = frame.getBoundingClientRect();
  const at = (part) => ({ clientX: left + part * width, clientY: top + height / 2 });
  const tell = (type, pointerId, part) => frame.dispatchEvent(new PointerEvent(type, {
    pointerId, pointerType: 'touch', bubbles: true, button: 0, buttons: 1, ...at(part),
  }));
  tell('pointerdown', 7, 0.5);
  tell('pointerdown', 8, 0.6);
  tell('pointermove', 8, 0.65);
  tell('pointermove', 8, 0.7);
  tell('pointerup', 8, 0.7);
  tell('pointerup', 7, 0.5);
}"""
"""Two fingers: one holds still, the other goes to twice the distance from it."""


def test_two_fingers_enlarge_and_pin_nothing(viewer: ViewerPage) -> None:
    before = viewer.in_view()
    viewer.root.evaluate(PINCH)
    after = viewer.in_view()
    assert after[3] - after[1] == pytest.approx((before[3] - before[1]) / 2, rel=1e-3)
    assert after[2] - after[0] == pytest.approx((before[2] - before[0]) / 2, rel=1e-3)
    still = before[1] + 0.5 * (before[3] - before[1])  # stays under its finger
    assert after[1] + 0.5 * (after[3] - after[1]) == pytest.approx(still, abs=0.05)
    assert not is_pinned(viewer)


def test_pin_and_zoom_survive_another_operator_kernel_and_strength(explore: ExplorePage) -> None:
    settings = replace(SETTINGS, field="shift", strength=8.0)
    explore.open(**query_of(settings, "cat"))
    explore.click(IMAGE, 12, 40)
    explore.wait_at(12, 40)
    explore.press("+", "+", "+")
    zoom = explore.in_view()
    assert zoom[2] - zoom[0] < 0.55 * 43
    explore.operator("Deformable Conv v1")
    settings = replace(settings, operator="Deformable Conv v1")
    assert_kept(explore, settings, zoom)
    explore.kernel(5)
    settings = replace(settings, kernel_size=(5, 5))
    assert_kept(explore, settings, zoom)
    with explore.redrawn():
        explore.slider("strength, pixels", 4)
    assert_kept(explore, replace(settings, strength=4.0), zoom)


def assert_kept(page: ExplorePage, settings: Settings, zoom: np.ndarray) -> None:
    assert is_pinned(page)
    assert_shows(page.seen(), run(settings, "cat").sampling, 12, 40)
    np.testing.assert_allclose(page.in_view(), zoom, atol=0.01)


def test_another_stride_keeps_the_pin_on_its_place_of_the_image(explore: ExplorePage) -> None:
    settings = replace(SETTINGS, operator="Convolution")
    explore.open(**query_of(settings, "cat"), y=21, x=33, pinned="on")
    explore.more()
    with explore.redrawn():
        explore.slider("stride", 2)
    halved = run(replace(settings, stride=2), "cat").sampling
    place = np.array([21, 33])
    y, x = explore.seen().position
    assert np.abs(halved.base_at(y, x).mean(dim=(0, 1)).numpy() - place).max() <= 1
    assert_shows(explore.seen(), halved, y, x)
    with explore.redrawn():
        explore.slider("stride", 1)
    assert np.abs(np.array(explore.seen().position) - place).max() <= 1
    assert is_pinned(explore)


def test_another_image_is_seen_as_a_whole(explore: ExplorePage) -> None:
    settings = replace(SETTINGS, operator="Convolution")
    explore.open(**query_of(settings, "grid"), y=60, x=60, pinned="on")
    explore.press("+", "+", "+")
    with explore.redrawn():
        explore.page.locator('#example label[data-testid="cat-radio-label"]').click()
    assert_whole(explore.in_view(), 43, 64)
    assert_shows(explore.seen(), run(settings, "cat").sampling, 42, 60)
