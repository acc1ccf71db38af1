"""What the core makes is told in Chinese: findings, checks, facts, notes, and what was refused."""

from __future__ import annotations

import pickle
import re
import zipfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deformviz import Kernel, Sampling
from deformviz.analysis import findings
from deformviz.checkpoints import (
    CheckpointError,
    find_layers,
    open_checkpoint,
    static_sampling,
)
from deformviz.explore import LEARNED, OPERATORS, Settings, explore
from deformviz.images import ImageError, Photo, decode
from deformviz.inspection import inspect_network
from deformviz.inspection.told import told_of_run, told_of_weights
from deformviz.operators.spatial_shift import BORDERS
from deformviz.viewer.facts import facts_part
from deformviz.viewer.scene import caption
from deformviz.web import link
from deformviz.web.asked import Asked, five_ways
from deformviz.web.checkpoint_jobs import epochs_opened
from deformviz.web.view import picture_caption, status, view_part
from deformviz.words import say, speaking

NAMES = re.compile(
    "deformviz|Deformable Conv|DRConv|CoordConv|Active Shift|CycleFC|conv2d|deform_conv2d|"
    "torch.roll|torchvision|roll|slice|depthwise|grid_sample|CPU|NaN|EXIF|px|ms|MiB|Dai|MB|sigmoid|softmax|dy|dx"
)
IMAGE = np.random.default_rng(0).integers(0, 255, (80, 90, 3), dtype=np.uint8)
FIRST = Asked(
    photo=None, example="cat", side=64, kernel_height=3, kernel_width=3, strength=None,
    **{name: getattr(Settings(), name) for name in (
        "operator", "stride", "dilation", "weights", "field", "offset_groups", "mask",
        "mask_strength", "guide", "regions", "generated", "radius", "coordinate_weight",
        "parameters", "learned_layer", "directions", "strategy", "border", "seed")},
)  # fmt: skip


def chinese(text: str) -> str:
    with speaking("zh"):
        return say(text)


def left_in_english(text: str) -> str:
    """The English words of a text in Chinese."""
    return " ".join(re.findall("[A-Za-z]{2,}", NAMES.sub("", chinese(text))))


def parts(text: str) -> list[str]:
    """The viewer tells these one by one."""
    return text.split(", ")


def sampling(offset: torch.Tensor, mask: torch.Tensor | None = None) -> Sampling:
    size = (offset.shape[3], offset.shape[4])
    return Sampling("one", size, size, Kernel.of(3, padding=1), offset, mask=mask)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_run_is_told(operator: str) -> None:
    for stride, reference in ((1, "slice"), (2, "roll")):
        settings = Settings(operator=operator, stride=stride, dilation=2, strategy=reference)
        run = explore(IMAGE, settings)
        for text in [check.claim for check in run.checks]:
            assert left_in_english(text) == ""
        for text in (status(run), picture_caption(run), caption(run.sampling)):
            assert [left_in_english(part) for part in parts(text)] == [""] * len(parts(text))
        for name, _, meaning in facts_part(run.sampling):
            assert left_in_english(name) == left_in_english(meaning) == ""


@pytest.mark.parametrize(
    "asked",
    [
        {"field": LEARNED, "mask": LEARNED},
        {"field": LEARNED, "learned_layer": 2},
        {"operator": "DRConv", "guide": LEARNED},
        {"operator": "CoordConv", "parameters": LEARNED},
        {"operator": "Active Shift", "parameters": LEARNED},
    ],
)
def test_a_learned_layer_is_told(asked: dict[str, Any]) -> None:
    run = explore(IMAGE, Settings(**asked))
    photo = Photo(IMAGE, (80, 90), ())
    texts = [*view_part(run, photo)["notes"], *(check.claim for check in run.checks)]
    assert len(texts) == 4
    for text in [*texts, *parts(picture_caption(run)), *parts(status(run))]:
        assert left_in_english(text) == "", text


def test_the_five_shifts_are_told() -> None:
    told = five_ways(replace(FIRST, operator="Spatial shift"), "cpu")
    assert left_in_english(told["title"]) == ""
    assert {row["strategy"] for row in told["rows"]} == set(BORDERS)
    for row in told["rows"]:
        assert left_in_english(row["tensor"]["alt"]) == left_in_english(row["image"]["alt"]) == ""


FIELD = torch.randn(3, 9, 2, 16, 16, generator=torch.Generator().manual_seed(0))
MASK = FIELD[:, :, 0].sigmoid()
UPMOST = torch.eye(18)[0].view(1, 9, 2, 1, 1)
SICK = {
    "nonfinite": (FIELD * torch.tensor([1, torch.nan, 1]).view(3, 1, 1, 1, 1), MASK, {}),
    "exploded": (200 * FIELD, MASK, {}),
    "outside": (FIELD - 12 * UPMOST, MASK, {}),
    "clamp binds": (FIELD.clamp(-0.5, 0.5), MASK, {}),
    "static": (FIELD[..., :1, :1] + 1e-3 * FIELD, MASK, {}),
    "collapsed": (0.01 * FIELD - Kernel.of(3).centred_taps()[None, :, :, None, None], MASK, {}),
    "mask equal": (FIELD, MASK * 0 + 0.5, {}),
    "mask saturated": (FIELD, (MASK > 0.5).float(), {}),
    "dead": (0 * FIELD, None, {}),
    "still": (0 * FIELD, MASK, {}),
    "untrained": (0 * FIELD, None, {"weights": (torch.zeros(54, 4, 3, 3), torch.zeros(54))}),
    "bias only": (FIELD, None, {"weights": (torch.zeros(54, 4, 3, 3), torch.ones(54))}),
}


