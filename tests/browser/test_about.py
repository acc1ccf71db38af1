"""The whole layer below its positions: what is counted, where it is, what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from about_part import LayerPart
from explore_page import ExplorePage, query_of
from tabs import OpenFile
from viewer_page import IMAGE

from deformviz import Kernel, Sampling
from deformviz.analysis import affine_fit, effective_dilation, findings
from deformviz.explore import Settings
from deformviz.figures.canvas import output_box
from deformviz.viewer import View, ViewState

pytestmark = pytest.mark.browser

GROUPS, TAPS, SIZE = 2, 4, (9, 11)
SPECIAL = [
    0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, -1.0, 10.0, 100.0, -1000.0, 1000.0, 999.99994,
    5000.0, 1e-3, 5e-4, -5e-4, 1e-40, 0.1, 0.5, 3.1622777,
]  # fmt: skip
"""Values that a careless bin loses; 0.001 and 0.1 are a little more than that in float32."""

EDGES = [float(f"1e{decade}") * 10 ** (step / 4) for decade in range(-3, 3) for step in range(4)]
EDGES.append(1000.0)

Open = Callable[..., LayerPart]


@pytest.fixture
def open_layer(open_file: OpenFile, tmp_path: Path) -> Open:
    """Opens a record as a saved page with the section unfolded; takes what it opens with."""

    def opened(sampling: Sampling, **state: Any) -> LayerPart:
        View(sampling, state=ViewState(**{"about": True, **state})).save(tmp_path / "view.html")
        return LayerPart(open_file(tmp_path / "view.html"))

    return opened


def record(offset: torch.Tensor, mask: torch.Tensor | None = None) -> Sampling:
    """Two groups of 2 x 2 taps that are moved by `offset`, with an output of 9 x 11."""
    generator = torch.Generator().manual_seed(5)
    return Sampling(
        "a layer", (18, 22), SIZE, Kernel.of(2, stride=2), offset, mask=mask,
        input=torch.rand(4, 18, 22, generator=generator),
        output=torch.rand(2, *SIZE, generator=generator),
        weight=torch.rand(2, 4, 2, 2, generator=generator),
    )  # fmt: skip


def strange() -> Sampling:
    """Offsets and masks of all sizes and both signs, with `SPECIAL` among them."""
    generator = torch.Generator().manual_seed(3)
    shape = (GROUPS, TAPS, 2, *SIZE)
    size = 10 ** (8 * torch.rand(shape, generator=generator) - 4)
    offset = size * torch.randn(shape, generator=generator).sign()
    offset.view(-1)[:: offset.numel() // len(SPECIAL)][: len(SPECIAL)] = torch.tensor(SPECIAL)
    offset[1, 2, :, 0, :3] = torch.tensor([[6.0, 28.0, math.inf], [8.0, 96.0, math.nan]])
    mask = torch.randn(GROUPS, TAPS, *SIZE, generator=generator)
    mask[0, 1, 2, :4] = torch.tensor([0.0, math.nan, -math.inf, 1.0])
    return record(offset, mask)


def static() -> Sampling:
    """One offset for each tap, which the page is sent once."""
    offset = torch.tensor([0.0, 0.5, -2.0, 30.0, math.nan, 1.0, 1.0, -7.0]).reshape(2, 4, 1, 1, 1)
    return record(offset.expand(GROUPS, TAPS, 2, *SIZE))


def values(sampling: Sampling, quantity: str) -> np.ndarray:
    """[G, K, h, w] float64."""
    if quantity == "mask":
        assert sampling.mask is not None
        return sampling.mask.double().numpy()
    dy, dx = sampling.offset.double().numpy().transpose(2, 0, 1, 3, 4)
    return {"dy": dy, "dx": dx, "magnitude": np.sqrt(dy * dy + dx * dx)}[quantity]


def text(value: float) -> str:
    """Three digits, as on the page."""
    return np.format_float_positional(value, 3, fractional=False, trim="-").replace("-", "−")


def bins() -> list[tuple[str, float, float]]:
    """Names and bounds of those above zero, and then of those below: small ones first."""
    steps = [*pairwise([0.0, *EDGES])]
    above = [(f"{text(a)} to {text(b)}", a or np.nextafter(0, 1), b) for a, b in steps]
    below = [(f"{text(-b)} to {text(-a) if a else '0'}", -b, -a) for a, b in steps]
    largest = ("1000 and more", 1000.0, math.inf), ("−1000 and less", -math.inf, -1000.0)
    return [*above, largest[0], *below, largest[1]]


def inside(numbers: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which are in a bin: the bound nearer to zero is in it, but for zero itself."""
    if high <= 0:
        return (numbers > low) & (numbers <= high) & (numbers != 0)
    return (numbers >= low) & (numbers < high)


