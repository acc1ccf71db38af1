"""Whole figures: the canvas under the points, the output, and what is said about wrong requests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from drawn import CASES, PHOTO, X, Y, box, pixels, places, run, sampling, trace

from deformviz import ImageMap, Kernel, Sampling
from deformviz.explore import OPERATORS
from deformviz.figures import (
    LAYERS,
    Choice,
    as_picture,
    kernel_figure,
    output_figure,
    sampling_figure,
)
from deformviz.operators import DeformConv2d, ModulatedDeformConv2d

# The input


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_the_points_of_the_position_lie_over_the_image(operator: str, variant: str) -> None:
    s = sampling(operator, variant)
    figure = sampling_figure(s, PHOTO, y=2, x=1)
    expected = s.points_at(2, 1).reshape(-1, 2).numpy()
    assert np.array_equal(places(trace(figure, "taps")), expected)


def test_the_middle_is_taken_where_no_position_is_given() -> None:
    s = run("Convolution")
    dots = places(trace(sampling_figure(s, PHOTO), "taps"))
    assert dots[4].tolist() == [12, 8]
    assert places(trace(sampling_figure(s, PHOTO, y=0, x=0), "taps"))[4].tolist() == [0, 0]
    assert places(trace(sampling_figure(s, PHOTO, y=3), "taps"))[4].tolist() == [3, 8]


def test_one_group_alone() -> None:
    s = run("Deformable Conv v1", field="random", offset_groups=3)
    dots = places(trace(sampling_figure(s, PHOTO, y=Y, x=X, group=2), "taps"))
    assert np.array_equal(dots, s.points_at(Y, X)[2].numpy())


def test_y_runs_downwards_and_pixels_are_square() -> None:
    layout = sampling_figure(run("Convolution"), PHOTO).layout
    assert tuple(layout.xaxis.range) == (-0.5, 16.5)
    assert tuple(layout.yaxis.range) == (23.5, -0.5)
    assert layout.yaxis.scaleanchor == "x"


def test_the_zoom_is_kept_until_the_image_has_another_size() -> None:
    s = run("Deformable Conv v2", field="wave")
    same = [
        sampling_figure(s, PHOTO),
        sampling_figure(s, PHOTO, y=1, x=2),
        sampling_figure(s, PHOTO, layer="mask"),
    ]
    assert len({f.layout.uirevision for f in same}) == 1
    larger = replace(s, image_map=ImageMap.of_stride(2))
    other = sampling_figure(larger, np.zeros((48, 34, 3), np.uint8))
    assert other.layout.uirevision != same[0].layout.uirevision


def test_an_image_that_the_map_does_not_cover_is_refused() -> None:
    s = run("Deformable Conv v1", field="wave")
    with pytest.raises(ValueError, match="image_map"):
        sampling_figure(s, np.zeros((96, 68, 3), np.uint8))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_drawn(dtype: torch.dtype) -> None:
    layer = ModulatedDeformConv2d(3, 3, 3, padding=1).to(dtype)
    s = layer.sampling(torch.rand(1, 3, 8, 8, dtype=dtype))
    assert len(sampling_figure(s, layer="mask", y=2, x=3).data[-1].x) == 9
    assert len(kernel_figure(s, 2, 3).data) == 3
    assert len(output_figure(s).layout.images) == 1


def test_an_image_of_a_feature_map_has_its_own_pixels() -> None:
    s = replace(run("Deformable Conv v1", field="wave"), image_map=ImageMap.of_stride(4))
    image = np.zeros((96, 68, 3), np.uint8)
    figure = sampling_figure(s, image, y=Y, x=X)
    assert box(figure.layout.images[0]) == (-0.5, -0.5, 96, 68)
    assert tuple(figure.layout.xaxis.range) == (-0.5, 67.5)


@pytest.mark.parametrize("stride", [1, 4])
def test_without_an_image_the_map_itself_lies_under_the_points(stride: int) -> None:
    s = replace(run("Convolution"), image_map=ImageMap.of_stride(stride))
    figure = sampling_figure(s, y=Y, x=X)
    (image,) = figure.layout.images
    assert np.array_equal(pixels(image)[..., :3], PHOTO)
    top, left, height, width = box(image)
    # The dot in the kernel's middle reads pixel (Y, X), which must be the pixel under it.
    y, x = places(trace(figure, "taps"))[4]
    assert ((y - top) * 24 / height - 0.5, (x - left) * 17 / width - 0.5) == pytest.approx((Y, X))
    left, right = figure.layout.xaxis.range
    bottom, top = figure.layout.yaxis.range
    assert left < x < right
    assert top < y < bottom


def test_a_map_of_few_channels_is_grey() -> None:
    layer = DeformConv2d(2, 4, 3, padding=1)
    s = layer.sampling(torch.rand(1, 2, 6, 7))
    (image,) = sampling_figure(s).layout.images
    assert s.input is not None
    expected = (255 * s.input[0].numpy())[..., None].repeat(3, axis=-1)
    assert np.abs(pixels(image)[..., :3] - expected).max() <= 0.51


def test_without_any_picture_the_points_are_drawn_all_the_same() -> None:
    s = Sampling.regular("convolution", Kernel.of(3, padding=1), (6, 7))
    figure = sampling_figure(s, y=2, x=3)
    assert not figure.layout.images
    assert tuple(figure.layout.xaxis.range) == (-0.5, 6.5)
    assert places(trace(figure, "taps"))[0].tolist() == [1, 2]


# Requests that cannot be met


def test_an_unknown_layer_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown layer 'heat': expected one of") as caught:
        sampling_figure(run("Convolution"), PHOTO, layer="heat")
    assert all(name in str(caught.value) for name in LAYERS)


@pytest.mark.parametrize(
    ("operator", "layer"),
    [
        ("Convolution", "arrows"),
        ("Deformable Conv v1", "mask"),
        ("Deformable Conv v2", "regions"),
        ("DRConv", "magnitude"),
        ("Convolution", "x coordinate"),
    ],
)
def test_a_layer_that_has_nothing_to_show(operator: str, layer: str) -> None:
    with pytest.raises(ValueError, match=f"^{operator} has nothing to show as '{layer}'$"):
        sampling_figure(run(operator), PHOTO, layer=layer)


@pytest.mark.parametrize("tap", [-1, 9, 10**9])
def test_a_tap_that_there_is_not(tap: int) -> None:
    with pytest.raises(ValueError, match=f"tap {tap} is not one of the 9 taps"):
        sampling_figure(run("Convolution"), PHOTO, choice=Choice(tap=tap))


@pytest.mark.parametrize("group", [-1, 3])
def test_a_group_that_there_is_not(group: int) -> None:
    s = run("Deformable Conv v1", offset_groups=3)
    with pytest.raises(ValueError, match="no such offset group: the Sampling has 3"):
        sampling_figure(s, PHOTO, group=group)
    with pytest.raises(ValueError, match="no such offset group: the Sampling has 3"):
        sampling_figure(s, PHOTO, choice=Choice(group=group))


@pytest.mark.parametrize("place", [(24, 0), (0, 17), (-1, 0), (0, -1)])
def test_a_position_outside_the_output(place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside the 24 x 17 output"):
        sampling_figure(run("Convolution"), PHOTO, y=place[0], x=place[1])


# What leaves for the browser


def arrays(part: Any) -> list[dict[str, str]]:
    """The typed arrays in a figure's JSON."""
    if isinstance(part, dict):
        if "bdata" in part:
            return [part]
        part = list(part.values())
    return [found for value in part for found in arrays(value)] if isinstance(part, list) else []


