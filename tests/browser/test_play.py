"""What moves by itself: the morph from the regular grid to the deformed one, and the sweep.

The page's clock is the test's: a second passes when the test says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext
from shown import assert_shows
from tabs import OpenRun, offline_context
from truth import base_at, points_at, run
from viewer_page import IMAGE, ViewerPage

from deformviz import Sampling
from deformviz.explore import Settings

pytestmark = pytest.mark.browser

SETTINGS = Settings(dilation=3, field="saddle", strength=9.0, mask="one", weights="Gaussian")
POSITION = (12, 50)
MORPH, SWEEP = 1.6, 24.0
"""Seconds from the regular grid to the deformed one; of a round of the sweep."""
FRAME = 0.05
"""Seconds that a drawing may lag behind the clock: some frames of a sixtieth."""

Pass = Callable[[float], None]


@pytest.fixture
def offline(browser: Browser) -> Iterator[BrowserContext]:
    """A browser for each test: a clock is that of all its pages, for good."""
    with offline_context(browser) as context:
        yield context


@pytest.fixture
def sampling() -> Sampling:
    return run(SETTINGS).sampling


@pytest.fixture
def viewer(open_run: OpenRun) -> ViewerPage:
    y, x = POSITION
    return open_run(run(SETTINGS), y=y, x=x, pinned=True)


@pytest.fixture
def time_passes(viewer: ViewerPage) -> Pass:
    """Stops the page's clock; gives what lets some seconds pass."""
    viewer.page.clock.install()
    viewer.page.clock.pause_at(viewer.page.evaluate("Date.now()") + 1000)
    return lambda seconds: viewer.page.clock.run_for(round(1000 * seconds))


def morphed(sampling: Sampling, part: float) -> np.ndarray:
    """The points of `POSITION` part of the way from the regular grid."""
    base = base_at(sampling, *POSITION)
    return np.asarray(base + part * (points_at(sampling, *POSITION) - base))


def shown_part(viewer: ViewerPage) -> float:
    """How far the slider is."""
    return float(viewer.control("morph").input_value())


# --- morph ---------------------------------------------------------------------------------------


def test_the_slider_puts_the_points_part_of_the_way(viewer: ViewerPage, sampling: Sampling) -> None:
    for part in (0.5, 0.0, 0.25):
        viewer.fill("morph", part)
        assert_shows(viewer.seen(), sampling, *POSITION, points=morphed(sampling, part))
    viewer.fill("morph", 1)
    assert_shows(viewer.seen(), sampling, *POSITION)


def test_play_goes_from_regular_to_deformed_and_can_be_paused(
    viewer: ViewerPage, sampling: Sampling, time_passes: Pass
) -> None:
    play = viewer.action("morph")
    assert play.get_attribute("aria-label") == "play from regular to deformed"
    play.click()
    assert play.get_attribute("aria-label") == "pause"
    time_passes(MORPH / 2)
    part = shown_part(viewer)
    assert part == pytest.approx(0.5, abs=FRAME / MORPH)
    play.click()
    assert play.get_attribute("aria-label") == "play from regular to deformed"
    time_passes(MORPH)
    assert shown_part(viewer) == part
    assert_part(viewer, sampling, part)
    play.click()  # on from there
    time_passes(MORPH / 4)
    assert shown_part(viewer) == pytest.approx(part + 0.25, abs=2 * FRAME / MORPH)
    time_passes(MORPH)
    assert shown_part(viewer) == 1
    assert play.get_attribute("aria-label") == "play from regular to deformed"
    assert_shows(viewer.seen(), sampling, *POSITION)


def assert_part(viewer: ViewerPage, sampling: Sampling, part: float) -> None:
    """The dots are part of the way; the slider's own steps are hundredths."""
    near = 0.006 * np.abs(morphed(sampling, 1) - morphed(sampling, 0)).max()
    np.testing.assert_allclose(viewer.seen().points(), morphed(sampling, part), atol=near)


def test_play_begins_anew_at_the_end(
    viewer: ViewerPage, sampling: Sampling, time_passes: Pass
) -> None:
    viewer.action("morph").click()
    time_passes(0.1)
    assert shown_part(viewer) == pytest.approx(0.1 / MORPH, abs=FRAME / MORPH)
    time_passes(2 * MORPH)
    assert shown_part(viewer) == 1
    viewer.action("morph").click()
    time_passes(0.1)
    assert shown_part(viewer) < 0.2


