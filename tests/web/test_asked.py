"""From the controls' values to a run, and from a click to an output position."""

from __future__ import annotations

import contextlib
import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deformviz import ImageMap, examples
from deformviz.explore import OPERATORS, Exploration, Settings, explore
from deformviz.images import ImageError
from deformviz.web.asked import Asked, choose, clicked, draw, five_ways, position, run

PHOTO = np.random.default_rng(0).integers(0, 256, (23, 18, 3), dtype=np.uint8)

ASKED = Asked(
    photo=None,
    example="cat",
    side=48,
    operator="Deformable Conv v2",
    kernel_height=3,
    kernel_width=3,
    stride=1,
    dilation=1,
    weights="mean",
    field="wave",
    strength=3.0,
    offset_groups=1,
    mask="radial",
    mask_strength=1.0,
    guide="by colour",
    regions=4,
    generated=False,
    radius=True,
    coordinate_weight=0.3,
    directions="up, down, left, right",
    strategy="slice",
    border="zero",
    seed=0,
    layer="points",
    tap=0,
    group=0,
    palette="perceptual",
    channel="red",
    y=5,
    x=6,
)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(PHOTO).save(path)
    return str(path)


@cache
def exploration(**settings: Any) -> Exploration:
    return explore(PHOTO, Settings(**settings))


# What is run


def test_every_setting_is_taken_from_its_control() -> None:
    other = Settings(
        operator="DRConv",
        kernel_size=(2, 5),
        stride=3,
        dilation=4,
        weights="Sobel y",
        field="rotate",
        strength=77.5,
        offset_groups=3,
        mask="random",
        mask_strength=0.25,
        guide="by edges",
        regions=7,
        generated=True,
        radius=False,
        coordinate_weight=-0.5,
        directions="diagonals",
        strategy="roll",
        border="circular",
        seed=123456789,
    )
    default = Settings()
    values = {f.name: getattr(other, f.name) for f in fields(Settings)}
    assert not [name for name, value in values.items() if value == getattr(default, name)]
    height, width = values.pop("kernel_size")
    assert replace(ASKED, kernel_height=height, kernel_width=width, **values).settings == other


def test_whole_numbers_may_come_as_a_slider_gives_them() -> None:
    asked = replace(ASKED, kernel_height=5.0, kernel_width=3.0, stride=2.0, dilation=3.0, seed=4.0)
    settings = asked.settings
    assert (
        settings
        == replace(ASKED, kernel_height=5, kernel_width=3, stride=2, dilation=3, seed=4).settings
    )
    assert all(isinstance(n, int) for n in (*settings.kernel_size, settings.stride, settings.seed))


@pytest.mark.parametrize("name", ["seed", "stride", "kernel_height", "regions", "side"])
def test_a_field_that_was_emptied_is_no_failure_of_the_server(name: str) -> None:
    """Its default, or a ValueError, whose words are shown."""
    with contextlib.suppress(ValueError):
        run(replace(ASKED, operator="Convolution", **{name: None}), "cpu")


def test_a_photo_of_ones_own_goes_before_the_example(photo: str) -> None:
    assert replace(ASKED, photo=photo).path == photo
    assert ASKED.path == str(examples.path("cat"))
    assert replace(ASKED, photo="").path == ASKED.path


def test_an_unknown_example_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ImageError, match=r"no example image '\.\./secret'.*cat"):
        run(replace(ASKED, example="../secret"), "cpu")


def test_a_photo_that_is_not_there_is_not_named() -> None:
    with pytest.raises(ImageError, match="no such file") as caught:
        run(replace(ASKED, photo="/home/somebody/secret.png"), "cpu")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_run_is_the_cores_own(operator: str, photo: str) -> None:
    asked = replace(ASKED, photo=photo, operator=operator)
    ours, decoded = run(asked, "cpu")
    assert np.array_equal(decoded.pixels, PHOTO)
    other = explore(PHOTO, asked.settings)
    assert torch.equal(ours.sampling.points(), other.sampling.points())
    assert torch.equal(ours.picture, other.picture)


def test_another_position_or_layer_runs_nothing_again(photo: str) -> None:
    asked = replace(ASKED, photo=photo)
    first, _ = run(asked, "cpu")
    again, _ = run(replace(asked, y=9, x=9, layer="mask", tap=3, palette="Middlebury"), "cpu")
    assert again is first
    other, _ = run(replace(asked, stride=2), "cpu")
    assert other is not first


