"""The controls' questions, as the page asks them, and as a hostile program does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from httpx import Response
from PIL import Image
from plain_asked import ASKED
from safetensors.torch import load
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deformviz import examples
from deformviz.explore import OPERATORS, explore
from deformviz.fields import FIELDS
from deformviz.images import decode
from deformviz.viewer import ViewState
from deformviz.web import asking, numbers
from deformviz.web.asked import Asked
from deformviz.web.asking import read_asked, read_question
from deformviz.web.changes import CHANGES
from deformviz.web.turns import Turns

NAMES = list(Asked.__dataclass_fields__)


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    routes = [*asking.routes("cpu"), *numbers.ROUTES]
    with TestClient(Starlette(routes=routes)) as client:
        yield client


def question(control: str, value: Any = None, asked: Asked = ASKED, **others: Any) -> Any:
    """What `asking.js` sends."""
    given = {"control": control, "value": value, "values": list(astuple(asked)), "before": None}
    return given | {"address": "?y=20&x=30"} | others


def ask(client: TestClient, *arguments: Any, **others: Any) -> Any:
    answer = client.post(asking.PATH, json=question(*arguments, **others))
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: Response, status: int = 422) -> str:
    """The message, which has no words of the server's own."""
    assert answer.status_code == status
    told = answer.json()
    assert set(told) == {"title", "message"}
    for secret in ("Traceback", str(Path(asking.__file__).parent), "Errno"):
        assert secret not in told["message"]
    return str(told["message"])


# What is answered


def test_the_answer_is_the_run_that_is_asked_for(client: TestClient) -> None:
    answer = ask(client, "strength", 5.0, replace(ASKED, strength=5.0))
    view = answer["view"]
    pixels = decode(examples.path("cat"), max_side=64).pixels
    expected = explore(pixels, replace(ASKED, strength=5.0).settings).sampling
    sent = load(client.get(view["data"]["url"]).content)
    torch.testing.assert_close(sent["offset"], expected.offset, rtol=0, atol=0)
    torch.testing.assert_close(sent["output"], expected.output, rtol=0, atol=0)
    assert (view["reading"]["y"], view["reading"]["x"]) == (20, 30)
    np.testing.assert_array_equal(view["reading"]["offset"], expected.offset[..., 20, 30])
    assert answer["values"] == list(astuple(replace(ASKED, strength=5.0)))
    assert (answer["told"], answer["warning"]) == ([], None)


def test_the_image_comes_once(client: TestClient) -> None:
    first = ask(client, "strength")["view"]["grounds"]["image"]
    assert first["source"].startswith("data:image/")
    again = ask(client, "strength", ground=first["name"])["view"]["grounds"]["image"]
    assert again == {**first, "source": None, "same": True}
    other = replace(ASKED, example="coffee")
    view = ask(client, "example", "coffee", other, ground=first["name"])["view"]
    assert view["grounds"]["image"]["source"].startswith("data:image/")
    assert view["grounds"]["image"]["name"] != first["name"]
    kept = numbers.SHELF.get(view["data"]["id"])
    assert kept is not None
    assert kept.told["grounds"]["image"]["source"], "a saved page holds its image"


def test_a_button_for_the_kernel_sets_both_sides(client: TestClient) -> None:
    answer = ask(client, "kernel", 5)
    assert answer["view"]["header"]["kernel_size"] == [5, 5]
    assert answer["told"] == [5, 5]
    values = dict(zip(NAMES, answer["values"], strict=True))
    assert (values["kernel_height"], values["kernel_width"]) == (5, 5)
    answer = ask(client, "kernel_height", 5, replace(ASKED, kernel_height=5))
    assert answer["view"]["header"]["kernel_size"] == [5, 3]
    assert answer["told"] == [None]


def test_another_field_comes_with_its_own_strength_and_once(client: TestClient) -> None:
    chosen = replace(ASKED, field="rotate", strength=3.0)
    before = list(astuple(ASKED))
    answer = ask(client, "field", "rotate", chosen, before=before)
    assert answer["view"]["id"].endswith(f"rotate {FIELDS['rotate'].default:g}")
    assert answer["told"][0]["value"] == FIELDS["rotate"].default
    again = ask(client, "field", "rotate", chosen, before=answer["values"])
    assert again.keys() == {"values"}
    opened = ask(client, "field", "rotate", chosen, address="?field=rotate")
    assert opened.keys() == {"values"}, "the address says what the page opened on"