def test_a_hand_on_the_slider_stops_what_plays(
    viewer: ViewerPage, sampling: Sampling, time_passes: Pass
) -> None:
    viewer.action("morph").click()
    time_passes(0.2)
    viewer.fill("morph", 0.75)
    time_passes(0.2)
    assert shown_part(viewer) == 0.75
    assert viewer.action("morph").get_attribute("aria-label") == "play from regular to deformed"
    assert_shows(viewer.seen(), sampling, *POSITION, points=morphed(sampling, 0.75))


# --- sweep ---------------------------------------------------------------------------------------


def curve(t: float, h: int, w: int) -> tuple[float, float]:
    """Where the sweep is at part t of its round, before rounding, as `save_sweep` documents it."""
    turn = 2 * math.pi * t
    return (
        (h - 1) / 2 * (1 + 0.9 * math.sin(2 * turn)),
        (w - 1) / 2 * (1 - 0.9 * math.cos(3 * turn)),
    )


def test_the_sweep_follows_its_curve_and_shows_each_position(
    viewer: ViewerPage, sampling: Sampling, time_passes: Pass
) -> None:
    viewer.action("sweep").click()
    assert viewer.action("sweep").get_attribute("aria-pressed") == "true"
    elapsed, positions = 0.0, set()
    for seconds in (0.5, 2.5, 5.0, 7.0, 9.0, 6.0):
        time_passes(seconds)
        elapsed += seconds
        y, x = viewer.seen().position
        places = [curve((elapsed - late) / SWEEP, 48, 64) for late in np.linspace(0, FRAME, 6)]
        assert min(max(abs(y - down), abs(x - across)) for down, across in places) <= 0.501
        assert_shows(viewer.seen(), sampling, y, x)
        positions.add((y, x))
    assert len(positions) == 6


def test_the_sweep_stops_when_someone_hovers(
    viewer: ViewerPage, sampling: Sampling, time_passes: Pass
) -> None:
    viewer.action("sweep").click()
    time_passes(1)
    assert viewer.action("pin").inner_text() == "pin"
    viewer.hover(IMAGE, 40, 8)
    assert viewer.action("sweep").get_attribute("aria-pressed") == "false"
    time_passes(3)
    assert_shows(viewer.seen(), sampling, 40, 8)


@pytest.mark.parametrize("stop", ["its button", "a key", "the pin", "a box", "a slider", "a tap"])
def test_the_sweep_stops_at_whatever_is_done(
    viewer: ViewerPage, time_passes: Pass, stop: str
) -> None:
    button = viewer.action("sweep")
    ways = {
        "its button": button.click,
        "a key": lambda: viewer.press("ArrowLeft"),
        "the pin": viewer.action("pin").click,
        "a box": lambda: viewer.fill("y", 7),
        "a slider": lambda: turn_kernel(viewer),
        "a tap": lambda: drag_tap(viewer),
    }
    button.click()
    time_passes(1)
    ways[stop]()
    assert button.get_attribute("aria-pressed") == "false"
    position = viewer.seen().position
    time_passes(3)
    assert viewer.seen().position == position
    assert viewer.action("pin").inner_text() == ("pin" if stop == "its button" else "pinned")


def turn_kernel(viewer: ViewerPage) -> None:
    viewer.menu("move taps")
    viewer.fill("rotate", 45)


def drag_tap(viewer: ViewerPage) -> None:
    left, top = viewer.dot("kernel", 4)
    viewer.drag((left, top), (left + 20, top + 10))


# --- where motion is not wanted ------------------------------------------------------------------


def test_without_motion_play_jumps_and_the_sweep_goes_in_steps(
    viewer: ViewerPage, sampling: Sampling, time_passes: Pass
) -> None:
    viewer.page.emulate_media(reduced_motion="reduce")
    viewer.fill("morph", 0.25)
    viewer.action("morph").click()
    time_passes(0.05)
    assert shown_part(viewer) == 1
    assert_shows(viewer.seen(), sampling, *POSITION)
    viewer.action("sweep").click()
    time_passes(0.5)
    first = viewer.seen().position
    time_passes(0.4)
    assert viewer.seen().position == first
    time_passes(0.6)
    assert viewer.seen().position != first
