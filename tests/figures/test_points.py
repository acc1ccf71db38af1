"""The points drawn over the image against the operators' known geometry, by independent sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from drawn import CASES, X, Y, places, rgb, run, sampling, trace

from deformviz import ImageMap, Kernel, Sampling
from deformviz.explore import OPERATORS
from deformviz.figures import index_colors
from deformviz.figures.points import add_points

BLOCK = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
"""The taps of a 3 x 3 kernel around its centre, row-major."""


def drawn(s: Sampling, y: int = Y, x: int = X, group: int | None = None) -> go.Figure:
    figure = go.Figure()
    add_points(figure, s, y, x, group)
    assert [t.name for t in figure.data] == ["regular grid", "offsets", "taps"]
    return figure


def taps(s: Sampling, y: int = Y, x: int = X, group: int | None = None) -> np.ndarray:
    return places(trace(drawn(s, y, x, group), "taps"))


def sorted_rows(points: np.ndarray) -> list[list[float]]:
    return sorted(points.tolist())


# What is read


@pytest.mark.parametrize("operator", ["Convolution", "DRConv", "CoordConv"])
def test_a_regular_kernel_reads_the_block_around_its_position(operator: str) -> None:
    s = run(operator)
    for y, x in [(Y, X), (0, 0), (23, 16), (0, 16)]:
        expected = [[y + dy, x + dx] for dy, dx in BLOCK]
        assert taps(s, y, x).tolist() == expected
        assert sorted_rows(places(trace(drawn(s, y, x), "regular grid"))) == sorted(expected)


def test_stride_dilation_and_an_oblong_kernel() -> None:
    s = run("Convolution", kernel_size=(2, 3), stride=3, dilation=4)
    # Four rows between the two taps, padded by half of that; three columns, padded by four.
    expected = [[3 * 2 - 2 + 4 * i, 3 * 5 - 4 + 4 * j] for i in range(2) for j in range(3)]
    assert taps(s, 2, 5).tolist() == expected


@pytest.mark.parametrize("operator", ["Deformable Conv v1", "Deformable Conv v2"])
def test_a_shifted_kernel_reads_down_and_to_the_right(operator: str) -> None:
    s = run(operator, field="shift", strength=5.0)
    figure = drawn(s)
    expected = np.array([[Y + 3 + dy, X + 4 + dx] for dy, dx in BLOCK])
    assert places(trace(figure, "taps")) == pytest.approx(expected, abs=1e-5)
    regular = sorted([Y + dy, X + dx] for dy, dx in BLOCK)
    assert sorted_rows(places(trace(figure, "regular grid"))) == regular


def test_a_dilated_kernel_reads_twice_as_far() -> None:
    expected = [[Y + 2 * dy, X + 2 * dx] for dy, dx in BLOCK]
    assert taps(run("Deformable Conv v1", field="dilate", strength=1.0)).tolist() == expected


def test_three_groups_move_forth_stay_and_move_back() -> None:
    s = run("Deformable Conv v1", field="dilate", strength=1.0, offset_groups=3)
    reach = np.array([2, 1, 0])[:, None, None]
    expected = np.array([Y, X]) + reach * np.array(BLOCK)
    assert taps(s).tolist() == expected.reshape(-1, 2).tolist()
    for group in range(3):
        assert taps(s, group=group).tolist() == expected[group].tolist()


def test_a_spatial_shift_reads_where_the_content_comes_from() -> None:
    s = run("Spatial shift", kernel_size=(5, 3))  # two rows far, one column
    expected = [[Y + 2, X], [Y - 2, X], [Y, X + 1], [Y, X - 1]]  # up, down, left, right
    assert taps(s).tolist() == expected


def test_the_border_rule_is_seen_in_the_points() -> None:
    for border, below, right in [("zero", 24, 17), ("replicate", 23, 16), ("circular", 0, 0)]:
        points = taps(run("Spatial shift", border=border), 23, 16).tolist()
        assert points == [[below, 16], [22, 16], [23, right], [23, 15]]


def test_cycle_fc_reads_along_a_row() -> None:
    s = run("CycleFC", kernel_size=(1, 3), stride=2)
    assert taps(s, 3, 4).tolist() == [[6, 8 + step] for step in (0, 1, -1)]  # a copy each


def test_active_shift_reads_within_its_kernel() -> None:
    points = taps(run("Active Shift", kernel_size=(3, 7)))
    assert len(points) == 4
    reach = np.abs(points - [Y, X])
    assert (reach <= [1, 3]).all()
    assert (reach > 0).all()


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_the_taps_are_the_records_own_in_its_order(operator: str, variant: str) -> None:
    s = sampling(operator, variant)
    h, w = s.output_size
    for y, x in [(0, 0), (h // 2, w // 3), (h - 1, w - 1)]:
        expected = s.points_at(y, x).reshape(-1, 2).numpy()
        assert np.array_equal(taps(s, y, x), expected)
        if s.groups > 1:
            own = s.points_at(y, x)[1].numpy()
            assert np.array_equal(taps(s, y, x, group=1), own)


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_an_arrow_joins_each_regular_tap_that_moved_with_its_place(
    operator: str, variant: str
) -> None:
    s = sampling(operator, variant)
    y, x = s.output_size[0] // 2, s.output_size[1] // 2
    path = places(trace(drawn(s, y, x), "offsets")).reshape(-1, 3, 2)
    base, points = (t(y, x).reshape(-1, 2).numpy() for t in (s.base_at, s.points_at))
    moved = (base != points).any(axis=1)
    assert np.array_equal(path[:, 0], base[moved])
    assert np.array_equal(path[:, 1], points[moved])
    assert np.isnan(path[:, 2]).all()


# On the image of a network


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_pixel_of_a_feature_map_is_a_tile_of_the_image(operator: str) -> None:
    s = run(operator, field="random")
    on_image = replace(s, image_map=ImageMap.of_stride(4))
    p = s.points_at(Y, X).reshape(-1, 2).numpy()
    assert taps(on_image) == pytest.approx((p + 0.5) * 4 - 0.5, abs=1e-4)
    oblong = replace(s, image_map=ImageMap.of_stride((8, 2)))
    expected = np.column_stack(((p[:, 0] + 0.5) * 8 - 0.5, (p[:, 1] + 0.5) * 2 - 0.5))
    assert taps(oblong) == pytest.approx(expected, abs=1e-4)


# How it is drawn


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_a_tap_or_where_there_is_one_a_group_has_its_colour(operator: str, variant: str) -> None:
    s = sampling(operator, variant)
    colors = [rgb(c) for c in trace(drawn(s, 1, 1), "taps").marker.color]
    if s.taps == 1:
        assert colors == [rgb(c) for c in index_colors(s.groups)]
    else:
        assert colors == [rgb(c) for c in index_colors(s.taps)] * s.groups
    if s.groups > 1:
        own = [rgb(c) for c in trace(drawn(s, 1, 1, group=1), "taps").marker.color]
        assert own == colors[s.taps : 2 * s.taps]


@pytest.mark.parametrize("groups", [1, 3])
def test_the_area_of_a_dot_is_its_mask(groups: int) -> None:
    s = run("Deformable Conv v2", mask="random", offset_groups=groups)
    mask = s.mask_at(Y, X).reshape(-1).numpy()
    assert mask.max() / mask.min() > 1.5
    area = np.square(trace(drawn(s), "taps").marker.size)
    assert area / area[0] == pytest.approx(mask / mask[0], rel=1e-4)


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o != "Deformable Conv v2"])
def test_without_a_mask_all_dots_are_alike(operator: str) -> None:
    sizes = trace(drawn(run(operator)), "taps").marker.size
    assert len(set(sizes)) == 1
    assert 4 < sizes[0] < 20


def test_a_tap_that_weighs_nothing_is_small_and_still_there() -> None:
    kernel = Kernel.of((1, 3))
    mask = torch.tensor([0.0, -1.0, 1.0])[None, :, None, None].expand(1, 3, 4, 4)
    s = Sampling("made up", (4, 6), (4, 4), kernel, torch.zeros(1, 3, 2, 4, 4), mask=mask)
    none, negative, full = trace(drawn(s, 0, 0), "taps").marker.size
    assert 1 < none < full / 4
    assert negative == full


def test_dots_of_a_large_kernel_do_not_cover_one_another() -> None:
    sizes = [
        trace(drawn(run("Convolution", kernel_size=(k, k))), "taps").marker.size[0]
        for k in (1, 3, 5, 7, 11)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]


def test_a_dot_says_which_tap_it_is() -> None:
    s = run("Deformable Conv v2", mask="random", offset_groups=3)
    dots = trace(drawn(s), "taps")
    expected = [[tap, group] for group in range(3) for tap in range(9)]
    assert dots.customdata[:, :2].tolist() == expected
    assert dots.customdata[:, 2].tolist() == s.mask_at(Y, X).reshape(-1).tolist()
    own = trace(drawn(s, group=2), "taps")
    assert own.customdata[:, 1].tolist() == [2] * 9
    assert "group" in dots.hovertemplate
    assert "group" not in trace(drawn(run("Convolution")), "taps").hovertemplate


@pytest.mark.parametrize("place", [(24, 0), (0, 17), (-1, 0), (0, -1)])
def test_a_position_outside_the_output(place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside the 24 x 17 output"):
        add_points(go.Figure(), run("Convolution"), *place)