@pytest.mark.parametrize("operator", OPERATORS)
def test_coordinates_become_typed_arrays(operator: str) -> None:
    s = run(operator, field="wave")
    layer = "arrows" if LAYERS["arrows"].fits(s) else "points"
    figure = json.loads(sampling_figure(s, PHOTO, y=Y, x=X, layer=layer).to_json())
    for drawn in figure["data"]:
        if drawn.get("name") in ("taps", "offsets", "regular grid", "field"):
            for axis in ("x", "y", "u", "v"):
                values = drawn.get(axis, [])  # an empty array is an empty list
                assert values == [] or values["dtype"] == "f4", (drawn["name"], axis)
    assert arrays(figure)


# The output


def test_the_output_is_drawn_in_its_own_pixels() -> None:
    s = run("Convolution", stride=2)
    figure = output_figure(s, y=3, x=4)
    assert s.output is not None
    assert box(figure.layout.images[0]) == (-0.5, -0.5, 12, 9)
    expected = 255 * np.clip(s.output.movedim(0, -1).numpy(), 0, 1)
    assert np.abs(pixels(figure.layout.images[0])[..., :3] - expected).max() <= 0.51
    assert places(trace(figure, "position")).tolist() == [[3, 4]]
    assert figure.to_json()
    assert not output_figure(s).data