def counted(numbers: np.ndarray) -> dict[str, int]:
    """By numpy: the counts of all bins that have any."""
    finite = numbers[np.isfinite(numbers)]
    counts = {
        "0": int((numbers == 0).sum()),
        "NaN": int(np.isnan(numbers).sum()),
        "∞": int((numbers == math.inf).sum()),
        "−∞": int((numbers == -math.inf).sum()),
    }
    ends = np.array([np.nextafter(0, 1), *EDGES, math.inf])
    names = [name for name, _, _ in bins()]
    both = [*np.histogram(finite, ends)[0], *np.histogram(-finite, ends)[0]]
    counts |= dict(zip(names, map(int, both), strict=True))
    assert sum(counts.values()) == numbers.size
    return {name: count for name, count in counts.items() if count}


# The histogram


@pytest.mark.parametrize("made", [strange, static])
def test_the_counts_are_numpys(open_layer: Open, made: Callable[[], Sampling]) -> None:
    sampling = made()
    layer = open_layer(sampling)
    for quantity in ("magnitude", "dy", "dx", *(["mask"] if sampling.mask is not None else [])):
        every = values(sampling, quantity)
        for group, tap in (("all", "all"), ("1", "all"), ("all", "3"), ("0", "2")):
            layer.count(quantity, group, tap)
            groups = slice(None) if group == "all" else int(group)
            taps = slice(None) if tap == "all" else int(tap)
            assert layer.counts == counted(every[groups][..., taps, :, :]), (quantity, group, tap)


def test_the_bars_are_as_high_as_the_counts_or_as_their_logarithms(open_layer: Open) -> None:
    layer = open_layer(strange())
    layer.count("dy")
    counts, heights = layer.counts, layer.heights
    most, top = max(counts.values()), max(heights.values())
    assert set(counts) <= set(heights)
    for name, height in heights.items():
        assert height == pytest.approx(top * counts.get(name, 0) / most, abs=1.6)
    layer.count("dy", log=True)
    for name, height in layer.heights.items():
        log = math.log10(2 * counts[name]) / math.log10(2 * most) if name in counts else 0
        assert height == pytest.approx(top * log, abs=0.1)


@pytest.mark.parametrize(("made", "quantity"), [(strange, "dy"), (static, "magnitude")])
def test_a_bar_shows_where_its_values_are(
    open_layer: Open, made: Callable[[], Sampling], quantity: str
) -> None:
    sampling = made()
    layer = open_layer(sampling)
    bounds = {name: (low, high) for name, low, high in bins()}
    for group, tap in (("all", "all"), ("0", "2")):
        layer.count(quantity, group, tap)
        groups = slice(None) if group == "all" else slice(0, 1)
        taps = slice(None) if tap == "all" else slice(2, 3)
        every = values(sampling, quantity)[groups, taps]
        names = list(layer.counts)
        for name in {*names[::6], *names[-2:], *({"0", "∞", "−∞"} & {*names})}:
            special = {"0": every == 0, "NaN": np.isnan(every), "∞": every == math.inf,
                       "−∞": every == -math.inf}  # fmt: skip
            is_in = special[name] if name in special else inside(every, *bounds[name])
            where = is_in.any(axis=(0, 1))
            layer.bar(name).click()
            whose = "" if tap == "all" else ", tap 2, group 0"
            said = {"magnitude": "|Δ|"}.get(quantity, quantity) + f" {name}{whose}"
            layer.wait_lit(said)
            shown = layer.lit()
            assert shown is not None
            assert (shown == where).all(), name
            number = f"{where.sum()} position{'s' if where.sum() != 1 else ''}"
            assert layer.legend == f"{number}: {said}"
    top, left, height, width = output_box(sampling)
    box = layer.viewer.canvas_box(IMAGE, "highlight")
    np.testing.assert_allclose(box, (top, left, top + height, left + width), atol=0.01)


