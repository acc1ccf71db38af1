"""What the viewer is given: strict JSON whose numbers add up."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deformviz.analysis import ShiftResult, compare_strategies, published_tensor
from deformviz.analysis.shift_comparison import PUBLISHED_SHIFTS
from deformviz.explore import OPERATORS, Check, Exploration, Settings, explore
from deformviz.figures import Choice, layers_for
from deformviz.images import Photo
from deformviz.operators import spatial_shift
from deformviz.operators.spatial_shift import Border
from deformviz.web.view import shifts_part, summary, view_json

PIXELS = np.random.default_rng(0).integers(0, 256, (21, 16, 3), dtype=np.uint8)
PHOTO = Photo(PIXELS, (21, 16), ())

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "moved": {"field": "random", "mask": "random", "guide": "random", "border": "replicate"},
    "coarse": {"kernel_size": (2, 5), "stride": 2, "dilation": 2, "offset_groups": 3},
    "large": {"kernel_size": (11, 11), "generated": True, "directions": "all eight"},
}
CASES = [(operator, variant) for operator in OPERATORS for variant in VARIANTS]


@cache
def ran(operator: str, variant: str = "defaults") -> Exploration:
    return explore(PIXELS, Settings(operator=operator, **VARIANTS[variant]))


def strict(text: str) -> Any:
    """JSON as a browser reads it, which knows no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def viewed(run: Exploration, photo: Photo = PHOTO, **options: Any) -> Any:
    arguments = {"y": 1, "x": 2, "layer": "points", "choice": Choice()} | options
    return strict(view_json(run, photo, **arguments))


def decoded(array: Any) -> np.ndarray:
    """A typed array of a figure."""
    return np.frombuffer(base64.b64decode(array["bdata"]), np.dtype(array["dtype"]))


def dots(view: Any, figure: str) -> list[Any]:
    return [t for t in view["figures"][figure]["data"] if t.get("name") == "taps"]


