"""What the viewer is given first, against the record and definitions written out here."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.colors
import pytest
import torch
from plotly.io.json import to_json_plotly
from records import CASES, PHOTO, attention, pixels, record, run, strict

from deformviz import ImageMap, Kernel, Sampling
from deformviz.explore import OPERATORS
from deformviz.viewer import OVERLAYS
from deformviz.viewer.scene import kernel_reach, scene

MOVING = ["field colours", "magnitude"]
BLUE, ORANGE = "#0072B2", "#E69F00"
"""The first two of Okabe and Ito's colours, as this project has them."""


def told(sampling: Sampling, image: np.ndarray | None = None, **options: Any) -> Any:
    """A scene as it is after its way to the browser."""
    return strict(to_json_plotly(scene(sampling, image, **options)))


def points(view: Any) -> np.ndarray:
    """The points of the early reading [G, K, 2], as the browser works them out."""
    reading, header = view["reading"], view["header"]
    offset = np.array(reading["offset"], dtype=np.float64)
    if reading["base"] is not None:
        return np.array(reading["base"]) + offset
    place, (_, columns) = (reading["y"], reading["x"]), header["kernel_size"]
    base = np.zeros(offset.shape)
    for tap in range(view["taps"]):
        for axis, step in enumerate(divmod(tap, columns)):
            first = place[axis] * header["stride"][axis] - header["padding"][axis]
            base[:, tap, axis] = first + step * header["dilation"][axis]
    return base + offset