# Where


@pytest.mark.parametrize(
    ("y", "x", "expected"),
    [
        (5, 6, (5, 6)),
        (0, 0, (0, 0)),
        (-1, -(10**9), (0, 0)),
        (23, 18, (22, 17)),
        (10**9, 3, (22, 3)),
        (None, None, (0, 0)),
        (4.0, 7.0, (4, 7)),
    ],
)
def test_a_position_is_moved_onto_the_output(y: Any, x: Any, expected: tuple[int, int]) -> None:
    assert position(replace(ASKED, y=y, x=x), exploration()) == expected


def test_a_smaller_output_has_fewer_positions() -> None:
    assert position(replace(ASKED, y=22, x=17), exploration(stride=3)) == (7, 5)


GEOMETRIES: list[dict[str, Any]] = [
    {},
    {"stride": 2},
    {"kernel_size": (2, 4)},
    {"kernel_size": (4, 2), "stride": 2, "dilation": 3},
    {"kernel_size": (1, 5), "stride": 3},
]


@pytest.mark.parametrize("settings", GEOMETRIES, ids=str)
def test_a_click_on_the_image_takes_the_kernel_that_is_nearest(settings: dict[str, Any]) -> None:
    ours = exploration(operator="Convolution", **settings)
    size = settings.get("kernel_size", (3, 3))
    stride, dilation = settings.get("stride", 1), settings.get("dilation", 1)
    centres = [
        np.arange(count) * stride - dilation * (k - 1) // 2 + dilation * (k - 1) / 2
        for count, k in zip(ours.sampling.output_size, size, strict=True)
    ]
    generator = np.random.default_rng(0)
    for place in generator.uniform([0, 0], [22, 17], (60, 2)):
        distances = [np.abs(c - p) for c, p in zip(centres, place, strict=True)]
        found = clicked({"figure": "image", "y": place[0], "x": place[1]}, ours)
        clamped = position(replace(ASKED, y=found[0], x=found[1]), ours)
        assert clamped == tuple(int(d.argmin()) for d in distances)


@pytest.mark.parametrize("settings", GEOMETRIES, ids=str)
def test_a_click_on_a_kernels_centre_takes_it(settings: dict[str, Any]) -> None:
    ours = exploration(operator="Convolution", **settings)
    h, w = ours.sampling.output_size
    for y, x in [(0, 0), (h - 1, w - 1), (h // 2, w // 3)]:
        centre = ours.sampling.points_at(y, x).reshape(-1, 2).mean(dim=0).tolist()
        assert clicked({"figure": "image", "y": centre[0], "x": centre[1]}, ours) == (y, x)


def test_a_click_on_the_image_of_a_network() -> None:
    ours = exploration(operator="Convolution", stride=2)
    on_image = replace(ours, sampling=replace(ours.sampling, image_map=ImageMap.of_stride(4)))
    # Position (3, 5) lies on pixel (6, 10) of the map, which is a tile of 4 x 4 of the image.
    for y in (24, 27):
        assert clicked({"figure": "image", "y": y, "x": 42}, on_image) == (3, 5)


@pytest.mark.parametrize("settings", GEOMETRIES, ids=str)
def test_a_click_on_the_output_takes_its_pixel(settings: dict[str, Any]) -> None:
    ours = exploration(**settings)
    for y, x, expected in [(2, 3, (2, 3)), (1.6, 3.4, (2, 3)), (0, 0, (0, 0)), (-0.4, 0.4, (0, 0))]:
        assert clicked({"figure": "output", "y": y, "x": x}, ours) == expected


@pytest.mark.parametrize("figure", ["image", "output"])
@pytest.mark.parametrize("place", [(-400.0, -3.0), (1e5, 1e5)])
def test_a_click_beside_the_map_takes_its_border(figure: str, place: tuple[float, float]) -> None:
    ours = exploration()
    y, x = clicked({"figure": figure, "y": place[0], "x": place[1]}, ours)
    expected = (0, 0) if place[0] < 0 else (22, 17)
    assert position(replace(ASKED, y=y, x=x), ours) == expected


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    "value",
    [NAN, INFINITY, -INFINITY, "3", "", None, True, False, [3], {"y": 3}, 1e6, -1e300, 10**400],
    ids=lambda value: repr(value)[:9],
)
@pytest.mark.parametrize("axis", ["y", "x"])
def test_a_click_without_a_place_is_refused(axis: str, value: Any) -> None:
    data = {"figure": "image", "y": 3, "x": 4} | {axis: value}
    with pytest.raises(ValueError, match="a click must name a figure and a place"):
        clicked(data, exploration())


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"figure": "image"},
        {"figure": "image", "y": 3},
        {"y": 3, "x": 4},
        {"figure": "kernel", "y": 3, "x": 4},
        {"figure": None, "y": 3, "x": 4},
        {"figure": ["image"], "y": 3, "x": 4},
        {"figure": 0, "y": 3, "x": 4},
    ],
    ids=str,
)
def test_a_click_on_nothing_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a click must name a figure and a place"):
        clicked(data, exploration())


