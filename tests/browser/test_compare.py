"""Two runs side by side: one pin, one zoom, one scale of colours, and how far they differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from explore_page import ExplorePage, query_of
from seen import number
from shown import assert_dots, assert_shows
from truth import run
from viewer_page import IMAGE, IMAGE_B, OUTPUT

from deformviz import Sampling
from deformviz.explore import Settings
from deformviz.figures.colors import lookup, robust_top

pytestmark = pytest.mark.browser

KEPT = Settings(dilation=2, field="wave", strength=8.0, mask_strength=0.6, weights="Gaussian")
OTHER = replace(KEPT, operator="Deformable Conv v1")
POSITION = (20, 30)


@pytest.fixture
def comparing(explore: ExplorePage) -> ExplorePage:
    """A view is kept; then the operator is changed."""
    y, x = POSITION
    explore.open(**query_of(KEPT, "cat"), y=y, x=x, pinned="on")
    explore.action("compare").click()
    explore.wait_loaded()
    explore.operator(OTHER.operator)
    return explore


def sampling_of(settings: Settings) -> Sampling:
    return run(settings, "cat").sampling


def test_both_show_what_the_one_position_reads(comparing: ExplorePage) -> None:
    assert comparing.text("name-b").startswith("B: Deformable Conv v2, 3 × 3")
    assert_both(comparing, *POSITION)
    comparing.click(IMAGE_B, 33, 8)
    comparing.wait_at(33, 8)
    assert_both(comparing, 33, 8)
    comparing.press("Escape")
    for figure, place in ((IMAGE, (5, 50)), (IMAGE_B, (11, 12)), (OUTPUT, (40, 60))):
        comparing.hover(figure, *place)
        comparing.wait_at(*place)
        assert_both(comparing, *place)


def assert_both(page: ExplorePage, y: int, x: int) -> None:
    assert_shows(page.seen("a"), sampling_of(OTHER), y, x)
    assert_shows(page.seen("b"), sampling_of(KEPT), y, x)


def test_a_tap_is_lit_and_moved_in_both(comparing: ExplorePage) -> None:
    comparing.page.mouse.move(*comparing.dot("kernel", 6, side="b"))
    for side in ("a", "b"):
        assert comparing.seen(side).lit_rows == [6]
    comparing.fill("morph", 0.5)
    for side, settings in (("a", OTHER), ("b", KEPT)):
        sampling = sampling_of(settings)
        base, points = (
            at(*POSITION).double().reshape(-1, 2).numpy()
            for at in (sampling.base_at, sampling.points_at)
        )
        halfway = (base + points) / 2
        assert_shows(comparing.seen(side), sampling, *POSITION, points=halfway)


def test_both_have_one_zoom(comparing: ExplorePage) -> None:
    whole = comparing.in_view()
    for act in (
        lambda: comparing.press("+", "+"),
        lambda: comparing.press("+", figure=IMAGE_B),
        lambda: wheel(comparing, IMAGE_B),
        lambda: wheel(comparing, IMAGE),
    ):
        before = comparing.in_view()
        act()
        wait_for_one_zoom(comparing)
        now = comparing.in_view()
        assert now[2] - now[0] < 0.95 * (before[2] - before[0])
        np.testing.assert_allclose(comparing.in_view(IMAGE_B), now, atol=0.01)
        assert_dots(comparing.seen("b"), sampling_of(KEPT), *POSITION)
    comparing.press("0")
    wait_for_one_zoom(comparing)
    np.testing.assert_allclose(comparing.in_view(), whole, atol=0.01)
    np.testing.assert_allclose(comparing.in_view(IMAGE_B), whole, atol=0.01)


def wheel(page: ExplorePage, figure: str) -> None:
    page.hover(figure, *POSITION)
    width = page.picture(figure)["width"]
    page.page.mouse.wheel(0, -200)
    page.wait_wider(figure, 1.05 * width)


def wait_for_one_zoom(page: ExplorePage) -> None:
    """Until the two pictures lie in their frames the same way."""
    page.until(
        """(root) => {
          const [a, b] = ['image', 'image-b'].map((figure) => {
            const ground = root.querySelector(`[data-figure="${figure}"]`);
            const frame = ground.getBoundingClientRect();
            const picture = ground.querySelector('img').getBoundingClientRect();
            return [picture.left - frame.left, picture.top - frame.top, picture.width];
          });
          return a.every((value, i) => Math.abs(value - b[i]) < 0.02);
        }"""
    )


def test_overlays_share_one_scale(comparing: ExplorePage) -> None:
    with comparing.redrawn():
        comparing.slider("strength, pixels", 3)
    comparing.action("compare").click()  # the end of that comparison
    comparing.over("magnitude")
    comparing.fill("tap", 2)
    comparing.action("compare").click()
    comparing.wait_loaded()
    with comparing.redrawn():
        comparing.slider("strength, pixels", 5)
    fields = [
        np.hypot(*sampling_of(replace(OTHER, strength=strength)).offset[0, 2].numpy())
        for strength in (5.0, 3.0)
    ]
    top = max(robust_top(field) for field in fields)
    assert top == pytest.approx(5 * np.sqrt(2), rel=0.05)  # of the stronger one
    for figure, field in zip((IMAGE, IMAGE_B), fields, strict=True):
        shown = comparing.canvas(figure)
        assert shown is not None
        expected = lookup(field, "Cividis", 0, top)
        assert np.abs(shown[..., :3].astype(int) - expected).max() <= 1
        assert number(comparing.legend(figure).split()[-1]) == pytest.approx(top, rel=0.005)


def test_the_difference_is_that_of_what_lies_over_the_images(comparing: ExplorePage) -> None:
    a, b = sampling_of(OTHER), sampling_of(KEPT)
    assert a.output is not None
    assert b.output is not None
    for option, channel in (("red", 0), ("green", 1), ("mean", None)):
        comparing.select("output_channel", option)
        pair = [s.output.mean(0) if channel is None else s.output[channel] for s in (a, b)]  # type: ignore[union-attr]
        assert_difference(comparing, (pair[0] - pair[1]).numpy(), "PuOr", "output A − output B")
    comparing.over("magnitude")
    gap = np.hypot(*(a.offset[0, 0] - b.offset[0, 0]).numpy())
    assert gap.max() == 0
    assert comparing.text("output-caption") == "equal everywhere"
    with comparing.redrawn():
        comparing.slider("strength, pixels", 2.5)
    gap = np.hypot(*(sampling_of(replace(OTHER, strength=2.5)).offset - b.offset)[0, 0].numpy())
    assert_difference(comparing, gap, "Cividis", "|Δ A − Δ B| in pixels")


def assert_difference(page: ExplorePage, values: np.ndarray, scale: str, title: str) -> None:
    """The output's pane has these differences: around zero, or from it, as colours."""
    page.wait_text("output-caption", title)
    top = robust_top(np.abs(values))
    expected = lookup(values, scale, -top if scale == "PuOr" else 0.0, top)
    shown = page.canvas(OUTPUT)
    assert shown is not None
    assert np.ptp(expected, axis=(0, 1)).max() > 40
    # The difference of two float32 is rounded there and here: one step of the scale.
    gap = np.abs(shown[..., :3].astype(int) - expected).max(axis=-1)
    assert gap.max() <= 3
    assert (gap > 1).mean() < 0.01
    h, w = values.shape
    box = page.canvas_box(OUTPUT)
    np.testing.assert_allclose(box, (-0.5, -0.5, h - 0.5, w - 0.5), atol=0.01)
    assert page.legend(OUTPUT).startswith(title)
    assert number(page.legend(OUTPUT).split()[-1]) == pytest.approx(top, rel=0.006)


