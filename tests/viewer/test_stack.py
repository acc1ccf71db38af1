"""Several layers in one file: each one's numbers once, the photo once, and a bound on all of it."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from records import PHOTO, run, strict
from safetensors.torch import load
from test_page import HOSTILE, Page

import deformviz
from deformviz import Kernel, Sampling
from deformviz.viewer import Stack, View, ViewState, stack
from deformviz.viewer.stack import below


def layers(count: int = 3) -> list[Sampling]:
    """Records on `PHOTO`, each with offsets of its own."""
    runs = [run("Deformable Conv v2", field="random", seed=seed) for seed in range(count)]
    return [replace(sampling, name=f"conv{i}") for i, sampling in enumerate(runs)]


def page_of(shown: Stack) -> tuple[Page, Any]:
    """A stack's page, and what its viewer is given."""
    page = Page(shown.html())
    return page, page.view


def numbers(page: Page, view: Any) -> dict[str, torch.Tensor]:
    """A layer's numbers, as its view says where they are."""
    packed = base64.b64decode(page.text("script", id=view["data"]["element"]), validate=True)
    plain = gzip.decompress(packed)
    assert len(plain) == view["data"]["size"]
    return load(plain)


def test_each_layers_numbers_are_in_the_file_once() -> None:
    records = layers()
    page, whole = page_of(Stack(records, PHOTO, title="a network"))
    assert page.text("title") == "a network · deformviz"
    assert len(page.texts("script", type="application/octet-stream")) == 3
    assert len({view["data"]["id"] for view in whole["layers"]}) == 3
    for record, view in zip(records, whole["layers"], strict=True):
        assert view["header"] == record.header()
        sent = numbers(page, view)
        assert torch.equal(sent["offset"].expand(record.offset.shape), record.offset)
        assert record.input is not None
        assert torch.equal(sent["input"], record.input)


def test_the_photo_is_in_the_file_once() -> None:
    _, whole = page_of(Stack(layers(), PHOTO))
    photo, alone = whole["layers"][0]["grounds"]["image"], strict_view(View(layers()[0], PHOTO))
    assert photo == alone["grounds"]["image"]
    assert ["image" in view["grounds"] for view in whole["layers"]] == [True, False, False]


def test_without_a_photo_each_layer_has_its_own_ground() -> None:
    records = layers()
    _, whole = page_of(Stack(records))
    for record, view in zip(records, whole["layers"], strict=True):
        assert view["grounds"] == strict_view(View(record))["grounds"]


def strict_view(view: View) -> Any:
    return Page(view.html()).view


@pytest.mark.parametrize(("layer", "shown"), [(None, 2), (0, 0), (1, 1), (2, 2), (99, 2)])
def test_it_opens_on_the_layer_of_its_state_or_the_last(layer: int | None, shown: int) -> None:
    state = ViewState(layer=layer, y=3, x=5, follow=2)
    _, whole = page_of(Stack(layers(), PHOTO, state=state))
    assert whole["shown"] == shown
    assert whole["state"] == state.json()
    reading = whole["layers"][shown]["reading"]
    assert (reading["y"], reading["x"]) == (3, 5)


def test_each_layer_is_told_its_own() -> None:
    told = [{"status": f"no. {i}", "notes": [f"note {i}"], "facts": {"i": i}} for i in range(3)]
    _, whole = page_of(Stack(layers(), PHOTO, told))
    for i, view in enumerate(whole["layers"]):
        assert view["status"] == f"no. {i}"
        assert view["notes"] == [f"note {i}"]
        assert view["facts"] == {"i": i}
    assert told[0] == {"status": "no. 0", "notes": ["note 0"], "facts": {"i": 0}}