# What lies over the image


@pytest.mark.parametrize(
    ("operator", "layer", "expected"),
    [
        ("Convolution", "mask", "points"),
        ("Convolution", "arrows", "points"),
        ("Deformable Conv v1", "mask", "points"),
        ("Deformable Conv v1", "arrows", "arrows"),
        ("Deformable Conv v2", "mask", "mask"),
        ("DRConv", "regions", "regions"),
        ("CoordConv", "radius", "radius"),
        ("Spatial shift", "regions", "points"),
    ],
)
def test_a_layer_that_an_operator_has_not_gives_way_to_the_points(
    operator: str, layer: str, expected: str
) -> None:
    chosen, _ = choose(replace(ASKED, layer=layer), exploration(operator=operator))
    assert chosen == expected


@pytest.mark.parametrize(
    ("tap", "group", "expected"),
    [(4, 2, (4, 2)), (9, 3, (8, 2)), (-1, -1, (0, 0)), (None, None, (0, 0)), (10**9, 1, (8, 1))],
)
def test_the_nearest_tap_and_group_are_taken(
    tap: Any, group: Any, expected: tuple[int, int]
) -> None:
    asked = replace(ASKED, tap=tap, group=group, palette="Middlebury")
    _, choice = choose(asked, exploration(offset_groups=3))
    assert (choice.tap, choice.group) == expected
    assert choice.palette == "Middlebury"


def test_where_each_group_has_one_tap_only_the_group_is_chosen() -> None:
    _, choice = choose(replace(ASKED, tap=8, group=3), exploration(operator="Spatial shift"))
    assert (choice.tap, choice.group) == (0, 3)


# Everything at once


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_drawing_says_where_it_really_is(operator: str, photo: str) -> None:
    asked = replace(ASKED, photo=photo, operator=operator, stride=2, y=900, x=-4, layer="mask")
    text, y, x, ours = draw(asked, "cpu")
    assert (y, x) == (ours.sampling.output_size[0] - 1, 0)
    view = json.loads(text)
    assert view["terms"]["symbol"] == f"y({y}, {x})"
    assert (view["shifts"] is not None) == (operator == "Spatial shift")


@pytest.mark.parametrize("channel", ["red", "green", "blue"])
def test_the_sum_is_that_of_the_chosen_colour(channel: str, photo: str) -> None:
    text, y, x, ours = draw(replace(ASKED, photo=photo, channel=channel), "cpu")
    assert ours.sampling.output is not None
    index = ("red", "green", "blue").index(channel)
    assert json.loads(text)["terms"]["output"] == float(ours.sampling.output[index, y, x])


def test_the_examples_can_be_drawn(tmp_path: Path) -> None:
    for name in examples.names():
        text, *_ = draw(replace(ASKED, example=name, layer="arrows"), "cpu")
        assert json.loads(text)["figures"]["image"]["layout"]["images"]


def test_five_ways_on_the_tensor_and_on_the_photo(photo: str) -> None:
    rows = five_ways(replace(ASKED, photo=photo, border="circular"), "cpu")["rows"]
    assert [row["strategy"] for row in rows] == [
        "slice",
        "roll",
        "deform_conv2d",
        "depthwise",
        "grid_sample",
    ]
    assert [row["image"]["difference"] for row in rows[:4]] == [0, 0, 0, 0]
    assert 0 < rows[4]["image"]["difference"] < 1e-4