def made_up(offset: torch.Tensor, **fields: Any) -> Sampling:
    """A record of offsets [G, K, 2, h, w] on a padded kernel of one row."""
    taps, h, w = offset.shape[1], *offset.shape[3:]
    kernel = Kernel.of((1, taps), padding=(0, taps // 2))
    return Sampling("made up", (h, w), (h, w), kernel, offset, **fields)


# Everything


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_a_scene_is_plain_json(operator: str, variant: str) -> None:
    s = record(operator, variant)
    for image in (PHOTO, None):
        view = told(s, image)
        assert view["header"] == s.header()
        assert (view["groups"], view["taps"]) == s.offset.shape[:2]
        assert set(view["grounds"]) == {"image", "output"}
        assert view["caption"]
        assert view["outputCaption"]


def test_a_record_with_base_points_of_its_own_is_plain_json() -> None:
    view = told(attention(groups=4, points=3))
    assert (view["groups"], view["taps"]) == (4, 3)


def test_numbers_that_are_not_finite_are_left_out() -> None:
    s = attention()
    s.offset[..., 3, 3] = float("nan")
    s.offset[0, 0, 0] = float("inf")
    view = told(s)
    assert view["reading"]["offset"][1][4] == [None, None]
    assert math.isfinite(view["reach"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_any_precision_will_do(dtype: torch.dtype) -> None:
    s = attention()
    assert s.output is not None
    assert s.input is not None
    halves = {"offset": s.offset.to(dtype), "output": s.output.to(dtype)}
    view = told(replace(s, **halves, input=s.input.to(dtype)))
    assert view["reading"]["offset"] == halves["offset"][..., 3, 3].tolist()


@pytest.mark.filterwarnings("error")
def test_a_record_that_is_still_being_learned() -> None:
    s = attention()
    learned = {name: getattr(s, name).clone().requires_grad_() for name in ("offset", "reference")}
    assert points(told(replace(s, **learned))) == pytest.approx(points(told(s)))


# Where things lie


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_each_position_lies_in_the_middle_of_its_ground(operator: str, variant: str) -> None:
    s = replace(record(operator, variant), image_map=ImageMap((3.5, -2.0), (4.0, 2.5)))
    top, left, height, width = told(s)["outputBox"]
    h, w = s.output_size
    for y, x in [(0, 0), (h - 1, w - 1), (h // 2, 1)]:
        middle = s.image_map.to_image(s.base_at(y, x)).reshape(-1, 2).mean(dim=0).tolist()
        assert top + (y + 0.5) * height / h == pytest.approx(middle[0], abs=1e-4)
        assert left + (x + 0.5) * width / w == pytest.approx(middle[1], abs=1e-4)


def test_the_photo_lies_under_everything() -> None:
    ground = told(run("Convolution"), PHOTO)["grounds"]["image"]
    assert np.array_equal(pixels(ground["source"]), PHOTO)
    assert ground["box"] == [-0.5, -0.5, 24, 17]


def test_a_photo_that_has_an_address_is_not_encoded_again() -> None:
    ground = scene(run("Convolution"), PHOTO, uri="data:image/png;base64,here")["grounds"]["image"]
    assert ground == {"source": "data:image/png;base64,here", "box": [-0.5, -0.5, 24, 17]}


@pytest.mark.parametrize(
    "image_map", [ImageMap(), ImageMap.of_stride(4), ImageMap((9.0, -3.0), (2.0, 2.0))], ids=str
)
def test_without_a_photo_the_map_itself_lies_where_it_is_read(image_map: ImageMap) -> None:
    s = replace(run("Convolution"), image_map=image_map)
    ground = told(s)["grounds"]["image"]
    assert np.array_equal(pixels(ground["source"]), PHOTO)
    top, left, height, width = ground["box"]
    for pixel in (0, 5, 16):
        y, x = image_map.to_image(torch.tensor([float(pixel), float(pixel)])).tolist()
        assert (y - top) * 24 / height - 0.5 == pytest.approx(pixel)
        assert (x - left) * 17 / width - 0.5 == pytest.approx(pixel)


def test_without_any_picture_there_is_a_ground_all_the_same() -> None:
    view = told(Sampling.regular("convolution", Kernel.of(3, padding=1), (6, 7)))
    for name in ("image", "output"):
        assert view["grounds"][name] == {"source": None, "box": [-0.5, -0.5, 6, 7]}
    assert view["outputCaption"] == ""


def test_a_photo_that_the_map_does_not_cover_is_refused() -> None:
    with pytest.raises(ValueError, match="does not cover an image of"):
        scene(run("Convolution"), np.zeros((96, 68, 3), np.uint8))


# The mask


def test_masks_up_to_1_have_whole_dots_at_1() -> None:
    s = run("Deformable Conv v2")
    mask = torch.linspace(0, 1, s.taps)[None, :, None, None].expand(1, -1, 24, 17)
    view = told(replace(s, mask=mask))
    assert view["maskUnit"] == 1
    assert view["caption"].endswith("area by mask")
    assert told(run("Convolution"))["maskUnit"] == 1


def test_the_masks_of_a_softmax_over_many_points_are_measured_by_the_largest() -> None:
    s = run("Deformable Conv v2")
    mask = torch.full_like(s.offset[:, :, 0], 0.05)
    mask[:, 4] = 0.25
    view = told(replace(s, mask=mask))
    assert view["maskUnit"] == pytest.approx(0.25)
    assert view["caption"].endswith("area by mask, whole at 0.25")


# The output


def test_the_output_is_drawn_in_its_own_pixels() -> None:
    s = run("Convolution", stride=2)
    ground = told(s, PHOTO)["grounds"]["output"]
    assert s.output is not None
    expected = 255 * s.output.movedim(0, -1).numpy().clip(0, 1)
    assert np.abs(pixels(ground["source"]) - expected).max() <= 0.51
    assert ground["box"] == [-0.5, -0.5, 12, 9]


def test_another_picture_can_stand_in_for_the_output() -> None:
    picture = torch.linspace(0, 1, 3 * 24 * 17).reshape(3, 24, 17)
    ground = told(run("Spatial shift"), picture=picture)["grounds"]["output"]
    expected = 255 * picture.movedim(0, -1).numpy()
    assert np.abs(pixels(ground["source"]) - expected).max() <= 0.51


@pytest.mark.parametrize(
    ("low", "high", "caption"),
    [
        (0, 1, "click to pin a position"),
        (0.2, 0.7, "click to pin a position"),
        (0, 40, "white is 40"),
        (-3, 1, "mid-grey is 0, white 3"),
    ],
)
def test_it_is_said_how_the_output_became_a_picture(low: float, high: float, caption: str) -> None:
    """White is the 99th percentile: the range is drawn wider by it."""
    values = torch.full((3, 10, 10), float(low))
    values[:, :, 5:] = high
    offset = torch.zeros(1, 1, 2, 10, 10)
    assert told(made_up(offset, output=values))["outputCaption"] == caption


# The kernel's axes


def expected_reach(s: Sampling) -> float:
    """Of all positions, one by one: the value that 99 % of the finite coordinates do not exceed."""
    found, regular = [], 1.0
    h, w = s.output_size
    for y in range(h):
        for x in range(w):
            base = s.base_at(y, x).double().numpy()
            centre = base.reshape(-1, 2).mean(axis=0)
            regular = max(regular, float(np.abs(base - centre).max()))
            found += np.abs(base + s.offset[..., y, x].double().numpy() - centre).flatten().tolist()
    finite = sorted(value for value in found if math.isfinite(value))
    top = finite[int(0.99 * (len(finite) - 1))] if finite else 0.0
    return 1.12 * max(top, regular)


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_the_kernels_axes_reach_as_far_as_its_points(operator: str, variant: str) -> None:
    s = record(operator, variant)
    assert told(s)["reach"] == pytest.approx(expected_reach(s), rel=1e-5)


def test_the_axes_reach_as_far_as_base_points_of_their_own() -> None:
    s = attention()
    assert kernel_reach(s) == pytest.approx(expected_reach(s), rel=1e-5)
    assert kernel_reach(s) > kernel_reach(replace(s, reference=s.reference / 4))


@pytest.mark.parametrize("wild", [1e9, -1e30, float("nan"), float("inf"), -float("inf")])
def test_one_exploded_offset_does_not_rule_the_axes(wild: float) -> None:
    offset = torch.linspace(-6, 6, 3 * 2 * 20 * 30).reshape(1, 3, 2, 20, 30)
    calm = kernel_reach(made_up(offset))
    assert 6 < calm < 1.12 * 7
    spoilt = offset.clone()
    spoilt[0, 1, 0, 7, 9] = wild
    assert kernel_reach(made_up(spoilt)) == pytest.approx(calm, rel=0.01)


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -float("inf")])
def test_offsets_that_are_all_lost_leave_the_regular_grid(wild: float) -> None:
    assert kernel_reach(made_up(torch.full((1, 5, 2, 4, 4), wild))) == pytest.approx(1.12 * 2)


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -float("inf")])
def test_a_base_point_that_is_lost_leaves_the_others(wild: float) -> None:
    s = attention()
    assert s.reference is not None
    calm = kernel_reach(s)
    reference = s.reference.clone()
    reference[0, 0, 0, 0, 0] = wild
    assert kernel_reach(replace(s, reference=reference)) == pytest.approx(calm, rel=0.1)


def test_a_small_kernel_that_does_not_move_has_axes_of_one_pixel() -> None:
    assert kernel_reach(Sampling.regular("one", Kernel.of(1), (5, 5))) == 1.12
    assert kernel_reach(Sampling.regular("one", Kernel.of(3), (5, 5))) == 1.12


def test_the_axes_of_a_wide_map_follow_from_some_of_its_positions() -> None:
    ramp = torch.linspace(0, 100, 3000).expand(1, 1, 2, 1, 3000)
    assert kernel_reach(made_up(ramp)) == pytest.approx(1.12 * 99, rel=0.02)


# Colours


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_each_tap_has_a_colour_or_each_group_of_one_tap(operator: str, variant: str) -> None:
    s = record(operator, variant)
    colors = told(s)["colors"]
    assert len(colors) == (s.groups if s.taps == 1 else s.taps)
    assert len(set(colors)) == len(colors)
    assert colors[:2] == [BLUE, ORANGE]


def test_more_than_nine_taps_have_colours_of_one_scale() -> None:
    colors = told(run("Convolution", kernel_size=(5, 5)))["colors"]
    expected = plotly.colors.sample_colorscale("Viridis", [i / 24 for i in range(25)])
    assert colors == expected


def test_dots_are_smaller_where_they_are_many() -> None:
    sizes = [told(run("Convolution", kernel_size=(n, n)))["dotSize"] for n in (3, 5, 7, 11)]
    assert sizes == [13, 9, 8, 6]
    assert told(run("CycleFC"))["dotSize"] == 13


def test_each_region_has_a_colour() -> None:
    s = run("DRConv", regions=6, guide="random")
    colors = told(s)["regionColors"]
    assert len(colors) == 6
    assert [f"#{r:02X}{g:02X}{b:02X}" for r, g, b in colors[:2]] == [BLUE, ORANGE]
    assert told(run("Convolution"))["regionColors"] is None


def test_regions_without_their_scores_are_counted() -> None:
    region = torch.tensor([[0, 4, 1], [2, 2, 0]])
    s = made_up(torch.zeros(1, 1, 2, 2, 3), region=region)
    assert len(told(s)["regionColors"]) == 5
    scored = made_up(torch.zeros(1, 1, 2, 2, 3), region=region, guide=torch.rand(7, 2, 3))
    assert len(told(scored)["regionColors"]) == 7


# What there is to see


@pytest.mark.parametrize(
    ("operator", "settings", "expected"),
    [
        ("Convolution", {}, ["output"]),
        ("Deformable Conv v1", {}, [*MOVING, "output"]),
        ("Deformable Conv v2", {}, [*MOVING, "mask", "output"]),
        ("Deformable Conv v1", {"field": "zero"}, ["output"]),
        ("Deformable Conv v2", {"field": "zero"}, ["mask", "output"]),
        ("DRConv", {}, ["regions", "output"]),
        ("CoordConv", {}, ["output", "x coordinate", "y coordinate", "radius"]),
        ("CoordConv", {"radius": False}, ["output", "x coordinate", "y coordinate"]),
        ("Spatial shift", {}, [*MOVING, "output"]),
        ("Spatial shift", {"kernel_size": (1, 1)}, ["output"]),
        ("Active Shift", {}, [*MOVING, "output"]),
        ("CycleFC", {}, [*MOVING, "output"]),
    ],
)
def test_a_record_is_offered_what_it_has(
    operator: str, settings: dict[str, Any], expected: list[str]
) -> None:
    view = told(run(operator, **settings))
    assert view["overlays"] == expected
    assert set(view["overlays"]) < set(OVERLAYS)
    assert view["moves"] == ("magnitude" in expected)


def test_without_an_output_there_is_none_to_see() -> None:
    s = replace(run("Deformable Conv v1"), output=None, input=None)
    view = told(s)
    assert view["overlays"] == MOVING
    assert view["channels"] == {"input": [], "output": []}


def test_one_offset_makes_a_record_move() -> None:
    offset = torch.zeros(1, 3, 2, 4, 5)
    assert told(made_up(offset))["moves"] is False
    offset[0, 2, 1, 3, 4] = 1e-6
    assert told(made_up(offset))["moves"] is True


def test_channels_have_their_names_or_their_numbers() -> None:
    assert told(run("CoordConv"))["channels"] == {
        "input": ["red", "green", "blue", "x", "y", "radius"],
        "output": ["0", "1", "2"],
    }
    assert told(attention())["channels"] == {"input": ["0", "1", "2", "3"], "output": ["0", "1"]}


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        ("Convolution", "□ the regular grid, ● where it is read"),
        ("Deformable Conv v2", "□ the regular grid, ● where it is read, area by mask"),
        ("CycleFC", "□ the position, ● where each group reads: its content moves back"),
    ],
)
def test_the_marks_are_explained(operator: str, words: str) -> None:
    assert told(run(operator))["caption"] == words


