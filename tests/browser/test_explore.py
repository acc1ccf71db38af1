"""The Explore page as a whole: it opens finished, and whatever comes, it lives on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from explore_page import ExplorePage, query_of
from playwright.sync_api import expect
from shown import assert_dots, assert_shows
from truth import run
from viewer_page import IMAGE, OUTPUT, WAIT

from deformviz.explore import Settings
from deformviz.web.explore_tab import FIRST, FIRST_IMAGE, FIRST_SIDE, FIRST_STATE

pytestmark = pytest.mark.browser

SMALL = query_of(Settings(weights="Gaussian"), "cat")


def test_opens_on_a_finished_example(explore: ExplorePage) -> None:
    explore.open()
    sampling = run(FIRST, FIRST_IMAGE, FIRST_SIDE).sampling
    assert FIRST_STATE.y is not None
    assert FIRST_STATE.x is not None
    assert_shows(explore.seen(), sampling, FIRST_STATE.y, FIRST_STATE.x)
    assert explore.picture(OUTPUT)["columns"] == 256
    expect(explore.page.locator(".dv-check.dv-passed")).to_have_count(2)
    assert not explore.toast.is_visible()


def test_kernels_of_every_size(explore: ExplorePage) -> None:
    explore.open(**SMALL, y=20, x=30)
    for size in (1, 5, 7, 9, 11):
        explore.kernel(size)
        settings = Settings(weights="Gaussian", kernel_size=(size, size))
        assert_shows(explore.seen(), run(settings, "cat").sampling, 20, 30)
        expect(explore.page.locator(".dv-check.dv-passed")).to_have_count(2)


def test_the_strength_is_of_the_field_that_is_chosen(explore: ExplorePage) -> None:
    first = Settings(weights="Gaussian", field="wave", strength=5.0)
    explore.open(**query_of(first, "cat"), y=20, x=30)
    with explore.redrawn():
        explore.choose("field", "dilate")
    explore.kernel(5)  # a second telling of the choice would have been heard by now
    settings = Settings(weights="Gaussian", field="dilate", kernel_size=(5, 5))
    assert explore.shown.endswith("| dilate 3")
    assert_shows(explore.seen(), run(settings, "cat").sampling, 20, 30)
    with explore.redrawn():
        explore.slider("strength, times larger", 0.5)
    assert_shows(explore.seen(), run(replace(settings, strength=0.5), "cat").sampling, 20, 30)
    with explore.redrawn():  # by the keyboard, and back to the field that the page begins with
        box = explore.page.locator("#field input")
        box.fill("toward")
        box.press("Enter")
    assert explore.shown.endswith("| toward edges 12")


def test_what_is_done_while_a_run_is_under_way_is_kept(explore: ExplorePage) -> None:
    explore.open(**SMALL)
    explore.choose("operator", "Deformable Conv v1")
    explore.over("magnitude")  # at once, before the operator's own drawing is there
    explore.click(IMAGE, 7, 50)
    explore.fill("tap", 2)
    explore.wait_for("Deformable Conv v1 | ")
    explore.wait_loaded()
    explore.kernel(5)  # a late answer would have undone it by now
    settings = Settings(operator="Deformable Conv v1", weights="Gaussian", kernel_size=(5, 5))
    assert_shows(explore.seen(), run(settings, "cat").sampling, 7, 50)
    assert explore.legend().startswith("|Δ| in pixels of tap 2")
    assert explore.page.locator("#operator input").input_value() == "Deformable Conv v1"


def test_the_five_shifts_are_compared(explore: ExplorePage) -> None:
    explore.open(**SMALL)
    explore.operator("Spatial shift")
    table = explore.page.locator(".dv-shifts tbody tr")
    table.nth(4).wait_for(timeout=WAIT)
    rows = [row.inner_text() for row in table.all()]
    names = ["slice", "roll", "deform_conv2d", "depthwise", "grid_sample"]
    assert [row.split()[0] for row in rows] == names
    assert all("difference 0" in row for row in rows[:4])
    explore.choose("border", "replicate")
    explore.page.get_by_text("difference 1.19e-7").wait_for(timeout=WAIT)
    explore.choose("border", "keep")
    explore.page.get_by_text("cannot honour this border").nth(7).wait_for(timeout=WAIT)


BAD = {
    "notes.png": (b"these are words, not pixels", "PNG, JPEG"),
    "empty.png": (b"", "empty"),
    "cut.png": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "PNG"),
}


def test_a_bad_image_gets_a_message_and_the_page_lives_on(
    explore: ExplorePage, tmp_path: Path, photo: Path
) -> None:
    explore.open(**SMALL, y=20, x=30)
    sampling = run(Settings(weights="Gaussian"), "cat").sampling
    for name, (content, message) in BAD.items():
        (tmp_path / name).write_bytes(content)
        explore.upload(tmp_path / name)
        toast = explore.toast.filter(has_text=message).first
        toast.wait_for(timeout=WAIT)
        assert str(tmp_path) not in toast.inner_text()
        assert_dots(explore.seen(), sampling, 20, 30)
        toast.get_by_test_id("toast-close").click()
        toast.wait_for(state="hidden")
    explore.kernel(5)
    assert len(explore.seen().image) == 25
    explore.upload(photo)
    explore.wait_for("| 48 x 64 |")
    explore.wait_loaded()
    settings = Settings(weights="Gaussian", kernel_size=(5, 5))
    assert_shows(explore.seen(), run(settings).sampling, *explore.seen().position)


def test_a_run_that_is_too_large_is_made_smaller_and_says_so(explore: ExplorePage) -> None:
    settings = Settings(weights="Gaussian", offset_groups=3)
    explore.open(**query_of(settings, "cat"), y=20, x=30)
    explore.more()
    with explore.redrawn():
        explore.slider("working size", 512)
    with explore.redrawn():
        explore.page.locator('#kernel label[data-testid="11-radio-label"]').click()
    # 3 groups of 121 taps at 300 x 451 positions are too many, and at 256 x 384.
    explore.wait_for("| 234 x 352 |")
    assert "run at 234 x 352 pixels instead of 300 x 451" in explore.text("notes")
    assert "49 million points, more than 34 million" in explore.text("notes")
    assert len(explore.seen().rows) == 121


def test_no_request_leaves_this_machine(explore: ExplorePage, photo: Path) -> None:
    explore.open()
    explore.upload(photo)
    explore.wait_for("| 48 x 64 |")
    explore.operator("Deformable Conv v1")
    explore.over("field colours")
    explore.hover(IMAGE, 20, 30)
    explore.wait_at(20, 30)
    hosts = {urlparse(url).netloc for url in explore.requests if url.startswith(("http", "ws"))}
    assert hosts == {urlparse(explore.address).netloc}


def test_another_seed_gives_another_run(explore: ExplorePage) -> None:
    settings = Settings(field="random", strength=2.0, weights="Gaussian")
    explore.open(**query_of(settings, "cat"), y=20, x=30)
    first = explore.seen().points()
    explore.more()
    with explore.redrawn():
        explore.page.locator("#seed input").fill("7")
    assert_shows(explore.seen(), run(replace(settings, seed=7), "cat").sampling, 20, 30)
    assert np.abs(explore.seen().points() - first).max() > 0.5
