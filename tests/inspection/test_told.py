"""What the viewer is told of a layer, as plain JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from small_networks import healthy, seeded

from deformviz.checkpoints import run_on_image
from deformviz.inspection import (
    inspect_checkpoint,
    inspect_network,
    told_of_run,
    told_of_weights,
)
from deformviz.viewer import Stack

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


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
