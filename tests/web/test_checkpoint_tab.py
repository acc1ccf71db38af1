"""The Checkpoint tab's answers, without a browser."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch

from deformviz.web import checkpoint_tab as tab
from deformviz.web import numbers
from deformviz.web.numbers import Shelf

OFFSETS = torch.linspace(-2, 2, 18)


@pytest.fixture(autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SHELF", Shelf())


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Two layers: one trained, one not."""
    file = tmp_path / "net.pth"
    tensors = {
        "a.weight": torch.rand(8, 8, 3, 3),
        "a.conv_offset.weight": torch.rand(18, 8, 3, 3),
        "a.conv_offset.bias": OFFSETS,
        "<b>.weight": torch.rand(8, 12, 3, 3),
        "<b>.conv_offset.weight": torch.zeros(54, 12, 3, 3),
    }
    torch.save(tensors, file)
    return str(file)


@dataclass
class Chosen:
    """What Gradio tells of a click on a row."""

    row_value: list[str]


def told(answer: list[Any]) -> dict[str, Any]:
    opened, table, words, view, *readings = answer
    values = [update["value"] for update in readings]
    return {"opened": opened, "table": table, "words": words, "view": view, "readings": values}


def points(view: str) -> torch.Tensor:
    """The offsets that the viewer draws first: [K, 2]."""
    return torch.tensor(json.loads(view)["reading"]["offset"])[0]


def test_a_file_opens_on_its_first_layer(path: str) -> None:
    shown = told(tab._open(path))
    assert [row[1] for row in shown["table"]] == ["a", "<b>"]
    assert shown["table"][0][2:] == [
        "mmcv DCNv1",
        "3 × 3",
        "1",
        "interleaved",
        "none",
        "zero",
        "none",
    ]
    assert shown["table"][1][-1] == "untrained"
    assert shown["readings"] == ["mmcv DCNv1", "interleaved", "none", "zero", 1]
    assert torch.allclose(points(shown["view"]), OFFSETS.reshape(9, 2))  # dy, dx of each tap


def test_another_layer_can_be_chosen(path: str) -> None:
    opened = tab._open(path)[0]
    shown = told(tab._look(opened, Chosen(["1", "<b>"])))
    assert "untrained" in shown["words"]
    assert json.loads(shown["view"])["header"]["name"] == "<b>"
    assert points(shown["view"]).abs().max() == 0
    listed = json.loads(shown["view"])["findings"]  # by the weights: "static" is any such pattern
    assert [found["kind"] for found in listed] == ["untrained"]


def test_what_is_assumed_is_marked_and_settled_by_an_override(path: str) -> None:
    opened = tab._look(tab._open(path)[0], Chosen(["1", "<b>"]))[0]
    layer = opened.row.layer
    assert "family" in layer.assumed
    shown = told(tab._override(opened, "mmcv DCNv1", "interleaved",
                               tab._NO_MASK, "zero", 3))  # fmt: skip
    assert shown["readings"][0] == "mmcv DCNv1"
    assert "?" not in shown["table"][1][2]


def test_another_order_draws_another_picture(path: str) -> None:
    opened = tab._open(path)[0]
    shown = told(tab._override(opened, "mmcv DCNv1", "blocked", "none", "zero", 1))
    # Of blocked channels the first nine are dy.
    assert torch.allclose(points(shown["view"]), OFFSETS.reshape(2, 9).T)
    assert shown["readings"][1] == "blocked"


def test_what_contradicts_the_shapes_is_refused(path: str) -> None:
    opened = tab._open(path)[0]
    with pytest.raises(gr.Error, match="offset_groups=7"):
        tab._override(opened, "mmcv DCNv1", "interleaved", "none", "zero", 7)


@pytest.mark.parametrize("content", [b"", b"words", b"\x80\x02cos\nsystem\n."])
def test_a_file_that_cannot_be_read_gets_a_message(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(content)
    with pytest.raises(gr.Error) as raised:
        tab._open(str(file))
    assert str(tmp_path) not in str(raised.value)


def test_a_file_without_such_layers_gets_a_message(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    torch.save({"stem.weight": torch.zeros(8, 3, 3, 3)}, file)
    with pytest.raises(gr.Error, match="no deformable layer"):
        tab._open(str(file))


def test_a_row_that_is_not_there_is_refused(path: str) -> None:
    with pytest.raises(gr.Error, match="choose a checkpoint"):
        tab._look(None, Chosen(["0"]))
    with pytest.raises(gr.Error, match="no layer 9"):
        tab._look(tab._open(path)[0], Chosen(["9"]))


def test_the_ground_has_a_square_for_each_pixel() -> None:
    ground = tab.squares((3, 4))
    assert ground.shape == (3, 4, 3)
    grey = ground[..., 0].astype(int)
    assert (grey[1:] != grey[:-1]).all()
    assert (grey[:, 1:] != grey[:, :-1]).all()
