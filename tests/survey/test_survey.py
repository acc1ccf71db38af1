"""Whole surveys, against the same networks run on one image after the other."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from surveyed import net, photos

from deformviz import run_checkpoint
from deformviz.analysis import effective_dilation
from deformviz.images import decode
from deformviz.survey import Survey, survey
from deformviz.survey.images import list_images

SIZE = (40, 56)
OWN = {"model": "surveyed:net", "size": SIZE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network as weights, as a program and as ONNX, and eleven images."""
    path = tmp_path_factory.mktemp("survey")
    photos(path / "photos", 11)
    torch.save(net().state_dict(), path / "net.pth")
    one = torch.export.export(net(), (torch.rand(1, 3, *SIZE),))
    torch.export.save(one, path / "one.pt2")
    some = {"x": {0: torch.export.Dim("batch", min=1, max=64)}}
    many = torch.export.export(net(), (torch.rand(2, 3, *SIZE),), dynamic_shapes=some)
    torch.export.save(many, path / "many.pt2")
    return path


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Any]:
    """Each image by itself: findings, dilations and lengths of each layer."""
    images = list_images(folder / "photos")
    kinds: Counter = Counter()
    dilations: dict[str, list[np.ndarray]] = {"first.conv": [], "second.conv": []}
    lengths: dict[str, list[np.ndarray]] = {"first.conv": [], "second.conv": []}
    for image in range(len(images.names)):
        run = run_checkpoint(folder / "net.pth", images.path(image), **OWN)
        for row in run.layers:
            kinds.update({(row.sampling.name, found.kind) for found in row.report.findings})
            dilations[row.sampling.name].append(effective_dilation(row.sampling).numpy())
            lengths[row.sampling.name].append(row.sampling.offset.double().norm(dim=2).numpy())
    return {"kinds": kinds, "dilations": dilations, "lengths": lengths}


def check_equal(found: Survey, expected: dict[str, Any], rel: float) -> None:
    told = found.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert {(f["layer"], f["kind"]): f["images"] for f in told["findings"]} == expected["kinds"]
    assert [layer["name"] for layer in told["layers"]] == ["first.conv", "second.conv"]
    for layer in told["layers"]:
        dilations = np.stack(expected["dilations"][layer["name"]])
        lengths = np.stack(expected["lengths"][layer["name"]])
        d, n = layer["dilation"], layer["statistics"]
        assert d["mean"] == pytest.approx(dilations.mean(), rel=rel)
        assert d["deviation"] == pytest.approx(dilations.std(), rel=10 * rel)
        assert (d["least"], d["largest"]) == pytest.approx(
            (dilations.min(), dilations.max()), rel=rel
        )
        assert n["mean"] == pytest.approx(lengths.mean(), rel=rel)
        assert n["largest"] == pytest.approx(lengths.max(), rel=rel)
        assert layer["images"] == len(dilations) == 11
        histogram = layer["histograms"]["dilation"]
        assert sum(histogram["counts"]) == dilations.size
        assert sum(layer["histograms"]["length"]["counts"]) == lengths.size


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_every_image_counts_once(folder: Path, expected: dict[str, Any], batch: int) -> None:
    found = survey(folder / "net.pth", folder / "photos", batch=batch, **OWN)
    check_equal(found, expected, 1e-5)  # a batch of four is rounded otherwise than one of one
    assert expected["kinds"]  # there is something to find
    assert found.tally.images == 11


@pytest.mark.parametrize("file", ["one.pt2", "many.pt2"])
def test_a_program(folder: Path, expected: dict[str, Any], file: str) -> None:
    found = survey(folder / file, folder / "photos", batch=4, trust=True)
    assert found.plan["size"] == list(SIZE)
    check_equal(found, expected, 1e-5)