def test_an_operator_shows_its_own_controls(client: TestClient) -> None:
    told = ask(client, "operator", "DRConv", replace(ASKED, operator="DRConv"))["told"]
    targets = CHANGES["operator"].targets
    visible = {n for n, update in zip(targets, told, strict=True) if update.get("visible")}
    assert visible == {"stride", "dilation", "weights", "guide", "regions", "generated"}


LEARNED = {
    "Deformable Conv v1": ("field", {"field", "strength", "learned_layer"}),
    "Deformable Conv v2": ("mask", {"field", "strength", "mask", "mask_strength", "learned_layer"}),
    "DRConv": ("guide", {"guide"}),
    "CoordConv": ("parameters", {"parameters"}),
    "Active Shift": ("parameters", {"parameters", "learned_layer"}),
}


@pytest.mark.parametrize("operator", LEARNED)
def test_a_networks_layer_has_its_own_controls(client: TestClient, operator: str) -> None:
    """What it brings along goes, its layers come; and back."""
    control, expected = LEARNED[operator]
    plain = replace(ASKED, operator=operator, strength=None)
    visible: dict[str, Any] = {}
    for asked in (plain, replace(plain, **{control: "learned"}), plain):
        value = getattr(asked, control)
        told = ask(client, control, value, asked, address="")["told"]
        told += ask(client, "operator", operator, asked)["told"]
        targets = CHANGES[control].targets + CHANGES["operator"].targets
        updates = list(zip(targets, told, strict=True))
        visible |= {name: update["visible"] for name, update in updates if "visible" in update}
        learned = value == "learned"
        for name, update in updates:
            assert update.get("interactive", not learned) is not learned or name == "strength", name
        (label,) = {u["label"] for name, u in updates if name == "kernel"}
        assert (label == "Kernel: the network's own") == learned
        shown = {name for name, is_visible in visible.items() if is_visible}
        of_operator = {*OPERATORS[operator].controls} - {"learned_layer"}
        assert shown == (expected if learned else of_operator)


def test_a_learned_mask_is_first_shown_as_it_is(client: TestClient) -> None:
    asked = replace(ASKED, mask="learned", mask_strength=0.3)
    answer = ask(client, "mask", "learned", asked)
    told = dict(zip(CHANGES["mask"].targets, answer["told"], strict=True))
    assert told["mask_strength"]["value"] == 1
    assert dict(zip(NAMES, answer["values"], strict=True))["mask_strength"] == 1
    halved = replace(ASKED, mask="learned", mask_strength=0.5)
    again = ask(client, "mask", "learned", halved, before=answer["values"])
    opened = ask(client, "mask", "learned", halved, address="?mask=learned&mask_strength=0.5")
    for kept in (again, opened):
        assert dict(zip(NAMES, kept["values"], strict=True))["mask_strength"] == 0.5
    made_up = ask(client, "mask", "radial", replace(ASKED, mask_strength=0.3))
    assert dict(zip(NAMES, made_up["values"], strict=True))["mask_strength"] == 0.3


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_any_layer_of_a_network_is_drawn(client: TestClient, layer: int) -> None:
    asked = replace(ASKED, field="learned", strength=None, learned_layer=layer)
    view = ask(client, "learned_layer", layer, asked)["view"]
    pixels = decode(examples.path("cat"), max_side=64).pixels
    expected = explore(pixels, asked.settings).sampling
    sent = load(client.get(view["data"]["url"]).content)
    torch.testing.assert_close(sent["offset"], expected.offset)
    assert view["id"].endswith(f"| layer {layer}")
    assert view["notes"][-2].startswith(f"layer {layer} of 3 of a network")
    assert f"learned_layer={layer}" in view["query"]


def test_an_upload_is_drawn_and_an_example_takes_its_place(
    client: TestClient, uploads: Path
) -> None:
    path = uploads / "photo.png"
    Image.fromarray(np.full((40, 48, 3), 90, np.uint8)).save(path)
    asked = replace(ASKED, photo=str(path))
    answer = ask(client, "photo", str(path), asked)
    assert answer["view"]["header"]["input_size"] == [40, 48]
    answer = ask(client, "example", "cat", asked)
    assert answer["told"] == [None]
    assert dict(zip(NAMES, answer["values"], strict=True))["photo"] is None
    assert answer["view"]["header"]["input_size"] != [40, 48]


def test_an_upload_that_is_no_picture_is_let_go_with_a_warning(
    client: TestClient, uploads: Path
) -> None:
    path = uploads / "photo.png"
    path.write_text("words")
    answer = ask(client, "photo", str(path), replace(ASKED, photo=str(path)))
    assert "PNG, JPEG" in answer["warning"]["message"]
    assert str(uploads) not in answer["warning"]["message"]
    assert answer["told"] == [None]
    assert answer["view"]["header"]["input_size"] == list(
        decode(examples.path("cat"), max_side=64).pixels.shape[:2]
    )