def test_a_bar_is_freed_by_a_second_click_and_by_escape(open_layer: Open) -> None:
    layer = open_layer(strange())
    layer.count("magnitude")
    layer.bar("1 to 1.78").click()
    layer.wait_lit("1 to 1.78")
    assert layer.bar("1 to 1.78").get_attribute("aria-selected") == "true"
    layer.bar("1 to 1.78").click()
    layer.wait_lit("")
    assert layer.lit() is None
    for leave in (layer.viewer.root.locator(".dv-bars"), layer.viewer.pane()):
        layer.bar("1 to 1.78").click()
        layer.wait_lit("1 to 1.78")
        leave.press("Escape")
        layer.wait_lit("")
        assert layer.lit() is None


def test_a_difference_in_the_outputs_place_keeps_its_colours(open_layer: Open) -> None:
    layer = open_layer(strange(), bar=14)
    layer.wait_lit("1 to 1.78")
    assert layer.lit() is not None
    layer.viewer.action("compare").click()
    layer.viewer.wait_text("layer-name", "A")
    layer.viewer.until(
        "(root) => !root.querySelector('.dv-output .dv-highlight').checkVisibility()"
    )
    assert layer.viewer.canvas(IMAGE, "highlight") is not None


def test_the_bars_can_be_walked_and_picked_by_keys(open_layer: Open) -> None:
    layer = open_layer(strange())
    layer.count("magnitude")
    bars = layer.viewer.root.locator(".dv-bars")
    names, counts = list(layer.heights), layer.counts
    bars.press("Home")
    for name in names[1:]:
        bars.press("ArrowRight")
        count = counts.get(name, 0)
        assert layer.viewer.text("bar").startswith(f"{name}: {count} values")
        walked = layer.viewer.root.locator(f"#{bars.get_attribute('aria-activedescendant')}")
        assert walked.get_attribute("aria-label") == f"{name}: {count}"
    bars.press("ArrowLeft")
    bars.press("Enter")
    layer.wait_lit(names[-2])
    assert layer.lit() is not None


# What is said of the layer and of the position


def test_a_position_has_its_own_affine_fit_and_dilation(open_layer: Open) -> None:
    offset = 3 * torch.randn(GROUPS, TAPS, 2, *SIZE, generator=torch.Generator().manual_seed(8))
    offset[1, 2, 0, 4, 4] = math.nan
    sampling = record(offset)
    fit, dilation = affine_fit(sampling), effective_dilation(sampling)
    layer = open_layer(sampling, group=1)
    for y, x in ((0, 0), (4, 4), (2, 9), (8, 10), (5, 3), (7, 1)):
        layer.viewer.hover(IMAGE, 2 * y + 0.5, 2 * x + 0.5)
        layer.viewer.wait_at(y, x)
        for name, found, digits in (
            ("effective dilation", dilation[1, y, x], 3),
            ("shift (dy, dx)", fit.translation[1, :, y, x], 3),
            ("scale", fit.scale[1, y, x], 3),
            ("rotation", fit.rotation[1, y, x], 2),
            ("shear", fit.shear[1, y, x], 3),
            ("residual", fit.residual[1, y, x], 3),
        ):
            expected = [] if found.isnan().any() else found.reshape(-1).tolist()
            assert layer.here(name) == pytest.approx(expected, abs=0.51 * 10**-digits), (name, y, x)


