"""The Checkpoint tab's answers, without a browser."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from deformviz.checkpoints import CheckpointError
from deformviz.web import checkpoint_jobs as jobs
from deformviz.web import numbers, opened
from deformviz.web.numbers import Shelf
from deformviz.web.opened import Openings

OFFSETS = torch.linspace(-2, 2, 18)
PHOTO = (None, "cat", 64, "unit")
"""No photo of one's own, an example, its side, the normalisation."""

HOSTILE = '<img src=x onerror="hacked()">'


@pytest.fixture(autouse=True)
def _stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SHELF", Shelf())
    for module in (opened, jobs):
        monkeypatch.setattr(module, "OPENINGS", Openings())


def save(file: Path, size: float = 1.0) -> str:
    """Two layers: one trained, one not."""
    tensors = {
        "a.weight": torch.rand(8, 8, 3, 3),
        "a.conv_offset.weight": size * torch.ones(18, 8, 3, 3),
        "a.conv_offset.bias": size * OFFSETS,
        f"{HOSTILE}.weight": torch.rand(8, 12, 3, 3),
        f"{HOSTILE}.conv_offset.weight": torch.zeros(54, 12, 3, 3),
    }
    torch.save(tensors, file)
    return str(file)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return save(tmp_path / "net.pth")


@pytest.fixture
def epochs(tmp_path: Path) -> list[str]:
    """Of which the static offsets grow with their number."""
    return [save(tmp_path / f"epoch_{n}.pth", n) for n in (10, 1, 2)]


@dataclass
class Chosen:
    """What Gradio tells of a row's choice."""

    _data: Any


def look(session: str, index: Any) -> dict[str, Any]:
    return jobs.look_job(session, "static", Chosen({"index": index}))  # type: ignore[arg-type]


def opened_with(*paths: str) -> dict[str, Any]:
    return jobs.open_job(list(paths), None, None, *PHOTO, progress=lambda *_, **__: None)  # type: ignore[arg-type]


def cells(table: str) -> list[list[str]]:
    """The text of a table's rows."""
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall("<tr data-index.*?</tr>", table)
    ]


def points(view: str) -> torch.Tensor:
    """The offsets that the viewer draws first: [K, 2]."""
    return torch.tensor(json.loads(view)["reading"]["offset"])[0]


def test_a_file_opens_on_its_first_layer(path: str) -> None:
    told = opened_with(path)
    assert cells(told["table"]) == [
        ["a", "mmcv DCNv1", "3 × 3", "1", "interleaved", "none", "zero", "none"],
        [HOSTILE, "mmcv DCNv2 ?", "3 × 3", "2 ?", "interleaved", "sigmoid ?", "zero", "untrained"],
    ]
    assert [told[name]["value"] for name in jobs.READINGS] == [
        "mmcv DCNv1", "interleaved", "none", "zero", 1,
    ]  # fmt: skip
    assert torch.allclose(points(told["view"]), OFFSETS.reshape(9, 2))  # dy, dx of each tap
    assert "state" in json.loads(told["view"])
    assert not told["files"]["visible"]
    assert told["timeline"] == ""


def test_names_and_messages_of_a_file_are_text(path: str) -> None:
    told = look(opened_with(path)["session"], 1)
    for part in (opened_with(path)["table"], told["words"]):
        assert "<img" not in part
        assert "&lt;img" in part


def test_another_layer_keeps_the_viewers_state(path: str) -> None:
    told = look(opened_with(path)["session"], 1)
    assert "untrained" in told["words"]
    view = json.loads(told["view"])
    assert view["header"]["name"] == HOSTILE
    assert "state" not in view
    assert [found["kind"] for found in view["findings"]] == ["untrained"]


@pytest.mark.parametrize("index", [9, -1, None, "0", True, 1.0])
def test_a_row_that_is_not_there_is_refused(index: Any, path: str) -> None:
    with pytest.raises(ValueError, match=r"no layer|choose a layer"):
        look(opened_with(path)["session"], index)


def test_what_is_assumed_is_settled_by_an_override(path: str) -> None:
    session = look(opened_with(path)["session"], 1)["session"]
    told = jobs.override_job(session, None, "mmcv DCNv1", "interleaved", jobs.NO_MASK, "zero", 3)
    assert cells(told["table"])[1][1:4] == ["mmcv DCNv1", "3 × 3", "3"]


def test_another_order_draws_another_picture(path: str) -> None:
    session = opened_with(path)["session"]
    told = jobs.override_job(session, None, "mmcv DCNv1", "blocked", "none", "zero", 1)
    # Of blocked channels the first nine are dy.
    assert torch.allclose(points(told["view"]), OFFSETS.reshape(2, 9).T)


def test_what_contradicts_the_shapes_is_refused(path: str) -> None:
    session = opened_with(path)["session"]
    with pytest.raises(ValueError, match="offset_groups=7"):
        jobs.override_job(session, None, "mmcv DCNv1", "interleaved", "none", "zero", 7)