# What is refused


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"side": 100000}, "between 32 and 1024"),
        ({"side": None}, "empty"),
        ({"side": float("nan")}, "between 32 and 1024"),
        ({"kernel_height": 400}, "between 1 and 11"),
        ({"strength": float("inf")}, "strength"),
        ({"strength": "12"}, "wrong type"),
        ({"generated": "yes"}, "wrong type"),
        ({"seed": True}, "wrong type"),
        ({"operator": "rm"}, "operator must be one of"),
        ({"operator": ["Convolution"]}, "wrong type"),
        ({"example": "../cat"}, "no example image"),
        ({"field": "none of them"}, "field must be one of"),
        ({"learned_layer": 4}, "learned layer must be between 1 and 3, got 4"),
        ({"learned_layer": None}, "learned layer is empty"),
        ({"learned_layer": "last"}, "wrong type"),
        ({"parameters": "x"}, "parameters must be one of made up, learned"),
    ],
)
def test_values_that_no_control_has_are_refused(
    client: TestClient, changed: dict[str, Any], message: str
) -> None:
    given = question("strength", asked=replace(ASKED, **changed))
    answer = client.post(
        asking.PATH, content=json.dumps(given), headers={"Content-Type": "application/json"}
    )
    assert message in refused(answer)


@pytest.mark.parametrize(
    "given",
    [
        [],
        {},
        {"control": "strength"},
        {"control": {"a": 1}},
        question("no such control"),
        question("kernel", "5"),
        question("kernel", True),
        question("strength", values=[1, 2]),
        question("strength", values={"photo": None}),
        question("field", before=[0]),
    ],
)
def test_what_is_no_question_is_refused(client: TestClient, given: Any) -> None:
    assert refused(client.post(asking.PATH, json=given))


@pytest.mark.parametrize("address", [None, 7, "?" * 9000, "y=1e9&x=-4", "%ff=%00&y=nan"])
def test_any_address_is_read(client: TestClient, address: Any) -> None:
    reading = ask(client, "strength", address=address)["view"]["reading"]
    assert reading["y"] >= 0
    assert reading["x"] >= 0


def test_only_uploaded_files_are_read(client: TestClient, uploads: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(secret)
    (uploads / "link.png").symlink_to(secret)
    for photo in (secret, uploads / ".." / "secret.png", uploads / "link.png", "", "\0", "cat.jpg"):
        answer = client.post(
            asking.PATH, json=question("photo", str(photo), replace(ASKED, photo=str(photo)))
        )
        assert "uploaded here" in refused(answer)
    gone = str(uploads / "gone.png")
    answer = client.post(asking.PATH, json=question("seed", 0, replace(ASKED, photo=gone)))
    assert "no such file" in refused(answer)


def test_a_question_is_bounded_and_of_its_type(client: TestClient) -> None:
    long = question("strength", address="x" * asking.MOST_BYTES)
    assert "at most 65536 bytes" in refused(client.post(asking.PATH, json=long), 413)
    text = json.dumps(question("strength"))
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = client.post(asking.PATH, content=text, headers={"Content-Type": kind})
        assert "application/json" in refused(answer, 415)
    for body in (b"", b"\xff", b"[" * 30000, b"nothing"):
        answer = client.post(
            asking.PATH, content=body, headers={"Content-Type": "application/json"}
        )
        assert "JSON object" in refused(answer)


def test_when_too_many_wait_it_is_said(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "DEVICE", Turns(most_waiting=0))
    answer = client.post(asking.PATH, json=question("strength"))
    assert "The server is busy" in refused(answer)


def test_what_fails_by_itself_is_not_shown_in_its_own_words(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(asking.__file__)

    monkeypatch.setattr(asking, "view_of", fail)
    answer = client.post(asking.PATH, json=question("strength"))
    assert "Something went wrong on the server" in refused(answer)


def test_a_question_is_read_as_it_is_asked() -> None:
    found = read_question(question("kernel", 7, before=list(astuple(ASKED))))
    assert (found.control, found.value, found.asked) == ("kernel", 7, ASKED)
    assert (found.field_before, found.mask_before) == ("wave", ASKED.mask)
    assert read_asked(list(astuple(ASKED))) == ASKED
    assert ViewState.from_query({"y": "20"})[0].y == 20
