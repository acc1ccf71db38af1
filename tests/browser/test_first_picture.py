"""The example is there before Gradio's page, and stays where it is when that comes."""

from __future__ import annotations

import pytest
from explore_page import ExplorePage
from playwright.sync_api import Browser, Route
from shown import assert_shows
from tabs import explore_page
from truth import run
from viewer_page import IMAGE

from deformviz.web.explore_tab import FIRST, FIRST_IMAGE, FIRST_SIDE

PLACES = """(root) => ['.dv-bar', '[data-figure="image"] img', '[data-figure="output"] img',
  '.dv-kernel-plot', '.dv-play', '[data-action="link"]', '[data-terms="a"] tbody'].map((part) => {
    const { left, top, width, height } = root.querySelector(part).getBoundingClientRect();
    return [left, top, width, height];
  })"""
COLORS = """(root) => {
  const { color } = getComputedStyle(root);
  return [color, getComputedStyle(root.querySelector('.dv-bar select')).backgroundColor,
    getComputedStyle(root.querySelector('.dv-strip label')).borderColor];
}"""


class EarlyPage(ExplorePage):
    scope = ".dv-viewer"
    """Wherever it is."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_gradio_takes_the_example_over_as_it_is(browser: Browser, server: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    with explore_page(context, server) as opened:
        page = EarlyPage(opened.page, server)
        late: list[Route] = []
        page.page.route("**/assets/Blocks-*.js", lambda route: late.append(route))
        page.goto()
        page.wait_for("| 170 x 256 |")
        page.wait_loaded()
        assert page.page.locator("#explore").count() == 0
        page.hover(IMAGE, 30, 40)
        page.wait_at(30, 40)
        page.click(IMAGE, 31, 42)
        places, colors = page.root.evaluate(PLACES), page.root.evaluate(COLORS)
        sampling = run(FIRST, FIRST_IMAGE, FIRST_SIDE).sampling
        assert_shows(page.seen(), sampling, 31, 42)
        for route in late:
            route.continue_()
        opened.until("(root) => root.viewer")
        assert page.page.locator(".dv-early").count() == 0
        assert page.root.first.evaluate(COLORS) == colors
        for before, after in zip(places, opened.root.evaluate(PLACES), strict=True):
            assert after == pytest.approx(before, abs=1)
        assert_shows(opened.seen(), sampling, 31, 42)
        opened.kernel(5)  # what Gradio says is drawn by the same viewer
        assert opened.seen().position == (31, 42)
    context.close()


def test_a_link_shows_no_example_first(explore: ExplorePage) -> None:
    late: list[Route] = []
    held = True
    explore.page.route(
        "**/queue/join*", lambda route: late.append(route) if held else route.continue_()
    )
    explore.goto(operator="DRConv", image="cat", side=64)
    explore.page.locator("#explore .dv-viewer").wait_for()
    assert explore.page.locator(".dv-early").count() == 0
    assert not explore.shown
    held = False  # those that are still to come are let through at once
    for route in late:
        route.continue_()
    explore.wait_for("DRConv | ")
