"""The Explore page in a real browser: what it draws is where the operators read."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from explore_page import WAIT, ExplorePage
from PIL import Image
from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

KERNELS = (1, 3, 5, 7)
POSITION = (20, 30)


def regular(size: int, dilation: int = 1) -> np.ndarray:
    """The taps of a square kernel around its centre, row-major: [K, 2], (y, x)."""
    steps = (np.arange(size) - (size - 1) / 2) * dilation
    return np.array(list(itertools.product(steps, steps)))


def expected_taps(operator: str, size: int) -> np.ndarray:
    """Where each operator reads, relative to its position, by its own definition."""
    reach = size // 2
    if operator.startswith("Deformable"):
        return 1.5 * regular(size)  # the field "dilate" at half strength
    if operator == "Spatial shift":  # content moves up, down, left, right, so reads the other way
        return np.array([[reach, 0], [-reach, 0], [0, reach], [0, -reach]])
    if operator == "CycleFC":  # one step further along x for each copy of the photo, around
        return np.array([[0, (i + reach) % size - reach] for i in range(size)])
    return regular(size)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo of 48 x 64 pixels, all colours."""
    y, x = np.mgrid[:48, :64]
    pixels = np.stack((4 * x, 5 * y, 2 * (x + y)), axis=-1).astype(np.uint8)
    file = tmp_path / "a photo.png"
    Image.fromarray(pixels).save(file)
    return file


def assert_same_points(drawn: np.ndarray, expected: np.ndarray) -> None:
    assert drawn.shape == expected.shape
    # Half a pixel of the screen is a twentieth of one of the photo's.
    np.testing.assert_allclose(drawn, expected, atol=0.05)


def test_opens_on_a_finished_example(page: ExplorePage) -> None:
    assert len(page.drawn("image", "taps")) == 9
    assert len(page.drawn("kernel", "taps")) == 9
    assert page.pictures("image") == 1
    assert page.pictures("output") == 1
    assert page.page.locator(".dv-check.dv-passed").count() == 2
    assert page.page.locator(".dv-check.dv-failed").count() == 0
    assert page.errors == []


def test_every_operator_at_every_kernel(page: ExplorePage, photo: Path) -> None:
    page.upload(photo)
    page.wait_for("| 48 x 64 |")
    page.position(*POSITION)
    page.page.get_by_role("button", name="More").click()
    page.page.get_by_label("number input for dilation").fill("1")
    page.page.get_by_label("number input for dilation").press("Enter")
    page.choose("field", "dilate")
    page.wait_for("| dilate 3 |")
    page.page.wait_for_timeout(1500)  # a person's pause: the slider has just been given its value
    page.page.get_by_label("number input for strength, times larger").fill("0.5")
    page.page.get_by_label("number input for strength, times larger").press("Enter")
    page.wait_for("| dilate 0.5 |")
    operators = (
        "Convolution",
        "Deformable Conv v1",
        "DRConv",
        "CoordConv",
        "Spatial shift",
        "Active Shift",
        "CycleFC",
        "Deformable Conv v2",
    )
    for operator in operators:
        page.operator(operator)
        for size in KERNELS:
            page.kernel(size)
            drawn = page.drawn("image", "taps")
            if operator == "Active Shift":  # four copies, at random within the kernel
                assert drawn.shape == (4, 2)
                assert np.abs(drawn - POSITION).max() <= (size - 1) / 2 + 0.05
            else:
                assert_same_points(drawn, POSITION + expected_taps(operator, size))
            ghosts = {tuple(point) for point in page.drawn("image", "regular grid").round(1)}
            shifts = operator in ("Spatial shift", "Active Shift", "CycleFC")
            grid = np.zeros((1, 2)) if shifts else regular(size)
            assert ghosts == {tuple(point) for point in POSITION + grid}
            assert page.page.locator(".dv-check.dv-failed").count() == 0
            assert page.pictures("output") == 1
    assert page.errors == []


@pytest.mark.parametrize(
    ("operator", "layers"),
    [
        ("Deformable Conv v2", ["arrows", "field colours", "magnitude", "mask"]),
        ("DRConv", ["regions"]),
        ("CoordConv", ["x coordinate", "y coordinate", "radius"]),
    ],
)
def test_every_layer_is_drawn(page: ExplorePage, operator: str, layers: list[str]) -> None:
    page.operator(operator)
    for layer in layers:
        page.layer(layer)
        if layer == "arrows":
            arrows = page.page.locator('[data-figure="image"] .quiverlayer path')
            arrows.nth(50).wait_for(state="attached", timeout=WAIT)
        else:
            assert page.pictures("image") == (3 if layer == "field colours" else 2)
        assert len(page.drawn("image", "taps")) == 9
    assert page.errors == []


