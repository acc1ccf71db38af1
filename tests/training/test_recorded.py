"""A recorded training: what the file keeps is what was there, to 8 bits; and the one that ships."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from deformviz.training import Moment, recorded, task_of, train, watch
from deformviz.training.recorded import read, record

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "recorded" / "scale.safetensors"


def test_the_probe_is_seen_as_by_the_network_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Moment] = []

    def two(*args: Any, **kwargs: Any) -> Iterator[Moment]:
        for moment in train(*args, **kwargs):
            seen.append(moment)
            yield moment
            if len(seen) == 2:
                return

    monkeypatch.setattr(recorded, "train", two)
    knobs = {"start": "random", "steps": 100}
    record("shifts", tmp_path / "a.safetensors", knobs, seed=2, moments=100)
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
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, str(tmp_path / "x.safetensors"))
    with pytest.raises(ValueError, match="no recorded training"):
        read(tmp_path / "x.safetensors")
    (tmp_path / "y.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="no recorded training"):
        read(tmp_path / "y.safetensors")
