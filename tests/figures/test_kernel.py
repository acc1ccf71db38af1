"""The kernel in its own coordinates: taps around the centre, a panel for each group."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from drawn import CASES, X, Y, places, rgb, run, sampling

from deformviz import Kernel, Sampling
from deformviz.explore import OPERATORS
from deformviz.figures import index_colors, kernel_figure
from deformviz.operators import DeformConv2d

BLOCK = [[dy, dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def traces(figure: go.Figure, name: str) -> list[Any]:
    """The traces of that name, a panel after the other."""
    return [t for t in figure.data if t.name == name]


@pytest.mark.parametrize("operator", ["Convolution", "DRConv", "CoordConv"])
@pytest.mark.parametrize("place", [(Y, X), (0, 0), (23, 16)])
def test_a_regular_kernel_is_a_block_wherever_it_lies(
    operator: str, place: tuple[int, int]
) -> None:
    figure = kernel_figure(run(operator), *place)
    for name in ("regular grid", "taps"):
        (drawn,) = traces(figure, name)
        assert places(drawn).tolist() == BLOCK


def test_an_even_kernel_has_its_centre_between_the_taps() -> None:
    s = run("Convolution", kernel_size=(2, 3), stride=2, dilation=3)
    (drawn,) = traces(kernel_figure(s, 1, 2), "taps")
    assert places(drawn).tolist() == [[y, x] for y in (-1.5, 1.5) for x in (-3, 0, 3)]


def test_a_shifted_kernel_is_drawn_down_and_to_the_right() -> None:
    figure = kernel_figure(run("Deformable Conv v1", field="shift", strength=5.0), Y, X)
    (moved,), (regular,) = traces(figure, "taps"), traces(figure, "regular grid")
    assert places(regular).tolist() == BLOCK
    assert places(moved) == pytest.approx(np.add(BLOCK, [3, 4]), abs=1e-5)
    assert moved.customdata[:, 3:] == pytest.approx(np.tile([3.0, 4.0], (9, 1)), abs=1e-5)


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_the_taps_are_the_records_own_around_its_centre(operator: str, variant: str) -> None:
    s = sampling(operator, variant)
    y, x = s.output_size[0] // 2, s.output_size[1] // 2
    figure = kernel_figure(s, y, x)
    centre = s.base_at(y, x).reshape(-1, 2).mean(dim=0)
    base, points = (
        (p - centre).reshape(-1, 2).numpy() for p in (s.base_at(y, x), s.points_at(y, x))
    )
    dots = np.concatenate([places(t) for t in traces(figure, "taps")])
    assert dots == pytest.approx(points, abs=1e-5)
    ghosts = np.concatenate([places(t) for t in traces(figure, "regular grid")])
    once = np.unique(base, axis=0)  # each regular tap once, in each panel
    assert np.unique(ghosts, axis=0) == pytest.approx(once, abs=1e-5)
    path = np.concatenate([places(t) for t in traces(figure, "offsets")]).reshape(-1, 3, 2)
    moved = (base != points).any(axis=1)
    assert path[:, 0] == pytest.approx(base[moved], abs=1e-5)
    assert np.array_equal(path[:, 1], dots[moved])
    assert np.isnan(path[:, 2]).all()


@pytest.mark.parametrize(
    ("groups", "taps", "panels"), [(1, 9, 1), (2, 9, 2), (4, 9, 4), (5, 9, 1), (3, 1, 1)]
)
def test_a_panel_for_each_group_where_they_are_few(groups: int, taps: int, panels: int) -> None:
    kernel = Kernel.of(3 if taps == 9 else 1)
    offset = torch.arange(float(groups))[:, None, None, None, None].expand(-1, taps, 2, 2, 2)
    input_size = (4, 4) if taps == 9 else (2, 2)
    figure = kernel_figure(Sampling("made up", input_size, (2, 2), kernel, offset), 0, 0)
    dots = traces(figure, "taps")
    assert len(dots) == panels
    assert sum(len(d.x) for d in dots) == groups * taps
    titles = [a.text for a in figure.layout.annotations]
    assert titles == ([f"group {g}" for g in range(groups)] if panels > 1 else [])
    if panels > 1:
        assert [places(d)[0].tolist() for d in dots] == [[g - 1, g - 1] for g in range(groups)]


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_the_colours_are_those_over_the_image(operator: str, variant: str) -> None:
    s = sampling(operator, variant)
    colors = [rgb(c) for d in traces(kernel_figure(s, 1, 1), "taps") for c in d.marker.color]
    if s.taps == 1:
        assert colors == [rgb(c) for c in index_colors(s.groups)]
    else:
        assert colors == [rgb(c) for c in index_colors(s.taps)] * s.groups


def test_the_area_of_a_dot_is_its_mask() -> None:
    s = run("Deformable Conv v2", mask="random", offset_groups=3)
    for group, dots in enumerate(traces(kernel_figure(s, Y, X), "taps")):
        mask, area = s.mask_at(Y, X)[group].numpy(), np.square(dots.marker.size)
        assert area / area[0] == pytest.approx(mask / mask[0], rel=1e-4)


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_axes_are_one_square_that_holds_every_tap_with_y_downwards(operator: str) -> None:
    figure = kernel_figure(run(operator, field="wave"), Y, X)
    low, high = figure.layout.xaxis.range
    assert low == -high
    assert tuple(figure.layout.yaxis.range) == (high, low)
    assert figure.layout.yaxis.scaleanchor == "x"
    for name in ("taps", "regular grid"):
        assert max(np.abs(places(t)).max() for t in traces(figure, name)) < high


def test_every_panel_has_the_same_axes_of_its_own() -> None:
    figure = kernel_figure(run("Deformable Conv v1", offset_groups=3), Y, X)
    layout = figure.layout
    assert layout.xaxis.range == layout.xaxis2.range == layout.xaxis3.range
    assert layout.yaxis.range == layout.yaxis2.range == layout.yaxis3.range
    assert [a.scaleanchor for a in (layout.yaxis, layout.yaxis2, layout.yaxis3)] == [
        "x",
        "x2",
        "x3",
    ]


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_an_offset_that_is_not_finite_does_not_stretch_the_axes(broken: float) -> None:
    offset = torch.zeros(1, 9, 2, 2, 2)
    offset[0, 4] = broken
    figure = kernel_figure(Sampling("made up", (4, 4), (2, 2), Kernel.of(3), offset), 1, 1)
    assert 1 < figure.layout.xaxis.range[1] < 2


def test_what_is_still_being_learned_can_be_drawn() -> None:
    layer = DeformConv2d(3, 4, 3, padding=1)
    kernel_figure(layer.sampling(torch.rand(1, 3, 6, 6)), 2, 3)
    offset = torch.zeros(1, 9, 2, 6, 6, requires_grad=True)
    mask = torch.ones(1, 9, 6, 6, requires_grad=True)
    s = Sampling("made up", (6, 6), (6, 6), Kernel.of(3, padding=1), offset, mask=mask)
    (drawn,) = traces(kernel_figure(s, 2, 3), "taps")
    assert places(drawn).tolist() == BLOCK


@pytest.mark.parametrize("operator", OPERATORS)
def test_it_becomes_json(operator: str) -> None:
    text = kernel_figure(run(operator), Y, X).to_json()
    assert '"bdata"' in text


@pytest.mark.parametrize("place", [(24, 0), (0, 17), (-1, 0), (0, -1)])
def test_a_position_outside_the_output(place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside the 24 x 17 output"):
        kernel_figure(run("Convolution"), *place)
