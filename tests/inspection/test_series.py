"""Checkpoints one after the other, of a network that really was trained."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import healthy, seeded, trained_epochs
from torch import Tensor

from deformviz.checkpoints import run_on_image
from deformviz.inspection import (
    inspect_checkpoint,
    inspect_network,
    inspect_series,
    natural_order,
    series_of_checkpoints,
    series_of_runs,
)

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def state_of(file: Path) -> dict[str, Tensor]:
    held: dict[str, Tensor] = torch.load(file, weights_only=True)["state_dict"]
    return held


def test_numbers_in_names_count() -> None:
    names = ["run10/epoch_2.pt", "run9/epoch_10.pt", "run9/epoch_9.pt", "last.pt", "Best.pt"]
    assert natural_order(names) == [
        "Best.pt", "last.pt", "run9/epoch_9.pt", "run9/epoch_10.pt", "run10/epoch_2.pt",
    ]  # fmt: skip
    assert natural_order([Path("e007.pt"), Path("e6.pt")]) == [Path("e6.pt"), Path("e007.pt")]


def test_a_training_shows_in_its_checkpoints(tmp_path: Path) -> None:
    files = trained_epochs(tmp_path)
    series = inspect_series(list(reversed(files)))
    assert series.files == ("epoch_0.pth", "epoch_2.pth", "epoch_10.pth")
    assert [layer.name for layer in series.layers] == ["first", "second"]
    assert [layer.family for layer in series.layers] == ["mmcv DCNv2"] * 2
    states = [state_of(file) for file in files]
    for layer in series.layers:
        assert layer.numbers["untrained"] == (1, 0, 0)
        assert layer.numbers["findings"] == (1, 0, 0)
        for index, state in enumerate(states):
            weight = state[f"{layer.name}.conv_offset.weight"].double().numpy()[:18]
            follows = np.sqrt((weight**2).sum() / 9)
            assert layer.numbers["dependence"][index] == pytest.approx(follows, rel=1e-5)
            pattern = state[f"{layer.name}.conv_offset.bias"].double().numpy()[:18].reshape(9, 2)
            assert layer.numbers["static"][index] == pytest.approx(
                np.sqrt((pattern**2).sum(1).mean()), rel=1e-5
            )
        assert layer.numbers["dependence"][2] > layer.numbers["dependence"][1] > 0
        before, after = (
            np.concatenate([s[f"{layer.name}.weight"].numpy().ravel(), s[f"{layer.name}.bias"]])
            for s in states[1:]
        )
        assert layer.changes["weights"][1] == pytest.approx(
            np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-4
        )
        moved = [s[f"{layer.name}.conv_offset.bias"].numpy()[:18].reshape(9, 2) for s in states]
        assert layer.changes["pattern"] == pytest.approx(
            [np.sqrt(((b - a) ** 2).sum(1).mean()) for a, b in pairwise(moved)],
            rel=1e-4,
        )
        # From nothing there is no relative change.
        assert np.isnan(layer.changes["offset_weights"][0])
        assert layer.to_dict()["changes"]["offset_weights"][0] is None
    told = series.to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [(f["file"], f["layer"], f["kind"]) for f in told["findings"]] == [
        ("epoch_0.pth", "first", "untrained"), ("epoch_0.pth", "second", "untrained"),
    ]  # fmt: skip
    text = series.to_text()
    assert text.index("epoch_2.pth") < text.index("epoch_10.pth")


def test_a_file_and_itself_do_not_differ(tmp_path: Path) -> None:
    torch.save(healthy().state_dict(), tmp_path / "net.pth")
    series = inspect_series([tmp_path / "net.pth"] * 2)
    assert series.files == ("net.pth (1)", "net.pth (2)")
    for layer in series.layers:
        assert set(layer.changes.values()) == {(0.0,)}


def test_layers_that_are_not_in_all_files_are_named(tmp_path: Path) -> None:
    state = healthy().state_dict()
    less = {f"module.{key}": t for key, t in state.items() if not key.startswith("second")}
    wide = dict(state) | {f"third.{key[6:]}": t for key, t in state.items() if key[:5] == "first"}
    wide |= {
        "first.weight": torch.rand(8, 8, 5, 5),
        "first.conv_offset.weight": torch.rand(75, 8, 5, 5),
        "first.conv_offset.bias": torch.rand(75),
    }
    for name, held in {"a": state, "b": less, "c": wide}.items():
        torch.save(held, tmp_path / f"{name}.pth")
    series = inspect_series([tmp_path / f"{name}.pth" for name in "ab"])
    assert [layer.name for layer in series.layers] == ["first"]
    assert series.layers[0].changes["weights"] == (0.0,)  # "module." does not matter
    assert series.notes == ("second is not in b.pth.",)
    series = inspect_series([tmp_path / f"{name}.pth" for name in "ac"])
    assert [layer.name for layer in series.layers] == ["second"]
    assert set(series.notes) == {
        "first is another layer in c.pth: its shapes differ.",
        "third is not in a.pth, but in c.pth.",
    }


def test_a_series_of_runs(tmp_path: Path) -> None:
    models = [seeded(), healthy(), healthy(1)]
    runs = [
        inspect_network(run_on_image(model, PHOTO), PHOTO, f"epoch_{i}.pth")
        for i, model in enumerate(models)
    ]
    series = series_of_runs(runs)
    assert [layer.name for layer in series.layers] == ["first", "second"]
    for place, layer in enumerate(series.layers):
        offsets = [run.layers[place].sampling.offset.numpy()[0] for run in runs]
        means = [np.sqrt((o**2).sum(1)).mean() for o in offsets]
        assert layer.numbers["mean"] == pytest.approx(means, rel=1e-5)
        assert layer.numbers["dilation"][0] == 1  # nothing moves
        moved = [np.sqrt(((b - a) ** 2).sum(1).mean()) for a, b in pairwise(offsets)]
        assert layer.changes["offsets"] == pytest.approx(moved, rel=1e-5)
    assert [kind.kind for _, kind in series.findings[0]] == ["dead", "dead"]
    assert json.dumps(series.to_dict(), allow_nan=False)


def test_one_file_is_no_series(tmp_path: Path) -> None:
    torch.save(healthy().state_dict(), tmp_path / "net.pth")
    with pytest.raises(ValueError, match="two checkpoints at least, got 1"):
        series_of_checkpoints([inspect_checkpoint(tmp_path / "net.pth")])