def test_a_kernel_of_one_tap_shifts_nothing() -> None:
    layer = run("Deformable Conv v1", kernel_size=(1, 1))
    assert told(layer)["caption"] == "□ the regular grid, ● where it is read"


# The one position that comes at once


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_the_early_position_reads_where_the_record_does(operator: str, variant: str) -> None:
    s = record(operator, variant)
    h, w = s.output_size
    for y, x in [(0, 0), (h - 1, w - 1), (5, 7)]:
        view = told(s, y=y, x=x)
        assert (view["reading"]["y"], view["reading"]["x"]) == (y, x)
        assert view["reading"]["base"] is None  # it follows from the header
        assert points(view) == pytest.approx(s.points_at(y, x).numpy(), abs=1e-5)
        assert view["reading"]["mask"] == s.mask_at(y, x).tolist()


def test_the_early_position_has_base_points_of_its_own() -> None:
    s = attention()
    view = told(s, y=5, x=0)
    assert view["reading"]["base"] == s.base_at(5, 0).tolist()
    assert points(view) == pytest.approx(s.points_at(5, 0).numpy(), abs=1e-5)
    assert view["reading"]["mask"] == s.mask_at(5, 0).tolist()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, (12, 8)),
        ({"y": 3}, (3, 8)),
        ({"x": 0}, (12, 0)),
        ({"y": 24, "x": 2**31 - 1}, (23, 16)),
        ({"y": -1, "x": -7}, (0, 0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_early_position_is_the_nearest_that_there_is(
    operator: str, place: dict[str, int], expected: tuple[int, int]
) -> None:
    reading = told(run(operator), **place)["reading"]
    assert (reading["y"], reading["x"]) == expected
