"""The address is the state: a link opens on what was seen, and whoever wrote it does no harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pytest
from explore_page import ExplorePage, query_of
from playwright.sync_api import Browser
from seen import Seen
from shown import assert_shows
from tabs import DESKTOP, explore_page
from truth import run
from viewer_page import IMAGE, IMAGE_B, OUTPUT

from deformviz.explore import Settings

pytestmark = pytest.mark.browser

SETTINGS = Settings(dilation=2, field="wave", strength=6.0, mask="random", weights="Gaussian")


@pytest.fixture
def stranger(browser: Browser, server: str) -> Iterator[ExplorePage]:
    """Someone else's browser."""
    context = browser.new_context(viewport=DESKTOP)
    with explore_page(context, server) as page:
        yield page
    context.close()


def query(page: ExplorePage) -> dict[str, str]:
    """The address's own query."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.page.url).query).items()}


def wait_for_query(page: ExplorePage, **expected: str) -> None:
    """Until the address has told the last change."""
    page.until(
        """(root, expected) => {
          const query = new URL(window.location.href).searchParams;
          return Object.entries(expected).every(([name, value]) => query.get(name) === value);
        }""",
        expected,
    )


def follow(page: ExplorePage, link: str) -> None:
    page.page.goto(link)
    page.wait_for("|")
    page.wait_loaded()


def assert_same(one: Seen, other: Seen) -> None:
    """The same dots and the same formula."""
    assert (one.rows, one.line, one.why) == (other.rows, other.line, other.why)
    assert one.position == other.position
    for where in ("image", "kernel"):
        np.testing.assert_allclose(one.points(where), other.points(where), atol=0.01)


def controls(page: ExplorePage) -> list[str]:
    """What the page's and the viewer's own controls say, those that are to be seen."""
    found: list[str] = page.page.evaluate(
        """(scope) => [...document.querySelectorAll(`#controls input, ${scope} :is(input, select)`)]
          .map((node) => ({ node, named: node.closest('[data-control], [data-part], [id]') }))
          .filter(({ node, named }) => node.type !== 'file' && named.checkVisibility())
          .map(({ node, named }) => {
            const name = named.dataset.control ?? named.dataset.part ?? named.id;
            const switched = ['radio', 'checkbox'].includes(node.type);
            return `${name}: ${node.value}${switched ? ` ${node.checked}` : ''}`;
          })""",
        page.scope,
    )
    return found


def test_a_link_opens_on_what_was_seen(explore: ExplorePage, stranger: ExplorePage) -> None:
    explore.open(**query_of(SETTINGS, "cat"))
    explore.kernel(5)
    explore.more()
    with explore.redrawn():
        explore.slider("stride", 2)
    explore.click(IMAGE, 20, 40)
    explore.press("+", "+")
    explore.over("field colours")
    explore.fill("tap", 7)
    explore.select("palette", "Middlebury")
    explore.control("arrowsOn").check()
    explore.fill("arrows", 11)
    explore.select("output_channel", "mean")
    explore.select("input_channel", "green")
    explore.fill("morph", 0.75)
    wait_for_query(explore, morph="0.75", stride="2", kernel="5x5", pinned="on")
    follow(stranger, explore.page.url)
    stranger.more()
    assert_same(stranger.seen(), explore.seen())
    assert stranger.shown == explore.shown
    np.testing.assert_allclose(stranger.in_view(), explore.in_view(), atol=0.01)
    assert stranger.action("pin").inner_text() == "pinned"
    assert controls(stranger) == controls(explore)
    assert len(controls(stranger)) > 20
    np.testing.assert_array_equal(stranger.canvas(IMAGE), explore.canvas(IMAGE))
    arrows = [page.clip(IMAGE).locator(".dv-arrow").count() for page in (stranger, explore)]
    assert arrows[0] == arrows[1] > 0
    assert query(stranger) == query(explore)


def test_a_comparison_is_part_of_the_link(explore: ExplorePage, stranger: ExplorePage) -> None:
    explore.open(**query_of(SETTINGS, "cat"), y=20, x=30, pinned="on")
    explore.over("mask")
    explore.action("compare").click()
    explore.wait_loaded()
    explore.operator("Deformable Conv v1")
    explore.press("+")
    wait_for_query(explore, operator="Deformable Conv v1")
    explore.until("() => new URL(window.location.href).searchParams.has('zoom')")
    follow(stranger, explore.page.url)
    stranger.root.locator('[data-terms="b"] tbody tr').first.wait_for()
    stranger.wait_loaded()
    for side in ("a", "b"):
        assert_same(stranger.seen(side), explore.seen(side))
    assert_shows(stranger.seen("b"), run(SETTINGS, "cat").sampling, 20, 30)
    for figure in (IMAGE, IMAGE_B):
        np.testing.assert_allclose(stranger.in_view(figure), explore.in_view(figure), atol=0.01)
    for figure in (IMAGE_B, OUTPUT):
        mine, theirs = explore.canvas(figure), stranger.canvas(figure)
        assert mine is not None
        np.testing.assert_array_equal(theirs, mine)
    assert stranger.text("output-caption") == explore.text("output-caption")
    assert stranger.text("name-b").split(", CPU")[0] == explore.text("name-b").split(", CPU")[0]
    assert query(stranger) == query(explore)


def test_a_link_is_copied(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport=DESKTOP)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    with explore_page(context, server) as page:
        page.open(**query_of(SETTINGS, "cat"))
        page.click(IMAGE, 7, 9)
        page.action("link").click()
        page.root.locator('[data-action="link"]:text-is("copied")').wait_for()
        copied = page.page.evaluate("navigator.clipboard.readText()")
        assert copied == page.page.url
        assert parse_qs(urlsplit(copied).query)["y"] == ["7"]
    context.close()


def test_a_sweep_can_be_linked(explore: ExplorePage) -> None:
    explore.open(**query_of(SETTINGS, "cat"), sweep="on")
    before = explore.seen().position
    explore.until(
        "(root, before) => root.dataset.position !== before",
        f"{before[0]}, {before[1]}",
    )
    assert explore.action("sweep").get_attribute("aria-pressed") == "true"


HOSTILE = {
    "operator": "<img src=x onerror=alert(1)>",
    "kernel": "99x99",
    "guide": "../../etc/passwd",
    "y": "-1",
    "zoom": "NaN,0,1,Infinity",
    "over": "'><script>alert(2)</script>",
    "tap": "1e9",
    "compare": "%00",
    "strength": "1" * 200,
}


@pytest.mark.parametrize("name", ["zoom", "operator", "all"])
def test_a_value_that_makes_no_sense_is_left_out_and_told(explore: ExplorePage, name: str) -> None:
    hostile = HOSTILE if name == "all" else {name: HOSTILE[name]}
    good = {"image": "cat", "side": 64, "operator": "DRConv", "x": 9}
    explore.page.on("dialog", lambda dialog: explore.errors.append(dialog.message))
    explore.page.goto(f"{explore.address}/?{urlencode({**good, **hostile})}")
    explore.wait_for("| 43 x 64 |")
    explore.wait_loaded()
    notes = explore.text("notes")
    assert "was left out" in notes
    told = [other for other in HOSTILE if f"the link's {other} was left out" in notes]
    assert told == [name] if name != "all" else len(told) >= 5
    assert (f"and {len(HOSTILE) - 5} more" in notes) == (name == "all")
    explore.hover(IMAGE, 6, 5)
    explore.wait_at(6, 5)
    assert explore.root.locator("img:not(.dv-ground), script").count() == 0
    explore.kernel(5)


def test_a_position_that_is_not_there_becomes_the_nearest(explore: ExplorePage) -> None:
    settings = replace(SETTINGS, operator="Convolution")
    numbers = {"y": 4000, "x": 2**31 - 1, "tap": 77, "group": 9, "output_channel": 50}
    explore.open(**query_of(settings, "cat"), **numbers, over="mask")
    assert_shows(explore.seen(), run(settings, "cat").sampling, 42, 63, output=2)
    assert explore.canvas(IMAGE) is None  # a convolution has no mask


def test_a_run_that_would_be_too_large_is_opened_smaller_and_says_so(
    explore: ExplorePage,
) -> None:
    explore.goto(image="glyphs", side=512, kernel="11x11", offset_groups=3)
    explore.wait_for("| 288 x 288 |")
    explore.wait_loaded()
    assert "run at 288 x 288 pixels instead of 512 x 512" in explore.text("notes")
    assert "95 million points" in explore.text("notes")
    explore.hover(IMAGE, 60, 50)
    explore.wait_at(60, 50)
    assert len(explore.seen().rows) == 121