def test_an_onnx_file(folder: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "net.onnx"
    torch.onnx.export(
        net(), (torch.rand(1, 3, *SIZE),), path, dynamo=True, opset_version=19,
        external_data=False, verbose=False,
    )  # fmt: skip
    found = survey(path, folder / "photos", batch=4)
    check_equal(found, expected, 1e-4)


def test_layers_are_read_and_verified_as_by_check(folder: Path) -> None:
    found = survey(folder / "net.pth", folder / "photos", **OWN)
    assert all(row.verified is not None and row.verified.ok for row in found.run.layers)
    text = found.to_text(120)
    assert "order verified: 2 of 2 layers" in text
    for name in ("first.conv", "second.conv"):
        assert name in text


def test_broken_images_are_counted_and_named(folder: Path, tmp_path: Path) -> None:
    images = photos(tmp_path / "photos", 6)
    whole = survey(folder / "net.pth", images, batch=2, **OWN).to_dict()
    (images / "0002a.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (images / "empty\x1b[2J.jpg").touch()
    (images / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (images / "loop").symlink_to(images)
    (images / "notes.txt").write_text("no image")
    (images / ".hidden.png").touch()
    found = survey(folder / "net.pth", images, batch=2, **OWN)
    assert found.tally.images == 6
    assert found.tally.broken_count == 3
    assert [name for name, _ in found.broken] == ["0002a.png", "empty\x1b[2J.jpg", "gone.png"]
    assert found.images.others == 1
    text = found.to_text()
    assert "3 images could not be read" in text
    assert "\x1b" not in text
    told = found.to_dict()
    for before, after in zip(whole["layers"], told["layers"], strict=True):
        assert after["dilation"]["mean"] == pytest.approx(before["dilation"]["mean"], rel=1e-5)
        assert after["images"] == before["images"] == 6


def test_no_image_at_all(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Expected a folder"):
        survey(folder / "net.pth", tmp_path / "absent", **OWN)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="of its 1 files none ends in"):
        survey(folder / "net.pth", tmp_path, **OWN)
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"None of the 1 images can be read.*empty"):
        survey(folder / "net.pth", tmp_path, **OWN)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": None}, "holds weights alone"),
        ({"batch": 0}, "1 or more"),
        ({"model": "torch.nn:Identity", "strict": False}, "no weight of Identity"),
    ],
)
def test_what_cannot_be_surveyed(folder: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        survey(folder / "net.pth", folder / "photos", **{**OWN, **options})


def test_a_program_has_its_size_and_its_device(folder: Path) -> None:
    with pytest.raises(ValueError, match="40 x 56 alone"):
        survey(folder / "one.pt2", folder / "photos", trust=True, size=(64, 64))
    with pytest.raises(ValueError, match="runs on the CPU"):
        survey(folder / "one.pt2", folder / "photos", trust=True, device="cuda")
    with pytest.raises(PermissionError):
        survey(folder / "one.pt2", folder / "photos")


def test_the_list_is_sorted_and_notices_changes(tmp_path: Path) -> None:
    images = photos(tmp_path / "photos", 5)
    found = list_images(images)
    on_disk = sorted(str(p.relative_to(images)) for p in images.rglob("*.png"))
    assert list(found.names) == on_disk
    assert found.digest == list_images(images).digest
    (images / "0001.png").write_bytes(b"other")
    assert found.digest != list_images(images).digest


def test_photos_lose_nothing_at_a_large_size(tmp_path: Path, folder: Path) -> None:
    """A photo of 900 pixels that runs at 800 is not shrunk to 512 before."""
    from PIL import Image

    from deformviz.survey.images import Loader

    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255  # gone where it was shrunk
    (tmp_path / "photos").mkdir()
    Image.fromarray(stripes).save(tmp_path / "photos" / "a.png")
    images = list_images(tmp_path / "photos")
    x = Loader(images, 1, (900, 900), 3, "unit").one(0)
    assert torch.equal(x[0, 0] * 255, torch.from_numpy(stripes[..., 0]).float())
    assert decode(images.path(0)).pixels.shape[0] == 512
    assert math.isclose(Loader(images, 1, (64, 64), 3, "unit").one(0).mean(), 0.5, abs_tol=0.01)