@pytest.mark.parametrize(("count", "told"), [(0, ()), (2, ({},)), (1, ({}, {}))])
def test_layers_and_what_is_told_of_them_go_together(count: int, told: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected at least one|an entry for each of"):
        Stack(layers(count), told=told)


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_layers_name_is_never_markup(name: str) -> None:
    records = [replace(record, name=name) for record in layers(2)]
    page, whole = page_of(Stack(records, PHOTO, title=name))
    plain, _ = page_of(Stack(layers(2), PHOTO, title="plain"))
    assert [tag for tag, *_ in page.elements] == [tag for tag, *_ in plain.elements]
    assert [view["header"]["name"] for view in whole["layers"]] == [name, name]


# A file of bounded size


def test_above_the_limit_all_is_rounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    records = layers()
    whole = sum(map(stack.wire_size, records))
    monkeypatch.setattr(stack, "MOST_BYTES", whole - 1)
    page, shown = page_of(Stack(records, PHOTO, [{"notes": ["mine"]}] * 3))
    for record, view in zip(records, shown["layers"], strict=True):
        sent = numbers(page, view)
        assert {tensor.dtype for tensor in sent.values()} == {torch.float16}
        assert torch.equal(sent["offset"], record.offset.half())
        mine, note = view["notes"]
        assert mine == "mine"
        assert "half precision" in note


def test_a_tensor_that_has_no_half_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    (record,) = layers(1)
    assert record.input is not None
    record = replace(record, input=record.input + 1e6)
    monkeypatch.setattr(stack, "MOST_BYTES", stack.wire_size(record) - 1)
    page, shown = page_of(Stack([record]))
    sent = numbers(page, shown["layers"][0])
    assert torch.equal(sent["input"], record.input)
    assert sent["offset"].dtype == torch.float16


def test_then_inputs_and_outputs_are_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    records = layers()
    half = sum(stack.wire_size(record, all_half=True) for record in records)
    monkeypatch.setattr(stack, "MOST_BYTES", half - 1)
    page, shown = page_of(Stack(records, PHOTO))
    for view in shown["layers"]:
        assert not {"input", "output"} & set(numbers(page, view))
        assert "inputs and outputs" in view["notes"][-1]
        assert "output" not in view["overlays"]


def test_what_does_not_fit_at_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="give fewer layers or a smaller image"):
        Stack(layers(), PHOTO).html()


# What a layer is told of those before it


def test_the_layers_below_come_the_nearest_first() -> None:
    records = layers()
    told = below(records, [{"id": str(i), "url": f"/{i}", "size": i} for i in range(3)])
    assert [each["name"] for each in told] == ["conv2", "conv1", "conv0"]
    assert [each["header"] for each in told] == [r.header() for r in reversed(records)]
    assert told[0]["data"] == {"id": "2", "url": "/2", "size": 2}
    assert {(each["groups"], each["taps"]) for each in told} == {(1, 9)}
    assert strict(json.dumps(told)) == told


# deformviz.show


def test_show_opens_a_browser_and_gives_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: opened.append(uri) or True)
    path = deformviz.show(layers(2), PHOTO, layer=0, y=1)
    assert isinstance(path, Path)
    assert opened == [path.as_uri()]
    whole = Page(path.read_text(encoding="utf-8")).view
    assert (whole["shown"], whole["state"]["y"], len(whole["layers"])) == (0, 1, 2)


def test_show_takes_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda uri: True)
    path = deformviz.show(Sampling.regular("one", Kernel.of(3), (8, 8)))
    assert path is not None
    page = Page(path.read_text(encoding="utf-8"))
    assert page.text("title") == "one · deformviz"
    assert len(page.view["layers"]) == 1


@pytest.mark.parametrize("kernel", [True, False])
def test_in_a_notebook_show_displays(kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython's shell has a kernel where there is a notebook, and none in a terminal."""
    displayed: list[Any] = []
    shell = SimpleNamespace(kernel=None) if kernel else SimpleNamespace()
    display = SimpleNamespace(display=displayed.append)
    python = SimpleNamespace(get_ipython=lambda: shell, display=display)
    monkeypatch.setitem(sys.modules, "IPython", python)
    monkeypatch.setattr(webbrowser, "open", lambda uri: True)
    path = deformviz.show(layers(1), np.asarray(PHOTO))
    assert (path is None) == kernel
    assert [each.samplings[0].name for each in displayed] == (["conv0"] if kernel else [])


def test_a_state_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="follow must be a whole number"):
        deformviz.show(layers(1), follow=-1)