def test_the_difference_of_two_masks(explore: ExplorePage) -> None:
    explore.open(**query_of(KEPT, "cat"), over="mask", tap=1)
    explore.action("compare").click()
    explore.wait_loaded()
    with explore.redrawn():
        explore.choose("mask", "edge-following")
    masks = [sampling_of(s).mask for s in (replace(KEPT, mask="edge-following"), KEPT)]
    assert masks[0] is not None
    assert masks[1] is not None
    assert_difference(explore, (masks[0] - masks[1])[0, 1].numpy(), "PuOr", "mask A − mask B")


def test_outputs_of_two_sizes_have_no_difference(comparing: ExplorePage) -> None:
    comparing.more()
    with comparing.redrawn():
        comparing.slider("stride", 2)
    comparing.wait_text("output-caption", "no difference: one output is 22 × 32, the other 43 × 64")
    assert comparing.canvas(OUTPUT) is None
    halved = sampling_of(replace(OTHER, stride=2))
    comparing.click(IMAGE, 24, 40)
    comparing.wait_at(12, 20)
    assert_shows(comparing.seen("a"), halved, 12, 20)
    near = [np.array((24 + i, 40 + j)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    kept = comparing.seen("b").points()
    found = [at for at in near if np.allclose(kept, points_at_kept(at), atol=0.01)]
    assert len(found) == 1


def points_at_kept(position: np.ndarray) -> np.ndarray:
    y, x = (int(i) for i in position)
    return np.asarray(sampling_of(KEPT).points_at(y, x).double().reshape(-1, 2))


def test_the_comparison_can_be_ended(comparing: ExplorePage) -> None:
    button = comparing.action("compare")
    assert button.inner_text() == "end comparison"
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    comparing.root.locator('.dv-pane:has([data-figure="image-b"])').wait_for(state="hidden")
    assert button.inner_text() == "compare"
    assert comparing.canvas(OUTPUT) is None
    assert comparing.text("output-name") == "output"
    assert comparing.clip(OUTPUT).locator(".dv-legend:not(.dv-highlight-legend)").is_hidden()
    assert_shows(comparing.seen(), sampling_of(OTHER), *POSITION)
    comparing.operator("Convolution")
    assert_shows(comparing.seen(), sampling_of(replace(KEPT, operator="Convolution")), *POSITION)


def test_arrows_of_both_follow_the_morph(comparing: ExplorePage) -> None:
    comparing.action("compare").click()
    comparing.control("arrowsOn").check()
    comparing.action("compare").click()
    comparing.wait_loaded()
    wait_for_one_zoom(comparing)
    drawn = [arrows(comparing, figure) for figure in (IMAGE, IMAGE_B)]
    assert drawn[0] == drawn[1] != ""
    comparing.fill("morph", 0.5)
    halfway = [arrows(comparing, figure) for figure in (IMAGE, IMAGE_B)]
    assert halfway[0] == halfway[1] != drawn[0]


def arrows(page: ExplorePage, figure: str) -> str:
    paths = (
        page.clip(figure)
        .locator(".dv-arrow")
        .evaluate_all("(paths) => paths.map((path) => path.getAttribute('d')).join(' ')")
    )
    return str(paths)
