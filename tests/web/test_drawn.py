"""What is asked for as the JSON that the page's viewer draws."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
import torch
from PIL import Image
from plain_asked import ASKED
from safetensors.torch import load
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deformviz import examples
from deformviz.explore import OPERATORS, explore
from deformviz.viewer import ViewState
from deformviz.web import numbers
from deformviz.web.asked import Asked
from deformviz.web.drawn import draw, draw_example, open_link
from deformviz.web.link import Link, from_query
from deformviz.web.numbers import ROUTES, Shelf

PIXELS = np.random.default_rng(0).integers(0, 256, (23, 18, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SHELF", Shelf())
    monkeypatch.setattr("deformviz.web.drawn.SHELF", numbers.SHELF)


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(path)
    return str(path)


def strict(text: str) -> Any:
    """JSON as a browser reads it, which knows no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def drawn(asked: Asked, state: ViewState | None = None) -> Any:
    return strict(draw(asked, "cpu", state))


def fetched(url: str) -> bytes:
    """What the browser gets for an address in a view."""
    with TestClient(Starlette(routes=ROUTES)) as client:
        answer = client.get(url)
    assert answer.status_code == 200
    return answer.content


def offsets(view: Any) -> torch.Tensor:
    return load(fetched(view["data"]["url"]))["offset"]


# A drawing


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_drawing_is_of_what_was_asked_for(operator: str, photo: str) -> None:
    asked = replace(ASKED, photo=photo, operator=operator, stride=2, kernel_width=5)
    view = drawn(asked)
    ours = explore(PIXELS, asked.settings).sampling
    assert view["header"] == ours.header()
    assert view["status"].startswith(f"{operator}, ")
    checks = strict(fetched(view["data"]["checks"]).decode())
    assert [check["passed"] for check in checks] == [True, True]
    assert torch.equal(offsets(view).expand(ours.offset.shape), ours.offset)
    reading = view["reading"]
    assert reading["offset"] == ours.offset[..., reading["y"], reading["x"]].tolist()


def test_the_examples_can_be_drawn() -> None:
    for name in examples.names():
        view = drawn(replace(ASKED, example=name))
        assert view["grounds"]["image"]["source"].startswith("data:image/")
        assert max(view["header"]["input_size"]) == 64