def test_another_picture_can_stand_in_for_the_output() -> None:
    s = run("Spatial shift")
    figure = output_figure(s, torch.zeros(3, 24, 17), y=0, x=0)
    assert (pixels(figure.layout.images[0])[..., :3] == 0).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_an_output_of_any_number_of_channels(channels: int) -> None:
    s = DeformConv2d(3, channels, 3, padding=1).sampling(torch.rand(1, 3, 6, 7))
    (image,) = output_figure(s).layout.images
    assert pixels(image).shape == (6, 7, 4)


def test_an_output_that_is_not_there() -> None:
    s = Sampling.regular("the third <layer>", Kernel.of(3), (6, 7))
    with pytest.raises(ValueError, match="'the third <layer>' does not hold its output"):
        output_figure(s)


# Maps as pictures


def test_values_between_zero_and_one_are_taken_as_they_are() -> None:
    values = torch.linspace(0.2, 0.7, 30).reshape(3, 2, 5)
    picture = as_picture(values)
    assert picture.dtype == np.uint8
    assert np.abs(picture - 255 * values.movedim(0, -1).numpy()).max() <= 0.5


def test_one_channel_is_grey_and_of_many_the_first_three_are_taken() -> None:
    grey = as_picture(torch.full((1, 2, 2), 0.5))
    assert grey.shape == (2, 2, 3)
    assert np.ptp(grey) == 0
    many = torch.rand(5, 2, 2)
    assert np.array_equal(as_picture(many), as_picture(many[:3]))


def test_zero_is_middle_grey_in_a_map_of_both_signs() -> None:
    values = torch.linspace(-4, 2, 301)[None, None]
    picture = as_picture(values)[0, :, 0].astype(int)
    assert abs(picture[200] - 127.5) <= 1
    assert picture[0] == 0
    assert (np.diff(picture) >= 0).all()
    assert abs(picture[-1] - 191) <= 3  # half as far from the middle as the other end


def test_a_map_beyond_one_is_stretched() -> None:
    picture = as_picture(torch.linspace(0, 40, 301)[None, None])[0, :, 0].astype(int)
    assert (picture[0], picture[-1]) == (0, 255)
    assert abs(picture[150] - 128) <= 3
    wild = torch.linspace(0, 40, 1000)[None, None].clone()
    wild[0, 0, 500] = 1e9
    assert abs(int(as_picture(wild)[0, 250, 0]) - 64) <= 3


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("largest", [1.0, 5.0])
def test_what_is_not_finite_leaves_the_rest_of_a_map_alone(broken: float, largest: float) -> None:
    values = torch.linspace(0, largest, 1000).reshape(1, 20, 50)
    expected = as_picture(values).astype(int)
    spoilt = values.clone()
    spoilt[0, 3, 4] = broken
    picture = as_picture(spoilt).astype(int)
    difference = np.abs(picture - expected).max(axis=-1)
    difference[3, 4] = 0
    assert difference.max() <= 3


def test_a_map_of_zeros_is_black() -> None:
    assert (as_picture(torch.zeros(3, 4, 4)) == 0).all()


def test_a_map_that_is_still_being_learned() -> None:
    assert as_picture(torch.rand(3, 4, 4, requires_grad=True)).shape == (4, 4, 3)
