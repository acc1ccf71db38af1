"""What the viewer is told of a layer, as plain JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import healthy, seeded

from deformviz.analysis import Finding
from deformviz.checkpoints import run_on_image
from deformviz.inspection import (
    finding_part,
    inspect_checkpoint,
    inspect_network,
    told_of_run,
    told_of_weights,
)
from deformviz.viewer import Stack

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def test_a_map_is_sent_as_bits() -> None:
    where = torch.rand(5, 13) < 0.3
    part = finding_part(
        Finding("nonfinite", "error", 1, 0, "values", "x.", where.float() * 7, 1, 2)
    )
    packed = np.frombuffer(base64.b64decode(part["map"]["bits"]), np.uint8)
    sent = np.unpackbits(packed, count=5 * 13).reshape(part["map"]["size"])
    np.testing.assert_array_equal(sent.astype(bool), where.numpy())
    assert (part["kind"], part["severity"], part["group"], part["tap"]) == (
        "nonfinite", "error", 1, 2,
    )  # fmt: skip


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_everywhere_and_nowhere_need_no_map(value: float) -> None:
    found = Finding("dead", "warning", 0, 0, "px", "x.", torch.full((4, 4), value))
    assert finding_part(found)["map"] is None


def test_of_a_number_that_is_too_large_the_positions_where_it_is() -> None:
    lengths = torch.tensor([[10.0, 60.0], [70.0, 0.0]])
    found = Finding("exploded", "error", 35, 50, "px", "x.", lengths)
    assert finding_part(found)["map"] == {"size": [2, 2], "bits": "YA=="}  # 0110 0000


def test_a_run_is_told_with_its_check() -> None:
    first, second = run_on_image(healthy(), PHOTO)
    wrong = replace(second, offset=second.offset.flip(2))
    run = inspect_network([first, wrong], PHOTO, "net.pth")
    told = [told_of_run(row) for row in run.layers]
    assert json.dumps(told, allow_nan=False)
    assert [each["checks"][0]["passed"] for each in told] == [True, False]
    assert told[0]["checks"][0]["difference"] < 1e-5
    page = Stack([first, wrong], PHOTO, told, "net.pth").html()
    assert "order not verified" in page


def test_weights_alone_are_told_as_such(tmp_path: Path) -> None:
    torch.save(seeded().state_dict(), tmp_path / "net.pth")
    row = inspect_checkpoint(tmp_path / "net.pth").layers[0]
    told = told_of_weights(row)
    assert [found["kind"] for found in told["findings"]] == ["untrained"]
    assert "By the weights alone" in told["notes"][0]
    assert dict(told["facts"])["effective dilation"] == "1 px"  # nothing moves
    assert json.dumps(told, allow_nan=False)