def test_what_was_changed_on_a_photo_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (128, 96)).save(path)
    assert drawn(replace(ASKED, photo=str(path)))["notes"] == ["shrunk from 96 x 128 to 48 x 64"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_only_a_spatial_shift_is_compared(operator: str) -> None:
    view = drawn(replace(ASKED, operator=operator, side=32))
    if operator != "Spatial shift":
        assert view["shifts"] is None
        return
    exact = ["slice", "roll", "deform_conv2d", "depthwise"]
    rows = view["shifts"]["rows"]
    assert [row["strategy"] for row in rows] == [*exact, "grid_sample"]
    for on in ("tensor", "image"):
        assert [row[on]["difference"] for row in rows[:4]] == [0, 0, 0, 0]


def test_without_a_state_the_viewer_keeps_its_own() -> None:
    assert "state" not in drawn(ASKED)
    state = ViewState(y=3, x=5, over="mask", zoom=(0, 1, 9, 8), morph=0.25)
    assert drawn(ASKED, state)["state"] == json.loads(json.dumps(state.json()))


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_links_query_asks_for_the_same(operator: str) -> None:
    asked = replace(ASKED, operator=operator, seed=7, stride=2, regions=3, directions="diagonals")
    query = dict(parse_qsl(drawn(asked)["query"], strict_parsing=True))
    again = from_query(query, ASKED)
    assert again.problems == ()
    first, second = (explore(PIXELS, a.settings).sampling for a in (asked, again.asked))
    assert torch.equal(first.points(), second.points())
    assert (again.asked.side, again.asked.example) == (64, "cat")


def test_a_persons_own_photo_is_in_no_link(photo: str) -> None:
    view = drawn(replace(ASKED, photo=photo))
    assert "image" not in dict(parse_qsl(view["query"]))
    assert photo not in json.dumps(view)
    assert "photo.png" not in json.dumps(view)


def test_what_cannot_be_run_is_refused() -> None:
    with pytest.raises(ValueError, match="operator must be one of"):
        draw(replace(ASKED, operator="Fourier"), "cpu")


def test_the_position_that_is_opened_comes_with_the_picture() -> None:
    view = drawn(ASKED, ViewState(y=3, x=5))
    assert (view["reading"]["y"], view["reading"]["x"]) == (3, 5)
    h, w = view["header"]["output_size"]
    view = drawn(ASKED)
    assert (view["reading"]["y"], view["reading"]["x"]) == (h // 2, w // 2)


# What every page opens on


def test_the_example_is_kept_for_good() -> None:
    shelf = numbers.SHELF = Shelf(most_bytes=0)
    state = ViewState(y=3, x=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deformviz.web.drawn.SHELF", shelf)
        view = strict(draw_example(ASKED, "cpu", state))
        for seed in (1, 2, 3):
            other = drawn(replace(ASKED, seed=seed, field="random"))
    assert view["state"] == state.json()
    assert offsets(view).shape[-2:] == tuple(view["header"]["output_size"])
    assert offsets(other).shape == offsets(view).shape


# A link


def test_a_link_opens_what_it_asks_for() -> None:
    link = from_query({"operator": "Convolution", "stride": "2", "y": "3", "over": "output"}, ASKED)
    view = strict(open_link(link, "cpu"))
    assert view["header"]["name"] == "Convolution"
    assert view["header"]["stride"] == [2, 2]
    assert (view["state"]["y"], view["state"]["over"]) == (3, "output")
    assert view["notes"] == drawn(ASKED)["notes"]
    assert "kept" not in view


def test_a_link_may_keep_a_view_beside_its_own() -> None:
    kept = Link(replace(ASKED, field="zero", strength=None), ViewState(y=9), None, ())
    link = Link(ASKED, ViewState(y=3), kept, ())
    view = strict(open_link(link, "cpu"))
    other = view.pop("kept")
    assert set(other) == set(view)
    assert (view["state"]["y"], other["state"]["y"]) == (3, 9)
    assert view["data"]["id"] != other["data"]["id"]
    assert offsets(view).any()
    assert not offsets(other).any()
    assert dict(parse_qsl(other["query"]))["field"] == "zero"


def test_a_link_to_a_comparison_with_itself() -> None:
    """One run then stands in both places, each with a state of its own."""
    link = Link(ASKED, ViewState(y=3), Link(ASKED, ViewState(y=9), None, ()), ())
    view = strict(open_link(link, "cpu"))
    assert view["data"] == view["kept"]["data"]
    assert (view["state"]["y"], view["kept"]["state"]["y"]) == (3, 9)


def test_what_was_refused_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (128, 96)).save(path)
    problems = ("the link's seed was left out: expected a whole number, got '<b>x</b>'", "and more")
    kept = Link(ASKED, ViewState(), None, ("of the kept view",))
    link = Link(replace(ASKED, photo=str(path)), ViewState(), kept, problems)
    view = strict(open_link(link, "cpu"))
    assert view["notes"] == ["shrunk from 96 x 128 to 48 x 64", *problems]


def test_a_refusal_is_noted_once() -> None:
    """The run is kept for the next who asks for it, who has done nothing wrong."""
    refused = from_query({"seed": "<script>"}, ASKED)
    (problem,) = refused.problems
    before = drawn(ASKED)["notes"]
    for _ in range(2):
        assert strict(open_link(refused, "cpu"))["notes"] == [*before, problem]
    assert drawn(ASKED)["notes"] == before


def test_a_position_that_there_is_not_is_no_failure() -> None:
    link = from_query({"y": "2000000000", "x": "0", "tap": "99", "group": "9"}, ASKED)
    view = strict(open_link(link, "cpu"))
    assert view["state"]["y"] == 2_000_000_000  # the viewer goes to the nearest
    assert view["reading"]["y"] < view["header"]["output_size"][0]