def test_taps_that_are_moved_by_hand_are_measured_as_they_are(open_layer: Open) -> None:
    layer = open_layer(record(torch.zeros(1, 1, 1, 1, 1).expand(GROUPS, TAPS, 2, *SIZE)))
    layer.viewer.menu("move taps")
    for name, value in (("scale", 2), ("rotate", 30)):
        layer.viewer.fill(name, value)
    assert layer.here("scale") == [2]
    assert layer.here("rotation") == [30]
    assert layer.here("effective dilation") == [2]
    assert layer.here("residual") == layer.here("shear") == [0]


# Findings


def test_a_finding_shows_where_it_is_so(open_layer: Open) -> None:
    offset = torch.randn(GROUPS, TAPS, 2, *SIZE, generator=torch.Generator().manual_seed(4))
    offset[1, 3, 0, 2:5, 6] = math.inf
    offset[0] *= 40
    sampling = record(offset)
    expected = findings(sampling)
    assert {found.kind for found in expected} >= {"nonfinite", "exploded"}
    layer = open_layer(sampling)
    texts = [node.inner_text() for node in layer.findings.all()]
    assert [text.split(maxsplit=2)[1:] for text in texts] == [
        [found.severity, found.sentence] for found in expected
    ]
    for i, found in enumerate(expected):
        layer.findings.nth(i).click()
        layer.wait_lit(found.kind)
        where = found.map > found.threshold if found.kind == "exploded" else found.map != 0
        assert (layer.lit() == where.numpy()).all(), found.kind
        assert layer.findings.nth(i).get_attribute("aria-pressed") == "true"
        if found.group is not None:
            assert layer.viewer.control("group").input_value() == str(found.group)
            assert layer.control("bar_group").input_value() == str(found.group)
        if found.tap is not None:
            assert layer.control("bar_tap").input_value() == str(found.tap)
    layer.findings.nth(i).click()
    layer.wait_lit("")
    assert layer.lit() is None


def test_a_layer_in_good_health_has_no_findings(open_layer: Open) -> None:
    generator = torch.Generator().manual_seed(0)
    offset = torch.rand(GROUPS, TAPS, 2, *SIZE, generator=generator) - 0.5
    assert findings(record(offset)) == []
    layer = open_layer(record(offset))
    assert layer.viewer.text("findings") == "no findings"


def test_a_link_to_what_a_layer_does_not_have_shows_what_it_has(open_layer: Open) -> None:
    beyond = 2**31 - 1
    for state in ({"bar": beyond, "bar_tap": beyond, "bar_group": beyond}, {"finding": beyond}):
        layer = open_layer(static(), quantity="mask", **state)
        chosen = [
            layer.control(name).input_value() for name in ("quantity", "bar_group", "bar_tap")
        ]
        assert chosen == ["magnitude", *(["1", "3"] if "bar" in state else ["all", "all"])]
        layer.wait_lit("")
        assert layer.lit() is None


# On the page


def test_the_page_asks_for_findings_when_they_are_unfolded_and_links_to_a_bar(
    explore: ExplorePage,
) -> None:
    settings = Settings(field="random", strength=2.0, weights="Gaussian")
    asked = lambda: [url for url in explore.requests if url.endswith("/facts")]  # noqa: E731
    explore.open(**query_of(settings, "cat"))
    assert asked() == []
    explore.root.locator(".dv-about > summary").click()
    layer = LayerPart(explore)
    layer.count("dx", tap="4")
    explore.until("(root) => root.querySelector('[data-part=findings]').innerText.includes('mask')")
    assert len(asked()) == 1
    name = next(iter(layer.counts))
    layer.bar(name).click()
    layer.wait_lit(f"{name}, tap 4")
    before = layer.lit()
    explore.page.wait_for_url("**bar=*")
    explore.page.reload()
    explore.wait_for("| 43 x 64 |")
    layer.wait_lit(f"{name}, tap 4")
    assert before is not None
    assert (layer.lit() == before).all()
    assert explore.root.locator(".dv-about").get_attribute("open") is not None
    explore.operator("Convolution")  # which has no mask, and moves nothing
    explore.until(
        "(root) => root.querySelector('[data-part=findings]').innerText === 'no findings'"
    )
    assert layer.counts == {"0": 43 * 64}  # still of tap 4
