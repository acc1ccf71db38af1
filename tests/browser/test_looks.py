"""How the page looks: it follows the theme, and fits the window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from explore_page import ExplorePage, query_of
from playwright.sync_api import Browser, expect
from seen import numbers
from tabs import OpenRun, explore_page
from truth import run
from viewer_page import OUTPUT, ViewerPage

from deformviz.explore import Settings

pytestmark = pytest.mark.browser

SETTINGS = Settings(dilation=2, field="random", strength=1.0, weights="Gaussian")


def rgb(viewer: ViewerPage, selector: str, name: str) -> np.ndarray:
    """A computed colour: [3] or [4], 0 to 255 and the opacity."""
    style = "(node, name) => getComputedStyle(node)[name]"
    return np.array(numbers(viewer.root.locator(selector).first.evaluate(style, name)))


def background(viewer: ViewerPage) -> np.ndarray:
    """What the kernel's panel stands on: the first ground around it that is not transparent."""
    color = viewer.root.locator(".dv-kernel-plot").evaluate(
        """(node) => {
          for (let each = node; each; each = each.parentElement) {
            const { backgroundColor } = getComputedStyle(each);
            if (!backgroundColor.endsWith(', 0)')) return backgroundColor;
          }
          return 'rgb(255, 255, 255)';
        }"""
    )
    return np.array(numbers(color))[:3]


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Of two colours, as WCAG 2 has it: 1 to 21."""

    def luminance(color: np.ndarray) -> float:
        part = color[:3] / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def assert_kernel_can_be_read(viewer: ViewerPage, dark: bool) -> None:
    ground = background(viewer)
    assert (ground.mean() < 128) == dark
    assert contrast(rgb(viewer, ".dv-axes text", "fill"), ground) > 4.5
    assert contrast(rgb(viewer, ".dv-axes path.dv-zero", "stroke"), ground) > 1.2
    assert contrast(rgb(viewer, "[data-terms=a] td", "color"), ground) > 4.5


def test_the_page_follows_its_theme_button(explore: ExplorePage) -> None:
    explore.open(**query_of(SETTINGS, "cat"))
    switch: Callable[[], None] = explore.page.locator("#theme").click
    for dark in (False, True, False):
        explore.page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
        assert_kernel_can_be_read(explore, dark)
        switch()


def test_a_saved_file_follows_the_system(open_run: OpenRun) -> None:
    viewer = open_run(run(SETTINGS))
    for scheme in ("light", "dark", "light"):
        viewer.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        viewer.until(
            "(root, dark) => document.body.classList.contains('dark') === dark", scheme == "dark"
        )
        assert_kernel_can_be_read(viewer, scheme == "dark")


@pytest.mark.parametrize("width", [1440, 820])
@pytest.mark.parametrize("operator", ["Deformable Conv v2", "Spatial shift"])
def test_the_page_fits(browser: Browser, server: str, width: int, operator: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    with explore_page(context, server) as page:
        settings = Settings(operator=operator, offset_groups=3)
        page.open(**query_of(settings, "cat"), over="output", arrows=20)
        assert_fits(page, width)
        page.action("compare").click()
        page.wait_loaded()
        assert_fits(page, width)
        if width == 820:
            page.page.locator("#fold").click()
            page.page.locator("#controls").wait_for(state="hidden")
            taps = page.page.locator(".dv-kernel-box:visible .dv-tap").count()
            assert taps == 2 * page.page.locator('[data-side="a"] .dv-kernel-plot .dv-tap').count()
            assert taps > 0
    context.close()


def test_on_a_tablet_the_controls_of_every_tab_fold_away(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 820, "height": 900})
    with explore_page(context, server) as page:
        page.open(**query_of(SETTINGS, "cat"))
        fold, tab = page.page.locator("#fold"), page.page.get_by_role("tab", name="Checkpoint")
        fold.click()
        page.page.locator("#controls").wait_for(state="hidden")
        tab.click()  # for the first time: it is laid out only now
        picture = page.page.locator("#checkpoint-viewer [data-figure=image] img")
        picture.wait_for()
        expect(page.page.locator("#checkpoint-controls")).to_be_hidden()
        folded = picture.bounding_box()
        fold.click()
        page.page.locator("#checkpoint-controls").wait_for(state="visible")
        unfolded = picture.bounding_box()
        assert folded is not None
        assert unfolded is not None
        assert folded["y"] + 100 < unfolded["y"]
        fold.click()
        page.page.locator("#checkpoint-controls").wait_for(state="hidden")
        page.page.get_by_role("tab", name="Lessons").click()
        expect(fold).to_be_hidden()  # there are none to fold
        page.page.get_by_role("tab", name="Explore").click()
        expect(fold).to_be_visible()
        expect(page.page.locator("#controls")).to_be_hidden()
        expect(page.page.locator("#viewer .dv-viewer")).to_be_visible()
    context.close()


def assert_fits(page: ExplorePage, width: int) -> None:
    """Nothing is wider than the window; no text or control is cut off, but for long captions."""
    page.wait_settled()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.page.evaluate(
        """(scope) => [...document.querySelectorAll(`${scope} *, #controls label`)]
          .filter((node) => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
          .map((node) => ({ node, style: getComputedStyle(node) }))
          .filter(({ node, style }) => style.overflowX !== 'visible'
            && style.textOverflow !== 'ellipsis'
            && !node.closest('.dv-unseen, .dv-scroll, .dv-pane'))
          .map(({ node }) => `${node.className}: ${node.textContent.slice(0, 40)}`)""",
        page.scope,
    )
    assert cut == []


def test_the_first_screen_has_the_pictures_and_the_formula(explore: ExplorePage) -> None:
    explore.open()
    for part in (explore.clip("image"), explore.clip(OUTPUT), explore.row(0)):
        box = part.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900


def test_the_pictures_follow_the_window(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    with explore_page(context, server) as page:
        page.open(**query_of(SETTINGS, "cat"), y=20, x=30)
        before, points = page.picture()["width"], page.seen().points()
        page.page.set_viewport_size({"width": 1100, "height": 900})
        page.until(
            "(root, before) => root.querySelector('[data-figure=image] img')"
            ".getBoundingClientRect().width < before - 20",
            before,
        )
        page.wait_settled()
        np.testing.assert_allclose(page.seen().points(), points, atol=0.01)
    context.close()
