"""A network on a photo: layers as in the file, every record checked against the layer's output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import healthy, seeded

from deformviz import Kernel, Sampling, examples
from deformviz.checkpoints import Layer, find_layers, run_on_image
from deformviz.images import decode
from deformviz.inspection import NetworkRun, inspect_checkpoint, inspect_network
from deformviz.inspection.checking import check_layers

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)


def samplings_of(model: torch.nn.Module) -> list[Sampling]:
    return run_on_image(model, PHOTO)


def layers_of(model: torch.nn.Module, before: str = "") -> list[Layer]:
    return find_layers({before + key: tuple(t.shape) for key, t in model.state_dict().items()})


def run(samplings: list[Sampling], layers: list[Layer]) -> NetworkRun:
    return inspect_network(samplings, PHOTO, "net.pth", layers=layers)


def test_each_layer_has_what_the_file_and_the_run_say() -> None:
    model = healthy()
    told = run(samplings_of(model), layers_of(model, "module.")).to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["file"], told["photo_size"], told["findings"]) == ("net.pth", [32, 48], [])
    assert [layer["name"] for layer in told["layers"]] == ["module.first", "module.second"]
    first, second = told["layers"]
    assert first["family"] == "mmcv DCNv2"
    assert first["kernel_size"] == [3, 3]
    assert first["offset_groups"] == 1
    assert first["order"] == "interleaved"
    assert first["mask_activation"] == "sigmoid"
    assert first["outside"] == "zero"
    assert first["assumed"] == []
    assert (first["input_size"], second["input_size"]) == ([32, 64], [16, 32])  # multiples of 32
    with torch.no_grad():
        x = torch.from_numpy(PHOTO).permute(2, 0, 1)[None] / 255
        x = torch.nn.functional.interpolate(x, (32, 64), mode="bilinear", antialias=True)
        raw = model.first.conv_offset(model.stem(x).relu())[0]
    length = raw[:18].reshape(9, 2, 32, 64).norm(dim=1)
    assert first["statistics"]["mean"] == pytest.approx(float(length.mean()), rel=1e-4)
    assert first["statistics"]["mask_mean"] == pytest.approx(float(raw[18:].sigmoid().mean()), 1e-4)
    for layer in told["layers"]:
        assert layer["verified"]["ok"]
        assert layer["verified"]["difference"] < 1e-5
        assert layer["verified"]["positions"] == 64


def test_a_record_in_the_wrong_order_is_not_verified() -> None:
    model = healthy()
    first, second = samplings_of(model)
    found = run([replace(first, offset=first.offset.flip(2)), second], layers_of(model))
    wrong, right = (row.verified for row in found.layers)
    assert wrong is not None
    assert right is not None
    assert (wrong.ok, right.ok) == (False, True)
    assert "first: order NOT verified" in found.to_text()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"output": None}, "does not hold the layer's output"),
        ({"input": None}, "does not hold the map that was read"),
    ],
)
def test_what_cannot_be_verified_says_why(broken: dict[str, Any], why: str) -> None:
    first, _ = samplings_of(healthy())
    (row,) = run([replace(first, **broken)], []).layers
    assert row.verified is None
    assert why in row.note


def test_values_that_are_not_finite_are_a_finding_and_no_crash() -> None:
    first, _ = samplings_of(healthy())
    offset = torch.full_like(first.offset, float("nan"))
    output = torch.full_like(first.output, float("nan"))
    (row,) = run([replace(first, offset=offset, output=output)], []).layers
    assert row.verified is None
    assert "not finite" in row.note
    assert [found.kind for found in row.report.findings] == ["nonfinite"]
    assert json.dumps(row.to_dict(), allow_nan=False)


def test_a_layer_that_the_file_lacks_and_one_that_never_ran() -> None:
    model = healthy()
    second = [layer for layer in layers_of(model) if layer.name == "second"]
    told = run(samplings_of(model)[:1], second).to_dict()
    ran, idle = told["layers"]
    assert (ran["name"], ran["family"], ran["kernel_size"]) == ("first", None, [3, 3])
    assert (idle["name"], idle["statistics"]) == ("second", None)
    assert "No call" in idle["note"]


@pytest.mark.parametrize(("groups", "mask"), [(2, True), (3, False)])
def test_a_run_settles_what_the_shapes_leave_open(groups: int, mask: bool) -> None:
    """54 channels over 9 taps: 2 groups with masks or 3 without; 12 channels divide by both."""
    (layer,) = find_layers({"a.weight": (8, 12, 3, 3), "a.conv_offset.weight": (54, 12, 3, 3)})
    assert {"family", "offset_groups", "mask_activation"} <= layer.assumed
    sampling = Sampling(
        "a", (8, 8), (8, 8), Kernel.of(3, padding=1), torch.randn(groups, 9, 2, 8, 8),
        mask=torch.rand(groups, 9, 8, 8) if mask else None,
    )  # fmt: skip
    (row,) = run([sampling], [layer]).layers
    assert row.layer is not None
    assert (row.layer.offset_groups, row.layer.mask_activation is not None) == (groups, mask)
    assert not row.layer.assumed & {"family", "offset_groups"}


def test_a_mask_beyond_its_activation_is_told() -> None:
    (layer,) = find_layers({"a.weight": (8, 8, 3, 3), "a.conv_offset.weight": (27, 8, 3, 3)})
    sampling = Sampling(
        "a", (8, 8), (8, 8), Kernel.of(3, padding=1), torch.randn(1, 9, 2, 8, 8),
        mask=2 * torch.rand(1, 9, 8, 8),
    )  # fmt: skip
    (row,) = run([sampling], [layer]).layers
    assert "goes beyond 1" in row.note
    assert "mask saturated" not in [found.kind for found in row.report.findings]


def test_untrained_layers_are_told_by_their_weights(tmp_path: Path) -> None:
    model = seeded()
    torch.save(model.state_dict(), tmp_path / "net.pth")
    inspection = inspect_checkpoint(tmp_path / "net.pth")
    found = inspect_network(
        samplings_of(model), PHOTO, "net.pth",
        layers=[row.layer for row in inspection.layers],
        weights={row.layer.name: row.weights for row in inspection.layers},
    )  # fmt: skip
    assert [f["kind"] for f in found.to_dict()["findings"]] == ["untrained", "untrained"]


def test_the_work_of_checking_does_not_grow_with_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (first, _) = samplings_of(healthy())
    products = 8 * 8 * 9
    monkeypatch.setattr("deformviz.inspection.checking._PRODUCTS", 100 * 2 * products)
    checks = check_layers([replace(first, name=str(i)) for i in range(10)], {})
    assert [check.verified.positions for check in checks if check.verified] == [10] * 10


def test_too_many_points_are_refused_before_any_is_measured() -> None:
    huge = Sampling.regular("huge", Kernel.of(3, padding=1), (4096, 4096))
    with pytest.raises(ValueError, match=r"151 million points .* at a smaller size"):
        inspect_network([huge], PHOTO, "net.pth")


def test_a_photo_is_kept_and_the_maps_lie_on_it() -> None:
    photo = decode(examples.path("cat"), max_side=96).pixels
    found = inspect_network(run_on_image(healthy(), photo), photo, "net.pth")
    (top, left), (down, right) = (
        found.layers[1].sampling.image_map.origin,
        found.layers[1].sampling.image_map.stride,
    )
    h, w = found.layers[1].sampling.input_size
    assert (h * down, w * right) == pytest.approx(photo.shape[:2])
    assert (top + 0.5, left + 0.5) == pytest.approx((down / 2, right / 2))