# The figures


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_every_layer_is_strict_json(operator: str, variant: str) -> None:
    run = ran(operator, variant)
    for layer in layers_for(run.sampling):
        choice = Choice(run.sampling.taps - 1, run.sampling.groups - 1, "Middlebury")
        view = viewed(run, layer=layer, choice=choice)
        assert set(view["figures"]) == {"image", "output", "kernel"}
        assert view["status"].startswith(f"{operator}, ")
        assert isinstance(view["caption"], str)
        assert view["caption"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_figures_hold_the_position_that_was_asked_for(operator: str) -> None:
    run = ran(operator, "moved")
    view = viewed(run, y=7, x=9)
    expected = run.sampling.points_at(7, 9).reshape(-1, 2).numpy()
    (on_image,) = dots(view, "image")
    assert np.array_equal(decoded(on_image["y"]), expected[:, 0])
    assert np.array_equal(decoded(on_image["x"]), expected[:, 1])
    centre = run.sampling.base_at(7, 9).reshape(-1, 2).mean(dim=0).numpy()
    own = np.concatenate([decoded(t["y"]) for t in dots(view, "kernel")])
    assert own == pytest.approx(expected[:, 0] - centre[0], abs=1e-5)
    (mark,) = view["figures"]["output"]["data"]
    assert (mark["y"], mark["x"]) == ([7], [9])


def test_what_is_shown_has_an_identity() -> None:
    run = ran("Deformable Conv v2", "moved")
    shown = [
        viewed(run),
        viewed(run, y=2),
        viewed(run, x=3),
        viewed(run, layer="mask"),
        viewed(ran("Deformable Conv v1", "moved")),
        viewed(ran("Deformable Conv v2", "large")),
    ]
    assert len({view["id"] for view in shown}) == len(shown)


def test_the_caption_names_the_tap_by_its_place() -> None:
    run = explore(PIXELS, Settings(kernel_size=(3, 5), offset_groups=3, field="wave"))
    caption = viewed(run, layer="magnitude", choice=Choice(7, 2))["caption"]
    assert caption == (
        "magnitude of tap 7 (row 1, column 2) of group 2, drawn at the output position"
    )


# The terms


@pytest.mark.parametrize(("operator", "variant"), CASES)
@pytest.mark.parametrize("channel", [0, 2])
def test_the_rows_sum_to_the_total_which_is_the_output(
    operator: str, variant: str, channel: int
) -> None:
    run = ran(operator, variant)
    terms = viewed(run, y=3, x=4, channel=channel)["terms"]
    total = sum(row["product"] for row in terms["rows"]) + terms["bias"]
    assert terms["total"] == pytest.approx(total, abs=1e-12)
    assert run.sampling.output is not None
    assert terms["output"] == float(run.sampling.output[channel, 3, 4])
    assert terms["difference"] == pytest.approx(abs(total - terms["output"]), abs=1e-12)
    assert terms["difference"] < 2e-5
    assert terms["rows"]
    for row in terms["rows"]:
        product = row["weight"] * row["mask"] * row["value"]
        assert row["product"] == pytest.approx(product, abs=1e-12)
        assert row["point"] == pytest.approx(np.add(row["base"], row["offset"]), abs=1e-5)


@pytest.mark.parametrize("operator", ["Convolution", "Deformable Conv v1", "Deformable Conv v2"])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_value_is_made_of_the_photos_own_pixels(operator: str, channel: int) -> None:
    run = ran(operator, "moved")
    terms = viewed(run, y=10, x=8, channel=channel)["terms"]
    points = run.sampling.points_at(10, 8)[0].tolist()
    assert len(terms["rows"]) == 9
    for tap, row in enumerate(terms["rows"]):
        assert row["label"] == str(tap)
        assert row["point"] == pytest.approx(points[tap])
        value = 0.0
        for n in row["neighbours"]:
            weight = max(0, 1 - abs(n["y"] - row["point"][0]))
            weight *= max(0, 1 - abs(n["x"] - row["point"][1]))
            inside = 0 <= n["y"] < 21 and 0 <= n["x"] < 16
            assert n["weight"] == pytest.approx(weight if inside else 0, abs=1e-6)
            if inside:
                value += n["weight"] * PIXELS[int(n["y"]), int(n["x"]), channel] / 255
        assert row["value"] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_a_row_has_the_colour_of_its_dot(operator: str, variant: str) -> None:
    run = ran(operator, variant)
    view = viewed(run, y=2, x=3)
    (on_image,) = dots(view, "image")
    points = np.column_stack([decoded(on_image[axis]) for axis in ("y", "x")])
    for row in view["terms"]["rows"]:
        same = np.abs(points - row["point"]).max(axis=1) < 1e-5
        colors = {on_image["marker"]["color"][i] for i in np.flatnonzero(same)}
        assert row["color"] in colors


def test_rows_of_several_channels_name_them() -> None:
    shift = [row["label"] for row in viewed(ran("CycleFC"))["terms"]["rows"]]
    assert shift == ["0 red", "0 red 2", "0 red 3"]
    coordinates = viewed(ran("CoordConv"), channel=1)["terms"]["rows"]
    assert [row["label"] for row in coordinates][-1] == "4 y"
    assert [row["label"] for row in coordinates][:2] == ["0 green", "1 green"]


# Names and notes


def test_names_from_outside_stay_plain_text() -> None:
    hostile = "<img src=x onerror=alert(1)></script>\" ' \\ \u2028 \U0001f600"
    run = ran("Deformable Conv v2", "moved")
    named = replace(run, sampling=replace(run.sampling, name=hostile))
    photo = replace(PHOTO, notes=(hostile, "shrunk"))
    for layer in layers_for(named.sampling):
        view = viewed(named, photo, layer=layer)
        assert view["notes"] == [hostile, "shrunk"]
        assert view["status"].startswith(hostile)
        assert "<img" not in json.dumps(view["figures"])  # plotly reads its texts as HTML
    result = strict(json.dumps(summary(named, photo, 0, 0), allow_nan=False))
    assert (result["name"], result["notes"]) == (hostile, [hostile, "shrunk"])


def test_a_check_that_fails_is_said_to() -> None:
    run = replace(ran("Convolution"), checks=(Check("equals <b>itself</b>", 0.5),))
    (badge,) = viewed(run)["checks"]
    assert badge == {"claim": "equals <b>itself</b>", "difference": 0.5, "passed": False}


# The shifts


def picture(uri: str) -> np.ndarray:
    """[h, w, 3], 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))).astype(int)


def compared(border: Border, x: torch.Tensor | None = None) -> list[ShiftResult]:
    """The five ways, on the published tensor or on `x`, hardly timed."""
    x = published_tensor() if x is None else x
    return compare_strategies(x, PUBLISHED_SHIFTS, border, seconds=1e-4)


def test_the_shifted_tensor_is_drawn_as_eight_maps() -> None:
    rows = shifts_part(compared("zero"), compared("zero", torch.rand(1, 12, 9, 7)))["rows"]
    drawn = picture(rows[0]["tensor"]["picture"])
    assert drawn.shape == (11, 23, 3)
    rows_of, columns_of = np.indices((5, 5))
    moves = [(1, 0), (-1, 0), (0, 1), (0, -1)]  # down, up, right, left
    for place, (dy, dx) in enumerate(moves):
        for kind, index in enumerate((rows_of, columns_of)):
            expected = np.zeros((5, 5))
            for y in range(5):
                for x in range(5):
                    if 0 <= y - dy < 5 and 0 <= x - dx < 5:
                        expected[y, x] = index[y - dy, x - dx]
            top, left = 6 * kind, 6 * place
            panel = drawn[top : top + 5, left : left + 5]
            assert np.abs(panel - 255 * expected[..., None] / 4).max() <= 0.5


def test_the_shifted_photo_is_drawn_as_the_average_of_its_copies() -> None:
    x, shifts = torch.rand(1, 6, 9, 7), [(1, 0), (0, 2)]
    image = compare_strategies(x, shifts, "zero", seconds=1e-4)
    rows = shifts_part(compared("zero"), image)["rows"]
    average = spatial_shift(x, shifts)[0].reshape(2, 3, 9, 7).mean(dim=0).movedim(0, -1)
    for row in rows:
        assert np.abs(picture(row["image"]["picture"]) - 255 * average.numpy()).max() <= 0.51


def test_a_large_photo_is_drawn_small() -> None:
    x = torch.rand(1, 6, 50, 300)
    image = compare_strategies(x, [(1, 0), (0, 2)], "zero", seconds=1e-4)
    rows = shifts_part(compared("zero"), image)["rows"]
    assert picture(rows[0]["image"]["picture"]).shape == (20, 120, 3)


def test_a_way_that_cannot_keep_the_border_has_no_numbers() -> None:
    rows = shifts_part(compared("keep"), compared("keep", torch.rand(1, 12, 9, 7)))["rows"]
    for row in rows:
        for result in (row["tensor"], row["image"]):
            kept = row["strategy"] == "slice"
            assert (result["picture"] is not None) == kept
            assert (result["difference"] == 0) == kept
            assert (result["milliseconds"] is not None) == kept
            assert row["strategy"] in result["alt"]


# The numbers for programs


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_a_summary_is_plain_json_and_the_records_own(operator: str, variant: str) -> None:
    run, s = ran(operator, variant), ran(operator, variant).sampling
    result = summary(run, replace(PHOTO, notes=("shrunk",)), 2, 3)
    assert strict(json.dumps(result, allow_nan=False)) == result  # no tuples, no tensors
    kernel = s.kernel
    expected = {
        "format": "deformviz.sampling/1",
        "name": operator,
        "operator": operator,
        "input_size": [21, 16],
        "output_size": list(s.output_size),
        "kernel_size": list(kernel.size),
        "stride": list(kernel.stride),
        "padding": list(kernel.padding),
        "dilation": list(kernel.dilation),
        "offset_groups": s.groups,
        "taps": s.taps,
        "position": [2, 3],
        "base": s.base()[..., 2, 3].tolist(),
        "points": s.points()[..., 2, 3].tolist(),
        "region": None if s.region is None else s.region.tolist()[2][3],
        "device": "cpu",
        "notes": ["shrunk"],
    }
    assert {name: result[name] for name in expected} == expected
    ones = [[1.0] * s.taps] * s.groups
    assert result["mask"] == (ones if s.mask is None else s.mask[..., 2, 3].tolist())
    assert s.output is not None
    assert result["output"] == s.output[:, 2, 3].tolist()
    assert result["milliseconds"] > 0
    assert [check["passed"] for check in result["checks"]] == [True, True]
