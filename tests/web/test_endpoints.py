"""The endpoints of a running server, as a program uses them: the core's own numbers."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from served import ENDPOINTS, NAMES, STRATEGIES, Served, direct

from deformviz import examples
from deformviz.explore import OFFSETS, OPERATORS
from deformviz.operators.spatial_shift import BORDERS
from deformviz.web.explore_tab import FIRST, FIRST_IMAGE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio")


# What there is


def test_the_endpoints_take_the_controls_by_name(served: Served) -> None:
    api = served.client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(api) == {*ENDPOINTS, "/options"}
    for endpoint in ENDPOINTS:
        place = ["y", "x"] if endpoint == "/explore" else []
        assert [p["parameter_name"] for p in api[endpoint]["parameters"]] == [*NAMES, *place]
    assert api["/options"]["parameters"] == []


def test_the_options_are_the_cores_tables(served: Served) -> None:
    options = served.client.predict(api_name="/options")
    assert {name: row["paper"] for name, row in options["operators"].items()} == {
        name: row.paper for name, row in OPERATORS.items()
    }
    for name, row in options["operators"].items():
        assert row["controls"] == list(OPERATORS[name].controls)
        assert set(row["controls"]) <= set(NAMES)
    assert {name: row["learned"] for name, row in options["operators"].items()} == {
        "Convolution": None,
        "Deformable Conv v1": {"controls": ["field"], "layers": 3},
        "Deformable Conv v2": {"controls": ["field", "mask"], "layers": 3},
        "DRConv": {"controls": ["guide"], "layers": 1},
        "CoordConv": {"controls": ["parameters"], "layers": 1},
        "Spatial shift": None,
        "Active Shift": {"controls": ["parameters"], "layers": 3},
        "CycleFC": None,
    }
    for name, row in options["fields"].items():
        expected = OFFSETS[name]
        assert row == {
            "unit": expected.unit,
            "maximum": expected.maximum,
            "default": expected.default,
        }
    assert set(options["fields"]) == set(OFFSETS)
    assert options["borders"] == {name: list(borders) for name, borders in BORDERS.items()}


# Numbers


@pytest.mark.parametrize(
    ("operator", "settings"),
    [
        ("Convolution", {"stride": 2, "dilation": 3, "weights": "Sobel x"}),
        ("Deformable Conv v1", {"field": "wave", "strength": 7.5, "offset_groups": 3}),
        ("Deformable Conv v2", {"field": "random", "strength": 2, "mask": "random", "seed": 7}),
        ("DRConv", {"guide": "by edges", "regions": 5, "generated": True}),
        ("CoordConv", {"radius": False, "coordinate_weight": -0.5}),
        ("Spatial shift", {"directions": "diagonals", "strategy": "roll", "border": "circular"}),
        ("Active Shift", {"seed": 3}),
        ("CycleFC", {"stride": 2}),
    ],
)
def test_the_numbers_are_the_cores_own(
    served: Served, photo: Path, operator: str, settings: dict[str, Any]
) -> None:
    result = served.predict(
        "/explore",
        photo=handle_file(photo),
        operator=operator,
        kernel_height=2,
        kernel_width=5,
        y=4,
        x=6,
        **settings,
    )
    ours = direct(photo, operator=operator, kernel_size=(2, 5), **settings).sampling
    assert result["name"] == result["operator"] == operator
    assert result["input_size"] == [48, 40]
    assert result["output_size"] == list(ours.output_size)
    assert result["position"] == [4, 6]
    assert (result["offset_groups"], result["taps"]) == (ours.groups, ours.taps)
    assert np.array(result["points"]) == pytest.approx(ours.points_at(4, 6).numpy(), abs=1e-5)
    assert np.array(result["base"]) == pytest.approx(ours.base_at(4, 6).numpy())
    assert np.array(result["mask"]) == pytest.approx(ours.mask_at(4, 6).numpy())
    assert ours.output is not None
    assert result["output"] == pytest.approx(ours.output[:, 4, 6].tolist(), abs=1e-5)
    region = None if ours.region is None else int(ours.region[4, 6])
    assert result["region"] == region
    assert len(result["checks"]) == 2
    assert all(check["passed"] for check in result["checks"])
    assert result["device"] == "cpu"


@pytest.mark.parametrize(
    ("operator", "settings", "size", "note"),
    [
        ("Deformable Conv v1", {"field": "learned"}, [12, 10], "layer 3 of 3 of a network"),
        ("Deformable Conv v2", {"field": "learned", "learned_layer": 1}, [12, 10], "layer 1 of 3"),
        ("Deformable Conv v2", {"mask": "learned", "learned_layer": 2}, [12, 10], "layer 2 of 3"),
        ("DRConv", {"guide": "learned"}, [48, 40], "the DRConv layer of a network"),
        ("CoordConv", {"parameters": "learned"}, [64, 64], "the CoordConv layer of a network"),
        ("Active Shift", {"parameters": "learned"}, [24, 20], "layer 3 of 3 of a network"),
        ("Active Shift", {"parameters": "learned", "learned_layer": 1}, [24, 20], "layer 1 of 3"),
    ],
)
def test_a_networks_layer_is_the_cores_own(
    served: Served, photo: Path, operator: str, settings: dict[str, Any], size: list[int], note: str
) -> None:
    """The last one, where none is named."""
    given = settings | {"operator": operator}
    result = served.predict("/explore", photo=handle_file(photo), y=4, x=6, **given)
    ours = direct(photo, **given).sampling
    assert result["input_size"] == result["output_size"] == size
    assert np.array(result["points"]) == pytest.approx(ours.points_at(4, 6).numpy(), abs=1e-4)
    assert ours.output is not None
    assert result["output"] == pytest.approx(ours.output[:, 4, 6].tolist(), abs=1e-4)
    assert all(check["passed"] for check in result["checks"])
    assert result["notes"][0].startswith(note)


def test_a_layer_that_there_is_not_is_refused(served: Served) -> None:
    with pytest.raises(AppError, match=r"4"):
        served.predict("/explore", field="learned", learned_layer=4)
    served.assert_alive()


def test_a_photo_is_shrunk_to_the_working_size(served: Served, photo: Path) -> None:
    result = served.predict("/explore", photo=handle_file(photo), side=32)
    assert result["input_size"] == [32, 27]
    assert result["notes"] == ["shrunk from 48 x 40 to 32 x 27"]


@pytest.mark.parametrize("field", OFFSETS)
def test_a_field_may_be_as_strong_as_its_table_says(served: Served, field: str) -> None:
    strength = OFFSETS[field].maximum
    result = served.predict("/explore", side=32, field=field, strength=strength, y=5, x=5)
    ours = direct(examples.path(FIRST_IMAGE), 32, field=field, strength=strength).sampling
    assert np.array(result["points"]) == pytest.approx(ours.points_at(5, 5).numpy(), abs=1e-4)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_position_beyond_the_output_is_moved_onto_it(served: Served, operator: str) -> None:
    result = served.predict("/explore", operator=operator, side=32, y=9999, x=10**9)
    h, w = result["output_size"]
    assert result["position"] == [h - 1, w - 1]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, [24, 20]),
        ({"y": 3}, [3, 20]),
        ({"x": 0}, [24, 0]),
        ({"y": 0, "x": 0}, [0, 0]),
        ({"y": 47, "x": 39}, [47, 39]),
        ({"y": 48, "x": 40}, [47, 39]),
        ({"y": None, "x": 7}, [24, 7]),
        ({"y": 4.0, "x": 7.0}, [4, 7]),
    ],
    ids=str,
)
def test_the_middle_is_taken_where_no_position_is_named(
    served: Served, photo: Path, place: dict[str, Any], expected: list[int]
) -> None:
    result = served.predict("/explore", photo=handle_file(photo), operator="Convolution", **place)
    assert result["output_size"] == [48, 40]
    assert result["position"] == expected


def test_the_middle_is_that_of_the_output(served: Served, photo: Path) -> None:
    result = served.predict(
        "/explore", photo=handle_file(photo), operator="Convolution", stride=5, dilation=1
    )
    assert result["output_size"] == [10, 8]
    assert result["position"] == [5, 4]


def test_what_is_left_out_is_the_worked_example(served: Served) -> None:
    result = served.client.predict(api_name="/explore")
    ours = direct(examples.path(FIRST_IMAGE)).sampling
    assert result["operator"] == FIRST.operator
    h, w = ours.output_size
    assert result["position"] == [h // 2, w // 2]
    assert result["input_size"] == list(ours.input_size)
    assert result["dilation"] == [FIRST.dilation] * 2
    expected = ours.points_at(h // 2, w // 2).numpy()
    assert np.array(result["points"]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_everything_can_be_left_out(served: Served, endpoint: str) -> None:
    assert served.client.predict(api_name=endpoint)


def test_several_programs_at_once_get_their_own_answers(served: Served) -> None:
    asked = [(operator, side) for side in (32, 64) for operator in OPERATORS]

    def ask(job: tuple[str, int]) -> Any:
        return served.predict("/explore", operator=job[0], side=job[1])

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, asked))
    assert [(r["operator"], max(r["input_size"])) for r in results] == asked


# The record


@pytest.mark.parametrize("operator", ["Deformable Conv v2", "DRConv", "Active Shift"])
def test_the_record_comes_as_npz(served: Served, photo: Path, operator: str) -> None:
    path = served.predict(
        "/sampling", photo=handle_file(photo), operator=operator, field="wave", strength=4
    )
    ours = direct(photo, operator=operator, field="wave", strength=4).sampling
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    assert json.loads(str(arrays.pop("header"))) == ours.header()
    assert arrays.pop("points") == pytest.approx(ours.points().numpy(), abs=1e-4)
    assert set(arrays) == set(ours.tensors())
    for name, tensor in ours.tensors().items():
        assert arrays[name] == pytest.approx(tensor.numpy(), abs=1e-4), name


def test_a_record_that_was_sent_is_not_left_behind(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio keeps a copy for a while; a second one beside it would stay for ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = served.predict("/sampling", operator="Convolution", side=32)
    assert Path(path).is_file()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


# The five ways to shift


def test_the_published_comparison(served: Served, photo: Path) -> None:
    rows = served.predict("/compare_shifts", photo=handle_file(photo), border="replicate")
    assert [row["strategy"] for row in rows] == STRATEGIES
    assert [row["tensor"]["difference"] for row in rows] == [0, 0, 0, 0, 2**-23]
    assert [row["image"]["difference"] for row in rows[:4]] == [0, 0, 0, 0]
    assert all(row[on]["milliseconds"] > 0 for row in rows for on in ("tensor", "image"))


def test_only_slicing_keeps_what_was_at_the_border(served: Served) -> None:
    rows = served.predict("/compare_shifts", border="keep", side=32)
    for row in rows:
        for on in ("tensor", "image"):
            if row["strategy"] == "slice":
                assert row[on]["difference"] == 0
            else:
                assert row[on] == {"difference": None, "milliseconds": None}


@pytest.mark.parametrize("border", ["zero", "circular"])
def test_all_ways_agree_on_the_other_borders(served: Served, border: str) -> None:
    rows = served.predict(
        "/compare_shifts", border=border, side=64, directions="all eight", kernel_height=11
    )
    assert all(row[on]["difference"] < 1e-4 for row in rows for on in ("tensor", "image"))