def test_what_is_done_while_a_run_is_under_way_is_kept(page: ExplorePage) -> None:
    page.choose("operator", "Deformable Conv v1")
    page.layer("arrows")  # at once, before the operator's own drawing is there
    page.wait_for("Deformable Conv v1 | ")
    page.page.wait_for_timeout(2000)  # for a late answer, which must not undo it
    assert "| arrows |" in page.shown
    assert page.page.locator("#layer input:checked").get_attribute("value") == "arrows"


def test_a_click_chooses_the_position(page: ExplorePage, photo: Path) -> None:
    page.upload(photo)
    page.wait_for("| 48 x 64 |")
    page.operator("Convolution")
    page.kernel(3)
    page.click("image", 10.3, 12.4)
    page.wait_for("| 10, 12")
    centre = page.drawn("image", "taps")[4]
    np.testing.assert_allclose(centre, (10, 12), atol=0.05)
    page.click("output", 40.4, 50.2)
    page.wait_for("| 40, 50")
    np.testing.assert_allclose(page.drawn("output", "position"), [(40, 50)], atol=0.05)
    assert page.page.locator("#y input").input_value() == "40"
    assert page.page.locator("#x input").input_value() == "50"


def test_the_terms_add_up_on_the_page(page: ExplorePage) -> None:
    rows = page.page.locator('[data-part="terms"] tbody tr')
    numbers = [
        [float(text.replace("−", "-")) for text in row.locator("td").all_inner_texts()[5:]]
        for row in rows.all()
    ]
    assert len(numbers) == 9
    for value, mask, weight, product in numbers:
        assert value * mask * weight == pytest.approx(product, abs=2e-4)
    total = re.search(r"= (−?[\d.]+)", page.text("terms").replace("\n", " "))
    assert total is not None
    assert sum(row[3] for row in numbers) == pytest.approx(float(total[1]), abs=1e-3)


def test_the_five_shifts_are_compared(page: ExplorePage) -> None:
    page.operator("Spatial shift")
    page.page.locator(".dv-shifts tbody tr").nth(4).wait_for(timeout=WAIT)
    rows = [row.inner_text() for row in page.page.locator(".dv-shifts tbody tr").all()]
    names = ["slice", "roll", "deform_conv2d", "depthwise", "grid_sample"]
    assert [row.split()[0] for row in rows] == names
    assert all("difference 0" in row for row in rows[:4])
    page.choose("border", "replicate")
    page.page.get_by_text("difference 1.19e-7").wait_for(timeout=WAIT)
    page.choose("border", "keep")
    page.page.get_by_text("cannot honour this border").nth(7).wait_for(timeout=WAIT)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.png", b"these are words, not pixels", "PNG, JPEG"),
        ("empty.png", b"", "empty"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "PNG"),
    ],
)
def test_a_bad_image_gets_a_message_and_the_page_lives_on(
    page: ExplorePage, tmp_path: Path, photo: Path, name: str, content: bytes, message: str
) -> None:
    before = page.drawn("image", "taps")
    (tmp_path / name).write_bytes(content)
    page.upload(tmp_path / name)
    page.toast.first.wait_for(timeout=WAIT)
    assert message in page.toast.first.inner_text()
    assert str(tmp_path) not in page.toast.first.inner_text()
    np.testing.assert_array_equal(page.drawn("image", "taps"), before)
    page.kernel(5)
    assert len(page.drawn("image", "taps")) == 25
    page.upload(photo)
    page.wait_for("| 48 x 64 |")
    assert page.pictures("image") == 1


def test_no_request_leaves_this_machine(page: ExplorePage, photo: Path) -> None:
    page.upload(photo)
    page.wait_for("| 48 x 64 |")
    page.layer("field colours")
    hosts = {urlparse(url).netloc for url in page.requests if url.startswith(("http", "ws"))}
    assert hosts == {urlparse(page.address).netloc}


def test_plots_follow_the_theme(page: ExplorePage) -> None:
    color = "document.querySelector('[data-figure=kernel]')._fullLayout.font.color"
    light = page.page.evaluate(color)
    page.page.locator("#theme").click()
    page.page.wait_for_function(f"light => {color} !== light", arg=light)
    page.page.locator("#theme").click()
    page.page.wait_for_function(f"light => {color} === light", arg=light)


@pytest.mark.parametrize("width", [1440, 820])
def test_the_page_fits(browser: Browser, server: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    explore = ExplorePage(context.new_page(), server)
    page = explore.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.dv-viewer *, #controls label, #toolbar label')]
          .filter((node) => node.scrollWidth > node.clientWidth + 1
            && getComputedStyle(node).overflowX !== 'visible' && node.clientWidth > 0)
          .map((node) => node.className)"""
    )
    assert cut == []
    if width == 820:
        page.locator("#fold").click()
        page.locator("#controls").wait_for(state="hidden")
        assert len(explore.drawn("image", "taps")) == 9
    context.close()
