"""What the page's viewer is given beside the scene, and what a program is told: strict JSON."""

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
from plotly.io.json import to_json_plotly

from deformviz.analysis import ShiftResult, compare_strategies, published_tensor
from deformviz.analysis.shift_comparison import PUBLISHED_SHIFTS
from deformviz.explore import OPERATORS, Check, Exploration, Settings, explore
from deformviz.images import Photo
from deformviz.operators import spatial_shift
from deformviz.operators.spatial_shift import Border
from deformviz.viewer.scene import scene
from deformviz.web.view import (
    channel_names,
    checks_part,
    color_name,
    shifts_part,
    status,
    summary,
    view_part,
)

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


def viewed(run: Exploration, photo: Photo = PHOTO) -> Any:
    return strict(to_json_plotly(view_part(run, photo)))


def picture(uri: str) -> np.ndarray:
    """[h, w, 3], 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))).astype(int)


# A view


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_a_view_is_strict_json(operator: str, variant: str) -> None:
    run = ran(operator, variant)
    view = viewed(run)
    own = {"id", "status", "notes", "outputCaption", "channels"}
    expected = strict(to_json_plotly(scene(run.sampling, PIXELS, picture=run.picture)))
    assert set(view) == expected.keys() | own
    for name in expected.keys() - own:
        assert view[name] == expected[name], name


@pytest.mark.parametrize("operator", ["Convolution", "Spatial shift", "Active Shift", "CycleFC"])
def test_the_output_is_drawn_in_the_photos_colours(operator: str) -> None:
    run = ran(operator)
    ground = viewed(run)["grounds"]["output"]
    assert run.sampling.output is not None
    copies = run.sampling.output.reshape(-1, 3, 21, 16).mean(dim=0)  # of a shift's, the average
    expected = 255 * copies.movedim(0, -1).numpy()
    assert np.abs(picture(ground["source"]) - expected).max() <= 0.51


def test_what_is_shown_has_an_identity() -> None:
    shown = [
        ran("Deformable Conv v2"),
        ran("Deformable Conv v2", "moved"),
        ran("Deformable Conv v2", "coarse"),
        ran("Deformable Conv v1"),
        explore(PIXELS, Settings(strength=3.5)),
    ]
    narrow = viewed(explore(PIXELS[:, :9], Settings()), Photo(PIXELS[:, :9], (21, 9), ()))
    ids = {narrow["id"], *(viewed(run)["id"] for run in shown)}
    assert len(ids) == 1 + len(shown)
    assert viewed(shown[4])["id"] == "Deformable Conv v2 | 3 x 3 | 21 x 16 | toward edges 3.5"
    assert viewed(shown[0])["id"] == "Deformable Conv v2 | 3 x 3 | 21 x 16 | toward edges 12"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"operator": "Convolution"}, "Convolution, 3 × 3, 21 × 16 → 21 × 16, CPU, 12 ms"),
        (
            {"operator": "DRConv", "kernel_size": (2, 5), "stride": 2, "dilation": 3},
            "DRConv, 2 × 5, stride 2, dilation 3, 21 × 16 → 10 × 8, CPU, 12 ms",
        ),
        ({"operator": "CycleFC"}, "CycleFC, 21 × 16 → 21 × 16, CPU, 12 ms"),
        (
            {"operator": "CycleFC", "stride": 3},
            "CycleFC, stride 3, 21 × 16 → 7 × 6, CPU, 12 ms",
        ),
    ],
    ids=str,
)
def test_one_line_says_what_ran(settings: dict[str, Any], words: str) -> None:
    run = replace(explore(PIXELS, Settings(**settings)), milliseconds=12.4)
    assert status(run) == viewed(run)["status"] == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0, 1), "click to pin a position"),
        ((0, 40), "white is 40"),
        ((-3, 1), "mid-grey is 0, white 3"),
    ],
)
@pytest.mark.parametrize("copies", [1, 4])
def test_it_is_said_how_the_output_became_a_picture(
    values: tuple[float, float], words: str, copies: int
) -> None:
    run = ran("Convolution")
    output = torch.full((3, 21, 16), float(values[0]))
    output[:, 5:] = values[1]
    sampling = replace(run.sampling, output=output.repeat(copies, 1, 1), weight=None)
    drawn = replace(run, sampling=sampling, picture=output)
    expected = words
    if copies > 1:
        mean = "mean of the 4 shifted copies"
        expected = mean if words.startswith("click") else f"{mean}, {words}"
    assert viewed(drawn)["outputCaption"] == expected


@pytest.mark.parametrize(
    ("operator", "inputs", "outputs"),
    [
        ("Convolution", ["red", "green", "blue"], ["red", "green", "blue"]),
        (
            "CycleFC",
            ["red", "green", "blue", "red 2", "green 2", "blue 2", "red 3", "green 3", "blue 3"],
            ["red", "green", "blue"],
        ),
        (
            "CoordConv",
            ["red", "green", "blue", "x", "y", "radius"],
            ["red", "green", "blue"],
        ),
    ],
)
def test_channels_have_the_names_of_the_colours_they_come_from(
    operator: str, inputs: list[str], outputs: list[str]
) -> None:
    run = ran(operator)
    assert channel_names(run.sampling) == {"input": inputs, "output": outputs}
    assert viewed(run)["channels"] == {"input": inputs, "output": outputs}


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_channel_has_a_name_of_its_own(operator: str) -> None:
    sampling = ran(operator).sampling
    for side, tensor in (("input", sampling.input), ("output", sampling.output)):
        assert tensor is not None
        names = channel_names(sampling)[side]
        assert len(names) == len(set(names)) == tensor.shape[0]


def test_copies_of_a_colour_are_counted_from_the_second() -> None:
    assert [color_name(i) for i in (0, 2, 3, 11)] == ["red", "blue", "red 2", "blue 4"]


# Names and notes


def test_names_from_outside_stay_plain_text() -> None:
    hostile = "<img src=x onerror=alert(1)></script>\" ' \\ \u2028 \U0001f600"
    run = ran("Deformable Conv v2", "moved")
    named = replace(run, sampling=replace(run.sampling, name=hostile))
    photo = replace(PHOTO, notes=(hostile, "shrunk"))
    view = viewed(named, photo)
    assert view["notes"] == [hostile, "shrunk"]
    assert view["status"].startswith(hostile)
    result = strict(json.dumps(summary(named, photo, 0, 0), allow_nan=False))
    assert (result["name"], result["notes"]) == (hostile, [hostile, "shrunk"])


def test_a_check_that_fails_is_said_to() -> None:
    failed = Check("equals <b>itself</b>", 0.5)
    run = replace(ran("Convolution"), checking=lambda sampling: (failed,))
    (badge,) = checks_part(run)
    assert badge == {"claim": "equals <b>itself</b>", "difference": 0.5, "passed": False}


# The shifts


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
