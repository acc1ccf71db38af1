"""Layers over the image: the right pixels at the right place, and the arrows' true ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import plotly.colors
import plotly.graph_objects as go
import pytest
import torch
from drawn import CASES, PHOTO, box, pixels, rgb, run, sampling, scaled, trace

from deformviz import ImageMap, Kernel, Sampling
from deformviz.explore import OPERATORS, Settings, explore
from deformviz.figures import (
    LAYERS,
    Choice,
    direction_colors,
    index_colors,
    layers_for,
    robust_top,
    sampling_figure,
    wheel_picture,
)
from deformviz.figures.canvas import canvas, lay_over, output_box

MOVING = ["arrows", "field colours", "magnitude"]
ONE_TAP = ["arrows", "field colours", "magnitude", "mask"]


def overlay(figure: go.Figure) -> Any:
    """The picture over the photo."""
    _, found = (i for i in figure.layout.images if i.xref == "x")
    return found


def length(s: Sampling, choice: Choice = Choice()) -> np.ndarray:  # noqa: B008
    """How far a tap moves: [h, w]."""
    return s.offset[choice.group, choice.tap].double().square().sum(dim=0).sqrt().numpy()


def made_up(output_size: tuple[int, int], **tensors: Any) -> Sampling:
    """A record of a 1 x 1 kernel that moves by one pixel down."""
    offset = torch.tensor([1.0, 0.0])[None, None, :, None, None].expand(1, 1, 2, *output_size)
    return Sampling("made up", output_size, output_size, Kernel.of(1), offset, **tensors)


# Which layers there are


@pytest.mark.parametrize(
    ("operator", "settings", "expected"),
    [
        ("Convolution", {}, []),
        ("Deformable Conv v1", {}, MOVING),
        ("Deformable Conv v2", {}, [*MOVING, "mask"]),
        ("Deformable Conv v1", {"field": "zero"}, []),
        ("Deformable Conv v2", {"field": "zero"}, ["mask"]),
        ("DRConv", {}, ["regions"]),
        ("CoordConv", {}, ["x coordinate", "y coordinate", "radius"]),
        ("CoordConv", {"radius": False}, ["x coordinate", "y coordinate"]),
        ("Spatial shift", {}, MOVING),
        ("Spatial shift", {"kernel_size": (1, 1)}, []),
        ("Active Shift", {}, MOVING),
        ("CycleFC", {}, MOVING),
    ],
)
def test_a_record_is_offered_what_it_has(
    operator: str, settings: dict[str, Any], expected: list[str]
) -> None:
    assert layers_for(run(operator, **settings)) == ["points", *expected]


def test_only_layers_of_one_tap_depend_on_it() -> None:
    assert [name for name, layer in LAYERS.items() if layer.per_tap] == ONE_TAP


# Where pictures lie


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(3, 3), (2, 4), (5, 1)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 4.0, (8.0, 2.0)], ids=str)
def test_a_cell_of_the_output_has_its_kernels_centre_in_its_middle(
    stride: int, size: tuple[int, int], scale: float | tuple[float, float]
) -> None:
    plain = run("Convolution", kernel_size=size, stride=stride, dilation=2)
    s = replace(plain, image_map=ImageMap.of_stride(scale))
    top, left, height, width = output_box(s)
    for axis, (start, extent) in enumerate([(top, height), (left, width)]):
        count, k = s.output_size[axis], size[axis]
        factor = scale if isinstance(scale, float) else scale[axis]
        padding = 2 * (k - 1) // 2
        for cell in range(count):
            centre = cell * stride - padding + 2 * (k - 1) / 2  # on the feature map
            middle = start + (cell + 0.5) * extent / count
            assert middle == pytest.approx((centre + 0.5) * factor - 0.5)


def test_without_a_stride_the_output_covers_the_image() -> None:
    assert output_box(run("Convolution")) == (-0.5, -0.5, 24, 17)


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_every_layer_draws_and_no_picture_hides_another(operator: str, variant: str) -> None:
    s = sampling(operator, variant)
    for layer in layers_for(s):
        for palette in ("perceptual", "Middlebury"):
            choice = Choice(s.taps - 1, s.groups - 1, palette)
            figure = sampling_figure(s, PHOTO, layer=layer, choice=choice)
            images = figure.layout.images
            # plotly.js tells them apart by these alone.
            assert len({(i.x, i.y, i.sizex, i.sizey) for i in images}) == len(images)
            assert np.array_equal(pixels(images[0])[..., :3], PHOTO)
            assert box(images[0]) == (-0.5, -0.5, 24, 17)
            assert images[0].opacity == LAYERS[layer].dim
            assert figure.to_json()
        if layer not in ("points", "arrows"):
            coordinate = s.name == "CoordConv"
            ground = (-0.5, -0.5, 24, 17) if coordinate else output_box(s)
            assert box(overlay(figure)) == pytest.approx(ground, abs=1e-4)
            rows = s.input_size if coordinate else s.output_size
            assert pixels(overlay(figure)).shape[:2] == rows
            assert 0 < overlay(figure).opacity < 1


def test_many_pictures_of_one_place_stay_apart() -> None:
    figure = canvas((4, 4), np.zeros((4, 4, 3), np.uint8))
    for _ in range(5):
        lay_over(figure, np.zeros((4, 4, 3), np.uint8), (-0.5, -0.5, 4, 4))
    places = {(i.x, i.y, i.sizex, i.sizey) for i in figure.layout.images}
    assert len(places) == 6
    assert max(i.x for i in figure.layout.images) == pytest.approx(-0.5, abs=1e-3)


# What pictures show


def test_a_mask_is_drawn_from_zero_to_one() -> None:
    s = run("Deformable Conv v2", mask="random", offset_groups=3)
    for tap, group in [(0, 0), (7, 2)]:
        figure = sampling_figure(s, PHOTO, layer="mask", choice=Choice(tap, group))
        assert s.mask is not None
        expected = scaled(s.mask[group, tap].numpy(), "Cividis", 0, 1)
        assert np.abs(pixels(overlay(figure))[..., :3] - expected).max() <= 3
        bar = figure.data[0].marker
        assert (bar.cmin, bar.cmax) == (0, 1)
        assert bar.colorbar.title.text == f"mask of tap {tap}"
        assert tuple(bar.colorscale) == tuple(
            go.Scatter(marker={"colorscale": "Cividis"}).marker.colorscale
        )


def test_a_mask_beyond_one_takes_its_scale_with_it() -> None:
    values = torch.linspace(0, 3, 20).reshape(1, 1, 4, 5)
    figure = sampling_figure(made_up((4, 5), mask=values), layer="mask")
    top = figure.data[0].marker.cmax
    assert 2.5 < top <= 3
    expected = scaled(values[0, 0].numpy(), "Cividis", 0, top)
    assert np.abs(pixels(figure.layout.images[0])[..., :3] - expected).max() <= 3


def test_a_mask_of_both_signs_has_zero_in_the_middle_of_its_scale() -> None:
    values = torch.linspace(-1, 3, 20).reshape(1, 1, 4, 5)
    figure = sampling_figure(made_up((4, 5), mask=values), layer="mask")
    bar = figure.data[0].marker
    assert bar.cmin == -bar.cmax
    expected = scaled(values[0, 0].numpy(), "PuOr", bar.cmin, bar.cmax)
    assert np.abs(pixels(figure.layout.images[0])[..., :3] - expected).max() <= 3


@pytest.mark.parametrize("operator", ["Deformable Conv v1", "Spatial shift", "Active Shift"])
def test_the_magnitude_is_how_far_the_tap_moves(operator: str) -> None:
    s = run(operator, field="wave", border="circular")
    choice = Choice(s.taps - 1, s.groups - 1)
    figure = sampling_figure(s, PHOTO, layer="magnitude", choice=choice)
    bar = figure.data[0].marker
    assert bar.cmin == 0
    assert bar.cmax == pytest.approx(robust_top(length(s, choice)), rel=1e-6)
    expected = scaled(length(s, choice), "Cividis", 0, bar.cmax)
    assert np.abs(pixels(overlay(figure))[..., :3] - expected).max() <= 3


@pytest.mark.parametrize("palette", ["perceptual", "Middlebury"])
def test_field_colours_are_those_of_the_legend(palette: Any) -> None:
    s = run("Deformable Conv v1", field="random", offset_groups=3)
    choice = Choice(5, 2, palette)
    figure = sampling_figure(s, PHOTO, layer="field colours", choice=choice)
    top = robust_top(length(s, choice))
    expected = direction_colors(s.offset[2, 5].numpy(), top, palette)
    drawn = pixels(overlay(figure))
    assert np.array_equal(drawn[..., 3], expected[..., 3])
    visible = expected[..., 3] > 0
    assert np.abs(drawn[visible].astype(int) - expected[visible].astype(int)).max() <= 1
    (wheel,) = (i for i in figure.layout.images if i.xref == "x domain")
    legend, drawn = wheel_picture(palette).astype(float), pixels(wheel)
    inside = legend[..., 3] > 0
    share = legend[inside, 3:] / 255
    on_white = share * legend[inside, :3] + (1 - share) * 255
    assert np.abs(drawn[inside, :3] - on_white).max() <= 1
    assert (drawn[inside, 3] == 255).all()  # the photo does not shine through
    (rim,) = figure.layout.annotations
    assert rim.text == f"rim = {top:.3g} px"


@pytest.mark.parametrize("operator", ["Deformable Conv v1", "Deformable Conv v2"])
def test_one_exploded_offset_does_not_bleach_the_others(operator: str) -> None:
    s = run(operator, field="random")
    offset = s.offset.clone()
    offset[0, 0, :, 3, 4] = 1e9
    offset[0, 0, :, 9, 9] = float("nan")
    offset[0, 0, :, 9, 8] = float("inf")
    broken = replace(s, offset=offset)
    magnitude = sampling_figure(broken, PHOTO, layer="magnitude")
    assert magnitude.data[0].marker.cmax <= float(length(s).max())
    colors = sampling_figure(broken, PHOTO, layer="field colours")
    assert pixels(overlay(colors))[9, 8:10, 3].tolist() == [0, 0]
    assert trace(sampling_figure(broken, PHOTO, layer="arrows"), "field").marker.cmax < 100


@pytest.mark.parametrize("regions", [1, 4, 8])
def test_regions_have_the_colours_of_the_legend(regions: int) -> None:
    s = run("DRConv", guide="random", regions=regions)
    assert s.region is not None
    figure = sampling_figure(s, PHOTO, layer="regions")
    table = np.array([rgb(color) for color in index_colors(regions)])
    assert np.array_equal(pixels(overlay(figure))[..., :3], table[s.region.numpy()])
    legend = [t for t in figure.data if t.name.startswith("region")]
    assert [rgb(t.marker.color) for t in legend] == [tuple(color) for color in table]
    for index, entry in enumerate(legend):
        share = (s.region == index).double().mean().item()
        assert entry.name == f"region {index}: {share:.0%}"
        assert entry.showlegend
    assert figure.layout.showlegend


def test_regions_without_their_guide() -> None:
    region = torch.tensor([[0, 2], [2, 0]])
    figure = sampling_figure(made_up((2, 2), region=region), layer="regions")
    names = [t.name for t in figure.data if t.name.startswith("region")]
    assert names == ["region 0: 50%", "region 1: 0%", "region 2: 50%"]


@pytest.mark.parametrize("layer", ["x coordinate", "y coordinate", "radius"])
def test_coordinates_run_from_minus_one_to_one(layer: str) -> None:
    figure = sampling_figure(run("CoordConv"), PHOTO, layer=layer)
    y, x = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 17), indexing="ij")
    values = {"x coordinate": x, "y coordinate": y, "radius": np.sqrt(x**2 + y**2)}[layer]
    scale, low, high = ("Cividis", 0, 2**0.5) if layer == "radius" else ("PuOr", -1, 1)
    expected = scaled(values, scale, low, high)
    assert np.abs(pixels(overlay(figure))[..., :3] - expected).max() <= 3
    bar = figure.data[0].marker
    assert (bar.cmin, bar.cmax) == pytest.approx((low, high))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """As large as a real one: a smooth picture, [100, 80, 3]."""
    y, x = np.mgrid[0:100, 0:80]
    colors = np.stack((y * 2.5, x * 3, (np.sin(x / 9) + 1) * 120), axis=-1)
    return colors.astype(np.uint8)


def test_a_large_map_of_regions_keeps_its_colours(photo: np.ndarray) -> None:
    s = explore(photo, Settings(operator="DRConv", guide="random")).sampling
    assert s.region is not None
    table = np.array([rgb(color) for color in index_colors(4)])
    drawn = pixels(overlay(sampling_figure(s, photo, layer="regions")))[..., :3]
    assert np.abs(drawn - table[s.region.numpy()]).max() <= 3


def test_a_large_mask_keeps_its_values(photo: np.ndarray) -> None:
    s = explore(photo, Settings(mask="random")).sampling
    assert s.mask is not None
    drawn = pixels(overlay(sampling_figure(s, photo, layer="mask")))[..., :3]
    assert np.abs(drawn - scaled(s.mask[0, 0].numpy(), "Cividis", 0, 1)).max() <= 3


def test_a_large_magnitude_keeps_its_values(photo: np.ndarray) -> None:
    s = explore(photo, Settings(field="random")).sampling
    figure = sampling_figure(s, photo, layer="magnitude")
    expected = scaled(length(s), "Cividis", 0, figure.data[0].marker.cmax)
    assert np.abs(pixels(overlay(figure))[..., :3] - expected).max() <= 3


def test_coordinates_cover_the_image_of_a_network() -> None:
    s = replace(run("CoordConv"), image_map=ImageMap.of_stride(4))
    image = np.zeros((96, 68, 3), np.uint8)
    figure = sampling_figure(s, image, layer="x coordinate")
    assert box(overlay(figure)) == pytest.approx((-0.5, -0.5, 96, 68), abs=1e-4)


# Arrows


def ends(s: Sampling, choice: Choice = Choice()) -> tuple[np.ndarray, np.ndarray, Any]:  # noqa: B008
    """Where arrows start and end on the image, [n, 2] in (y, x) each, and the trace."""
    arrows = trace(sampling_figure(s, layer="arrows", choice=choice), "field")
    start = np.column_stack((arrows.y, arrows.x))
    return start, start + np.column_stack((arrows.v, arrows.u)), arrows


@pytest.mark.parametrize(("operator", "variant"), [c for c in CASES if run(c[0]).offset.any()])
@pytest.mark.parametrize("scale", [1, 4])
def test_an_arrow_ends_where_its_tap_is_read(operator: str, variant: str, scale: int) -> None:
    s = replace(sampling(operator, variant), image_map=ImageMap.of_stride(scale))
    for tap, group in {(0, 0), (s.taps - 1, s.groups - 1)}:
        if not s.offset[group, tap].any():
            continue
        start, end, _ = ends(s, Choice(tap, group))
        on_map = (start + 0.5) / scale - 0.5
        i, j = divmod(tap, s.kernel.size[1])
        steps = [n * d for n, d in zip((i, j), s.kernel.dilation, strict=True)]
        position = (on_map - steps + s.kernel.padding) / s.kernel.stride
        y, x = position.round().astype(int).T
        assert np.abs(position - np.column_stack((y, x))).max() < 1e-4
        points = s.points()[group, tap][:, y, x].T.numpy()
        assert end == pytest.approx((points + 0.5) * scale - 0.5, abs=1e-3)


def test_arrows_keep_their_true_length_and_have_numbers_for_colours() -> None:
    s = run("Deformable Conv v1", field="wave")
    start, end, arrows = ends(s)
    assert (arrows.lengthmode, arrows.lengthfactor, arrows.arrowref) == ("raw", 1, "data")
    assert arrows.anchor == "tail"
    assert arrows.marker.color == pytest.approx(np.hypot(*(end - start).T), abs=1e-4)
    assert (arrows.marker.cmin, arrows.marker.cmax) == (0, robust_top(arrows.marker.color))
    bar = sampling_figure(s, PHOTO, layer="arrows").data[1].marker
    assert (bar.cmin, bar.cmax) == (0, arrows.marker.cmax)
    assert bar.colorbar.title.text == "|Δ| of tap 0, px"


@pytest.mark.parametrize("size", [(200, 150), (30, 30), (61, 90), (5, 4)], ids=str)
def test_arrows_are_some_and_not_too_many(size: tuple[int, int]) -> None:
    arrows = trace(sampling_figure(made_up(size), layer="arrows"), "field")
    assert min(size) ** 2 / 4 <= len(arrows.x) or len(arrows.x) >= 300
    assert len(arrows.x) <= 45**2
    assert len(np.unique(arrows.x)) > 1
    assert len(np.unique(arrows.y)) > 1


@pytest.mark.parametrize("size", [(300, 1), (1, 300), (1024, 9)], ids=str)
def test_a_long_and_narrow_map_has_arrows(size: tuple[int, int]) -> None:
    """Queries that form no grid are a column."""
    arrows = trace(sampling_figure(made_up(size), layer="arrows"), "field")
    assert 10 <= len(arrows.x) <= 45**2


def test_the_scales_that_are_named_exist() -> None:
    for scale in ("Cividis", "Plasma", "PuOr"):
        assert plotly.colors.get_colorscale(scale)


@pytest.mark.parametrize("operator", OPERATORS)
def test_names_are_never_read_as_markup(operator: str) -> None:
    s = replace(run(operator), name="<img src=x onerror=alert(1)>")
    for layer in layers_for(s):
        assert "<img" not in sampling_figure(s, PHOTO, layer=layer).to_json()