@pytest.mark.parametrize("kind", SICK)
@pytest.mark.parametrize("groups", [1, 3])
def test_a_finding_is_told(kind: str, groups: int) -> None:
    offset, mask, known = SICK[kind]
    found = findings(sampling(offset[-groups:], None if mask is None else mask[-groups:]), **known)
    if groups == 3 or kind != "nonfinite":
        assert kind in {one.kind for one in found}
    for one in found:
        assert left_in_english(one.sentence) == "", one.sentence
        assert left_in_english(one.kind) == "", one.kind


def test_a_network_that_ran_is_told() -> None:
    run = explore(IMAGE, Settings(operator="Deformable Conv v2")).sampling
    told = told_of_run(inspect_network([run], IMAGE, "net.onnx").layers[0])
    for text in [*told["notes"], *parts(told["status"]), *(c["claim"] for c in told["checks"])]:
        assert left_in_english(text) == "", text


def test_a_checkpoints_layers_are_told() -> None:
    for row in epochs_opened().shown.found:
        told = told_of_weights(row)
        texts = [*told["notes"], *parts(told["status"])[2:]]
        texts += [text for fact in told["facts"] for text in fact]
        texts += [finding["sentence"] for finding in told["findings"]]
        assert [left_in_english(text) for text in texts] == [""] * len(texts)


def _cut(path: Path) -> None:
    torch.save({"a.weight": torch.zeros(999)}, path)
    path.write_bytes(path.read_bytes()[:-99])


def _packed_anew(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net.pth", bytes(999))


STRANGE: dict[str, Callable[[Path], object]] = {
    "cut.pth": _cut,
    "packed.pth": _packed_anew,
    "numbers.pth": lambda path: torch.save({"epoch": torch.Size([3])}, path),
    "object.pth": lambda path: torch.save(Namespace(epoch=3), path),
    "pickle.pth": lambda path: path.write_bytes(pickle.dumps({"a": 1})),
    "arrays.pth": lambda path: np.savez(path.open("wb"), a=np.zeros(3)),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_file_that_is_no_checkpoint_is_told(name: str, tmp_path: Path) -> None:
    STRANGE[name](tmp_path / name)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(tmp_path / name)
    assert not re.search("This file|Expected|Load it|Save|not read", chinese(str(caught.value)))


def test_what_a_file_was_read_as_is_told(tmp_path: Path) -> None:
    weights = {"a.weight": torch.zeros(3)}
    torch.save(
        {"ema": weights | {"n": 3}, "model": weights, "args": Namespace()}, tmp_path / "a.pth"
    )
    notes = open_checkpoint(tmp_path / "a.pth").notes
    assert notes
    for note in notes:
        assert re.search("[\u4e00-\u9fff]", chinese(note)), note


def test_a_layer_that_no_weights_place_is_told() -> None:
    shapes = {f"bbox_head.vfnet_{one}_dconv.weight": (8, 8, 3, 3) for one in ("reg_refine", "cls")}
    layer = find_layers(shapes)[0]
    with pytest.raises(ValueError, match="follow from boxes") as caught:
        static_sampling(layer, {key: torch.zeros(shape) for key, shape in shapes.items()}, (8, 8))
    assert "由检测框算出" in chinese(str(caught.value))


@pytest.mark.parametrize(
    "query",
    [
        {"stride": "x", "seed": "-1", "tap": "1.5", "zoom": "1,2", "about": "yes"},
        {"learned_layer": "9", "parameters": "y"},
        {"kernel": "3", "side": "33", "regions": "9", "mask_strength": "2", "strength": "1e9"},
        {"operator": "y", "image": "y", "field": "y", "morph": "7", "layer": "x", "leave_out": "x"},
        {"compare": "nothing"},
        {"compare": "stride=x"},
        {"over": "y" * 5000},
    ],
)
def test_what_a_link_may_not_hold_is_told(query: dict[str, str]) -> None:
    """In words; names and values stay as the link has them."""
    problems = link.from_query(query, FIRST).problems
    assert problems
    for problem in problems:
        with speaking("zh"):
            told = say(problem)
        assert not re.search("the|expected|must|left out|link|between|got", told), told


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"%PDF-1.5", b"\x89PNG\r\n\x1a\n" + bytes(40), b"nothing at all"]
)
def test_a_picture_that_cannot_be_read_is_told(data: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data)
    allowed = "PNG|JPEG|WebP|BMP|GIF|TIFF|PDF"
    assert re.sub(allowed, "", left_in_english(str(caught.value))).split() == []


def test_notes_on_a_picture_are_told() -> None:
    photo = decode(_png(120, 60), max_side=32)
    assert isinstance(photo, Photo)
    assert photo.notes
    assert [left_in_english(note) for note in photo.notes] == [""] * len(photo.notes)


def _png(width: int, height: int) -> bytes:

    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()
