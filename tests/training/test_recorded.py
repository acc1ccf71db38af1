"""A recorded training: what the file keeps is what was there, to 8 bits; and the one that ships."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from deformviz.training import Moment, command, task_of, train, watch
from deformviz.training.recorded import read, record

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "recorded" / "scale.safetensors"


def first_two(*args: Any, **kwargs: Any) -> Iterator[Moment]:
    """Of a training."""
    return islice(train(*args, **kwargs), 2)


def test_the_probe_is_seen_as_by_the_network_itself(tmp_path: Path) -> None:
    knobs = {"start": "random", "steps": 100}
    seen = [*first_two("shifts", knobs, seed=2, moments=100, weights=True)]
    record(seen, tmp_path / "a.safetensors")
    told = read(tmp_path / "a.safetensors")
    assert (told.task, told.seed) == ("shifts", 2)
    assert told.knobs == task_of("shifts").settle(knobs)
    assert [m.step for m in told.moments] == [0, 1]
    for ours, theirs in zip(told.moments, seen, strict=True):
        assert ours.scores == theirs.scores
        assert theirs.trained is not None
        net = theirs.trained.network()
        task = task_of("shifts")
        image = task.watched(task.probe(told.knobs), told.knobs)
        for layer, exact in zip(ours.samplings, watch(net, image), strict=True):
            # Rounded to 127ths of each row's largest shift.
            assert (
                layer.offset - exact.offset
            ).abs().max() <= exact.offset.abs().max() / 254 + 1e-6


def header(path: Path) -> dict[str, Any]:
    with safe_open(str(path), framework="pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["deformviz"])
    return found


def test_moments_without_weights_are_refused(tmp_path: Path) -> None:
    seen = [*first_two("shifts", {"steps": 100}, moments=100)]
    for moments in (seen, []):
        with pytest.raises(ValueError, match="expected moments that have weights"):
            record(moments, tmp_path / "a.safetensors")


def test_the_command_says_in_the_file_how_it_was_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "train", first_two)
    path = tmp_path / "a.safetensors"
    given = ["regions", "--record", "--seed", "3", "--knob", "steps=100", "--out", str(path)]
    assert command.main(given) == 0
    told = header(path)
    assert told["origin"]["command"] == (
        "python -m deformviz.training regions --seed 3 --knob 'steps=100' --record"
    )
    assert set(told["origin"]) == {"deformviz", "torch", "command", "commit"}
    assert told["seed"] == 3
    assert [moment.step for moment in read(path).moments] == [0, 10]


def test_a_file_of_before_is_read(tmp_path: Path) -> None:
    """It has no command, and none of the knobs that came later."""
    path = tmp_path / "a.safetensors"
    record([*first_two("shifts", {"steps": 100}, weights=True)], path)
    told = header(path)
    told["origin"] = {"torch": "2.15.0"}
    del told["knobs"]["start"]
    save_file(load_file(path), str(path), metadata={"deformviz": json.dumps(told)})
    assert read(path).origin == {"torch": "2.15.0"}
    assert read(path).knobs == task_of("shifts").settle({"steps": 100})


def test_the_one_that_ships_says_where_it_comes_from() -> None:
    told = read(SHIPPED)
    assert set(told.origin) == {"deformviz", "torch", "command", "commit"}
    assert told.origin["command"] == "python -m deformviz.training scale --seed 0 --record"
    assert told.knobs == task_of("scale").settle({})
    assert told.seed == 0
    makefile = (SHIPPED.parents[2] / "Makefile").read_text(encoding="utf-8")
    assert (
        "-m deformviz.training scale --record --out assets/recorded/scale.safetensors" in makefile
    )


def test_the_one_that_ships_is_small_and_has_learned_something() -> None:
    assert SHIPPED.stat().st_size < 500_000
    told = read(SHIPPED)
    first, last = told.moments[0], told.moments[-1]
    assert len(told.moments) >= 10
    assert last.step == last.steps
    assert float(first.samplings[-1].offset.abs().max()) == 0
    learned, plain = last.scores.values()
    assert learned.accuracy > plain.accuracy + 0.1
    assert learned.accuracy > first.scores["deformable"].accuracy + 0.3
    # What the lesson says: on the large glyph taps lie further apart than on ground.
    offset = last.samplings[-1].offset[0]  # [K, 2, 32, 32]
    spread = offset.std(dim=0).norm(dim=0)
    assert float(spread[16, 22]) > float(spread[2:8, 16:22].mean())


def test_another_file_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, str(tmp_path / "x.safetensors"))
    with pytest.raises(ValueError, match="no recorded training"):
        read(tmp_path / "x.safetensors")
    (tmp_path / "y.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="no recorded training"):
        read(tmp_path / "y.safetensors")
