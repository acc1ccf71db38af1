"""For everyone: what axe-core finds on the page and in a saved file, in both themes and widths."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from checkpoint_page import CheckpointPage
from explore_page import ExplorePage, query_of
from playwright.sync_api import Browser, Page
from tabs import OpenRun, explore_page
from truth import run

from deformviz.explore import Settings

pytestmark = pytest.mark.browser

SETTINGS = Settings(dilation=2, field="random", strength=1.0, weights="Gaussian")


def violations(page: Page) -> list[str]:
    """What axe calls serious or critical, one line for each element."""
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    result = Axe().run(page).response
    assert len(result["passes"]) > 10  # it has run
    return [
        f"{found['impact']} {found['id']}: {node['target']} {node['html'][:120]}"
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 820])
def test_the_page_in_its_states(browser: Browser, server: str, width: int, theme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    with explore_page(context, server) as page:
        page.open(**query_of(SETTINGS, "cat"), y=20, x=30, pinned="on", over="field colours")
        if theme == "dark":
            page.page.locator("#theme").click()
        assert violations(page.page) == []
        page.more()
        page.menu("move taps")
        page.row(4).hover()
        assert violations(page.page) == []
        page.action("compare").click()
        page.wait_loaded()
        page.menu("export")
        assert violations(page.page) == []
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_checkpoint_page(browser: Browser, server: str, theme: str) -> None:
    page = CheckpointPage(browser.new_page(), f"{server}/?__theme={theme}")
    assert violations(page.page) == []
    page.page.get_by_role("button", name="made-up epochs").click()
    page.wait_for("example_epoch_10")
    page.look_at("backbone.layer4.0.conv2")
    assert page.lines()
    assert violations(page.page) == []
    page.page.close()


@pytest.mark.parametrize("operator", ["DRConv", "CoordConv", "Spatial shift"])
def test_what_other_operators_show(explore: ExplorePage, operator: str) -> None:
    explore.open(**query_of(Settings(operator=operator), "cat"))
    assert violations(explore.page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_saved_file(open_run: OpenRun, theme: str) -> None:
    viewer = open_run(run(SETTINGS), y=20, x=30, pinned=True, over="mask", arrows=12,
                      about=True, bar=16)  # fmt: skip
    viewer.until("(root) => root.dataset.highlight && root.dataset.counted")
    viewer.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    dark = "(root, dark) => document.body.classList.contains('dark') === dark"
    viewer.until(dark, theme == "dark")
    assert violations(viewer.page) == []


def test_all_that_the_viewer_has_can_be_reached_by_the_tab_key(open_run: OpenRun) -> None:
    viewer = open_run(run(SETTINGS))
    viewer.page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        viewer.page.keyboard.press("Tab")
        reached.add(
            viewer.page.evaluate(
                "() => { const { dataset, tagName, className } = document.activeElement;"
                " return dataset.control ?? dataset.action ?? `${tagName} ${className}`; }"
            )
        )
    wanted = {
        "points", "arrowsOn", "output_channel", "input_channel", "morph", "sweep", "pin", "y", "x",
        "compare", "DIV dv-pane", "DIV dv-scroll", "SUMMARY ",
    }  # fmt: skip
    assert wanted <= reached
