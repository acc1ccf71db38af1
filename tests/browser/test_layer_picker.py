"""A page of several layers: one is picked, and what a person looks at stays in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route
from plotly.io.json import to_json_plotly
from shown import assert_shows
from stack_page import assert_dots, followed, network, saved
from tabs import OpenFile
from test_access import violations
from test_follow import option, wait_said
from truth import photo_pixels
from viewer_page import IMAGE, IMAGE_B, OUTPUT, WAIT, ViewerPage

from deformviz.analysis import trace
from deformviz.viewer import Stack, ViewState
from deformviz.viewer.bundle import markup, script, style
from deformviz.viewer.wire import to_bytes

pytestmark = pytest.mark.browser

LAYERS = network()


def select(page: ViewerPage) -> Locator:
    return page.root.locator('[data-part="layer"]')


def pick(page: ViewerPage, name: str) -> None:
    with page.redrawn():
        select(page).select_option(label=name)


def test_the_pin_the_zoom_and_the_overlay_stay_on_their_place(
    open_file: OpenFile, tmp_path: Path
) -> None:
    page = open_file(saved(tmp_path / "s.html", LAYERS, y=10, x=12, over="mask"))
    assert page.page.title() == "a network · deformviz"
    assert_shows(page.seen(), LAYERS[2], 10, 12)
    zoom = (4.0, 6.0, 44.0, 46.0)
    page.root.evaluate("(root, zoom) => root.viewer.a.image.setZoom(zoom)", zoom)
    page.click(IMAGE, 20.5, 24.5)
    page.wait_at(10, 12)
    before = page.in_view()

    pick(page, "1. stem")
    page.wait_at(21, 25)  # the middle of position (10, 12) of a map of stride 2
    assert_shows(page.seen(), LAYERS[0], 21, 25)
    np.testing.assert_allclose(page.in_view(), before, atol=0.1)
    assert "mask" in page.legend()
    assert page.action("pin").inner_text() == "pinned"
    assert "stem, 3 × 3, output 48 × 64" in page.text("status")
    assert not page.root.locator('[data-part="follow"]').is_visible()  # nothing ran before it

    pick(page, "3. deep")
    page.wait_at(10, 12)
    assert_shows(page.seen(), LAYERS[2], 10, 12)
    option(page, "on").check()
    wait_said(page, "deep ▸ down ▸ stem")
    pick(page, "2. down")  # follows as far as there are layers
    wait_said(page, ": down ▸ stem")
    assert len(followed(page)) == 9


def test_two_layers_side_by_side_are_both_followed(open_file: OpenFile, tmp_path: Path) -> None:
    page = open_file(saved(tmp_path / "s.html", LAYERS, y=10, x=12, follow=1, follow_mode="paper"))
    wait_said(page, "deep ▸ down")
    page.action("compare").click()
    page.wait_loaded()
    pick(page, "2. down")
    wait_said(page, ": down ▸ stem")
    for figure, layers in ((IMAGE, LAYERS[1::-1]), (IMAGE_B, LAYERS[:0:-1])):
        assert_dots(page, trace(layers, 10, 12, "paper", group=0), figure=figure)
    pick(page, "1. stem")  # which has another output's size than what is kept
    page.hover(OUTPUT, 40, 50)
    page.wait_at(40, 50)


def test_many_layers_are_searched_by_the_keyboard(open_file: OpenFile, tmp_path: Path) -> None:
    many = [replace(LAYERS[i % 2], name=f"block{i}.conv{i % 2}") for i in range(14)]
    page = open_file(saved(tmp_path / "s.html", many, layer=3))
    assert "block3.conv1" in page.text("status")
    page.root.get_by_label("search").focus()
    page.page.keyboard.type("CONV0 12")
    options = select(page).locator("option")
    assert options.all_text_contents() == ["4. block3.conv1", "13. block12.conv0"]
    assert page.text("layers-found") == "1 of 14"
    with page.redrawn():
        page.page.keyboard.press("Enter")
    assert "block12.conv0" in page.text("status")
    page.root.get_by_label("search").fill("")
    assert options.count() == 14
    select(page).focus()
    with page.redrawn():
        page.page.keyboard.press("ArrowDown")
    assert "block13.conv1" in page.text("status")


def test_half_precision_is_said_and_shown(
    open_file: OpenFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deformviz.viewer.stack.MOST_BYTES", 400_000)
    page = open_file(saved(tmp_path / "s.html", LAYERS, y=10, x=12))
    assert "half precision" in page.text("notes")
    seen = page.seen()
    assert "half precision" in seen.line
    assert LAYERS[2].output is not None
    assert seen.total == pytest.approx(float(LAYERS[2].output[0, 10, 12]), abs=0.02)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_file: OpenFile, tmp_path: Path, theme: str) -> None:
    many = [*LAYERS, *[replace(LAYERS[2], name=f"more {i}") for i in range(10)]]
    page = open_file(saved(tmp_path / "s.html", many, follow=2))
    page.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.until("(root, dark) => document.body.classList.contains('dark') === dark", theme == "dark")
    wait_said(page, "points of 3 layers")
    page.menu("which layers")
    assert violations(page.page) == []


# Numbers that come from a server


def served(page: Page, missing: str = "") -> ViewerPage:
    """The layers as a page of the app is given them, below a path, but for one that is let go."""
    data = [
        {"id": f"run{i}", "url": f"/numbers/{i}", "size": len(to_bytes(layer))}
        for i, layer in enumerate(LAYERS)
    ]
    value = Stack(LAYERS, photo_pixels(), state=ViewState(y=10, x=12)).value(data)
    text = to_json_plotly(value, engine="json").replace("<", "\\u003c")
    start = (
        "const value = JSON.parse(document.getElementById('view').textContent);"
        "deformviz.mountInPage(document.querySelector('.dv-viewer'), '/base',"
        "{ value: JSON.stringify(value) }, () => {}, false, null);"
    )
    html = (
        f"<!doctype html><title>app</title><style>{style()}</style>{markup()}"
        f'<script type="application/json" id="view">{text}</script>'
        f"<script>{script()}</script><script>{start}</script>"
    )

    def answer(route: Route) -> None:
        path = route.request.url.partition("deformviz.test")[2]
        if path == "/":
            route.fulfill(body=html, content_type="text/html; charset=utf-8")
        elif path == f"/base/numbers/{missing}":
            route.fulfill(status=404, body="gone")
        else:
            route.fulfill(body=to_bytes(LAYERS[int(path.removeprefix("/base/numbers/"))]))

    page.route("**/*", answer)
    viewer = ViewerPage(page)
    page.goto("http://deformviz.test/")
    viewer.wait_for("")
    viewer.wait_loaded()
    return viewer


def test_the_layers_below_come_from_the_server_when_they_are_asked_for(browser: Browser) -> None:
    with browser.new_page() as page:
        viewer = served(page)
        asked = [url for url in viewer.requests if "numbers" in url]
        assert asked == ["http://deformviz.test/base/numbers/2"]
        option(viewer, "on").check()
        wait_said(viewer, "deep ▸ down ▸ stem")
        asked = [url[-1] for url in viewer.requests if "numbers" in url]
        assert asked == ["2", "1", "0"]
        option(viewer, "on").uncheck()
        option(viewer, "on").check()
        wait_said(viewer, "deep ▸ down ▸ stem")
        assert len([url for url in viewer.requests if "numbers" in url]) == 3
        assert viewer.errors == []


def test_what_the_server_has_let_go_is_said(browser: Browser) -> None:
    with browser.new_page() as page:
        viewer = served(page, missing="1")
        option(viewer, "on").check()
        page.wait_for_function(
            "document.querySelector('[data-part=followed]').innerText.includes('could not be')",
            timeout=WAIT,
        )
        assert "the server has let them go" in viewer.text("followed")
        assert viewer.errors == []
