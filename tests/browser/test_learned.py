"""What shipped networks learned, on the Explore page: chosen by a click, and kept by a link."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from explore_page import ExplorePage, query_of
from playwright.sync_api import Locator, expect
from shown import assert_shows
from truth import run

from deformviz.explore import LEARNED, Settings

pytestmark = pytest.mark.browser

OFFSETS = Settings(field=LEARNED, mask=LEARNED, mask_strength=0.5)
SLACK = 1e-3
"""Of features, which two processes round differently."""


def control(page: ExplorePage, name: str) -> Locator:
    return page.page.locator(f"#controls #{name}")


def pick(page: ExplorePage, name: str, option: str | int) -> None:
    """Click one of a control's buttons."""
    with page.redrawn():
        control(page, name).get_by_role("radio", name=str(option), exact=True).click()


def assert_layer(page: ExplorePage, settings: Settings, y: int, x: int, **others: Any) -> None:
    assert_shows(page.seen(), run(settings, "cat").sampling, y, x, slack=SLACK, **others)
    expect(page.page.locator(".dv-check.dv-passed")).to_have_count(2)


def test_every_layer_is_a_click_away_and_in_the_link(explore: ExplorePage) -> None:
    explore.open(**query_of(OFFSETS, "cat"), y=5, x=6)
    assert_layer(explore, OFFSETS, 5, 6)
    assert "layer 3 of 3 of a network" in explore.text("notes")
    for layer in (1, 2):
        pick(explore, "learned_layer", layer)
        assert_layer(explore, replace(OFFSETS, learned_layer=layer), 5, 6)
    explore.until("() => new URL(window.location.href).searchParams.get('learned_layer') === '2'")
    explore.page.reload()
    explore.wait_for("| layer 2")
    explore.wait_loaded()
    assert_layer(explore, replace(OFFSETS, learned_layer=2), 5, 6)
    expect(control(explore, "learned_layer").get_by_role("radio", name="2")).to_be_checked()
    assert "layer 2 of 3 of a network" in explore.text("notes")


def test_learned_shifts_are_chosen(explore: ExplorePage) -> None:
    made_up = Settings(operator="Active Shift")
    explore.open(**query_of(made_up, "cat"), y=9, x=11)
    expect(control(explore, "learned_layer")).to_be_hidden()
    pick(explore, "parameters", LEARNED)
    expect(control(explore, "learned_layer")).to_be_visible()
    learned = replace(made_up, parameters=LEARNED)
    y, x = explore.seen().position
    assert_layer(explore, learned, y, x)
    assert "name white glyphs" in explore.text("notes")
    pick(explore, "learned_layer", 1)
    assert_layer(explore, replace(learned, learned_layer=1), y, x)


def test_learned_coordinates_are_chosen(explore: ExplorePage) -> None:
    made_up = Settings(operator="CoordConv")
    explore.open(**query_of(made_up, "cat"), y=9, x=11)
    brought = ("weights", "radius", "coordinate_weight")
    for name in brought:
        expect(control(explore, name)).to_be_visible()
    pick(explore, "parameters", LEARNED)
    for name in (*brought, "learned_layer"):
        expect(control(explore, name)).to_be_hidden()
    expect(control(explore, "kernel").get_by_role("radio").first).to_be_disabled()
    learned = replace(made_up, parameters=LEARNED)
    y, x = explore.seen().position
    assert_layer(explore, learned, y, x)
    explore.select("input_channel", "y")
    assert_layer(explore, learned, y, x, channel=4)
    assert "to which the photo is resized; here it says" in explore.text("notes")
    pick(explore, "parameters", "made up")
    for name in brought:
        expect(control(explore, name)).to_be_visible()
    expect(control(explore, "kernel").get_by_role("radio").first).to_be_enabled()


@pytest.mark.parametrize("operator", ["Convolution", "Spatial shift", "CycleFC"])
def test_what_has_nothing_to_learn_offers_nothing_learned(
    explore: ExplorePage, operator: str
) -> None:
    asked = Settings(operator=operator, field=LEARNED, mask=LEARNED, parameters=LEARNED)
    explore.open(**query_of(asked, "cat"))
    for name in ("field", "mask", "guide", "parameters", "learned_layer"):
        expect(control(explore, name)).to_be_hidden()
    assert "network" not in explore.text("notes")