@pytest.mark.parametrize("content", [b"", b"words", b"\x80\x02cos\nsystem\n."])
def test_a_file_that_cannot_be_read_gets_a_message(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(content)
    with pytest.raises(CheckpointError) as raised:
        opened_with(str(file))
    assert str(tmp_path) not in str(raised.value)


def test_a_file_without_such_layers_gets_a_message(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    torch.save({"stem.weight": torch.zeros(8, 3, 3, 3)}, file)
    with pytest.raises(ValueError, match="no deformable layer"):
        opened_with(str(file))


# ------------------------------------------------------------------------------- several files


def test_several_files_open_in_natural_order_at_the_last(epochs: list[str]) -> None:
    told = opened_with(*epochs)
    assert told["files"]["choices"] == [("epoch_1.pth", 0), ("epoch_2.pth", 1), ("epoch_10.pth", 2)]
    assert told["files"]["value"] == 2
    assert told["compare"]["value"] == "compare with epoch_2.pth"
    assert torch.allclose(points(told["view"]), 10 * OFFSETS.reshape(9, 2))


def lines(timeline: str) -> list[tuple[str, list[float], list[tuple[float, float]]]]:
    """Name, numbers and the dots' places of each line of the timeline, the chosen one's last."""
    found = []
    for group in ElementTree.fromstring(timeline).iter("g"):
        places = [
            (float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in group.iter("circle")
        ]
        numbers = json.loads(group.attrib["data-values"])
        found.append((group.attrib["data-layer"], numbers, places))
    return found


SIZE = math.sqrt(float(OFFSETS.reshape(9, 2).norm(dim=1).square().mean()))
"""Of the first epoch's static offsets: the root mean square of their lengths."""


def test_the_timeline_says_how_large_the_static_offsets_are(epochs: list[str]) -> None:
    timeline = opened_with(*epochs)["timeline"]
    other, (name, numbers, places) = lines(timeline)
    assert name == "a"
    assert numbers == pytest.approx([SIZE, 2 * SIZE, 10 * SIZE], rel=1e-5)
    assert other[:2] == (HOSTILE, [0, 0, 0])
    x, y = np.array(places).T
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    zero = other[2][0][1]
    assert zero - y == pytest.approx((zero - y[0]) * np.array([1, 2, 10]), abs=0.6)
    assert y.min() > 0
    words = [text.text for text in ElementTree.fromstring(timeline).iter("text")]
    assert words[-3:] == ["epoch_1", "epoch_2", "epoch_10"]


def test_a_change_stands_at_the_file_that_it_leads_to(epochs: list[str]) -> None:
    session = opened_with(*epochs)["session"]
    _, (_, sizes, before) = lines(jobs.measure_job(session, "static")["timeline"])
    _, (_, changes, places) = lines(jobs.measure_job(session, "pattern")["timeline"])
    assert len(sizes) == 3
    assert changes == pytest.approx([SIZE, 8 * SIZE], rel=1e-5)
    assert [x for x, _ in places] == [x for x, _ in before[1:]]


def test_a_layer_that_exploded_does_not_flatten_the_chosen_one() -> None:
    timeline = jobs.shown(jobs.epochs_opened())["timeline"]
    *others, (name, numbers, places) = lines(timeline)
    assert name == "backbone.layer2.0.conv2"
    heights = [y for _, y in places]
    assert max(heights) - min(heights) > 50
    assert max(max(values) for _, values, _ in others) > 20 * max(numbers)


def test_another_file_is_shown_at_the_same_layer(epochs: list[str]) -> None:
    session = look(opened_with(*epochs)["session"], 1)["session"]
    told = jobs.file_job(session, None, 0)
    view = json.loads(told["view"])
    assert view["header"]["name"] == HOSTILE
    assert view["status"].startswith("epoch_1.pth")
    assert "state" not in view
    with pytest.raises(ValueError, match="no file 7"):
        jobs.file_job(session, None, 7)


def test_the_file_before_is_kept_beside_it_as_often_as_asked(epochs: list[str]) -> None:
    session = opened_with(*epochs)["session"]
    first, second = (jobs.compare_job(session, None)["view"] for _ in range(2))
    view = json.loads(first)
    assert torch.allclose(points(first), 10 * OFFSETS.reshape(9, 2))
    assert view["kept"]["header"]["name"] == "epoch_2.pth: a"
    kept = torch.tensor(view["kept"]["reading"]["offset"])[0]
    assert torch.allclose(kept, 2 * OFFSETS.reshape(9, 2))
    assert first != second  # or the viewer would take it for what it shows


def test_what_is_no_checkpoint_is_named_and_the_others_open(
    epochs: list[str], tmp_path: Path
) -> None:
    broken = tmp_path / "<b>.pth"
    broken.write_bytes(b"words")
    told = opened_with(*epochs, str(broken))
    assert len(told["files"]["choices"]) == 3
    assert "Not opened: &lt;b&gt;.pth: Expected a checkpoint" in told["words"]


def test_files_of_two_networks_open_without_a_timeline(path: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save(
        {"b.weight": torch.rand(4, 4, 3, 3), "b.conv_offset.weight": torch.rand(18, 4, 3, 3)}, other
    )
    told = opened_with(path, str(other))
    assert told["timeline"] == ""
    assert "no deformable layer in common" in told["words"]
    assert cells(told["table"])[0][0] == "b"  # other.pth is behind net.pth


def test_one_file_less_leaves_the_others(epochs: list[str]) -> None:
    gone = gr.DeletedFileData(None, {"path": epochs[0], "meta": {"_type": "gradio.FileData"}})
    quiet: Any = lambda *_, **__: None  # noqa: E731
    told = jobs.delete_job(epochs, None, None, *PHOTO, gone, quiet)
    assert [name for name, _ in told["files"]["choices"]] == ["epoch_1.pth", "epoch_2.pth"]
    told = jobs.delete_job([epochs[0]], told["session"], None, *PHOTO, gone, quiet)
    assert told["session"] is None
    assert "untrained" in told["table"]


# ---------------------------------------------------------------------------------- the example


def test_the_made_up_network_follows_the_photo() -> None:
    """Offsets are the gradient of the map's mean colour, smoothed as Sobel's filter does."""
    told = jobs.shown(jobs.example_opened(), fresh=True)
    found = {row[0]: row[-1] for row in cells(told["table"])}
    assert found == {"layer1": "none", "layer2": "none", "layer3": "none",
                     "untrained": "dead"}  # fmt: skip
    run = jobs.example_opened().shown.run
    assert run is not None
    assert all(row.verified is not None and row.verified.ok for row in run.layers[:3])
    first = run.layers[0].sampling
    assert first.input is not None
    grey = first.input.mean(dim=0).numpy()
    middle = first.offset[0, 4].numpy()  # the middle tap's: [2, h, w]
    for axis, found_along in enumerate(middle):
        step = np.swapaxes(grey, 0, axis)
        change = (step[2:] - step[:-2]) / 2
        smooth = (change[:, :-2] + 2 * change[:, 1:-1] + change[:, 2:]) / 4
        assert np.allclose(np.swapaxes(found_along, 0, axis)[1:-1, 1:-1], 24 * smooth, atol=1e-4)
    below = json.loads(told["view"])["below"]
    assert [layer["name"] for layer in below] == ["layer2", "layer1"]


def test_the_made_up_network_runs_on_another_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet: Any = lambda *_, **__: None  # noqa: E731
    told = jobs.example_photo_job(None, None, None, "coffee", 64, "unit", quiet)
    run = jobs.opened_by(told["session"]).shown.run
    assert run is not None
    assert max(run.photo.shape) == 64
    assert jobs.example_job(told["session"], None)["session"] is None


def test_the_made_up_epochs_show_what_goes_wrong() -> None:
    told = jobs.shown(jobs.epochs_opened())
    assert [(row[0], row[-1]) for row in cells(told["table"])] == [
        ("backbone.layer2.0.conv2", "none"),
        ("backbone.layer3.0.conv2", "none"),
        ("backbone.layer4.0.conv2", "exploded"),
        ("neck.smooth.conv", "untrained"),
    ]
    assert len(told["files"]["choices"]) == 3
    # The first layer dilates, by 1.5 of a pixel a tap.
    taps = torch.cartesian_prod(torch.arange(-1.0, 2.0), torch.arange(-1.0, 2.0))
    assert torch.allclose(points(told["view"]), 1.5 * taps)


def test_what_was_let_go_is_said_to_be(path: str) -> None:
    session = opened_with(path)["session"]
    jobs.example_job(session, None)
    with pytest.raises(ValueError, match="let go"):
        look(session, 0)


def test_a_layer_without_a_pattern_says_so(tmp_path: Path) -> None:
    """VFNet's points follow from its boxes."""
    file = tmp_path / "vfnet.pth"
    shapes = {
        "bbox_head.vfnet_reg.weight": (4, 8, 3, 3),
        "bbox_head.vfnet_reg.bias": (4,),
        "bbox_head.vfnet_reg_refine_dconv.weight": (8, 8, 3, 3),
        "neck.weight": (8, 8, 3, 3),
        "neck.conv_offset.weight": (18, 8, 3, 3),
    }
    torch.save({name: torch.rand(shape) for name, shape in shapes.items()}, file)
    told = opened_with(str(file))
    names = [row[0] for row in cells(told["table"])]
    assert json.loads(told["view"])["header"]["name"] == "neck"  # the first that can be drawn
    told = look(told["session"], names.index("bbox_head.vfnet…g_refine_dconv"))
    assert told["view"] == gr.skip()
    assert "The picture still shows another layer" in told["words"]


def test_a_photo_among_the_files_is_what_a_network_runs_on(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "photo.PNG"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(photo)
    asked = []
    open_files = jobs.open_files
    monkeypatch.setattr(jobs, "open_files", lambda *a: (asked.append(a), open_files(*a))[1])
    told = opened_with(path, str(photo))
    files, on, _ = asked[0]
    assert (files, on.photo, told["photo"]) == ([path], str(photo), str(photo))
    with pytest.raises(ValueError, match=r"drop an \.onnx file with it"):
        opened_with(str(photo))
