"""The same survey on a local cluster of two workers: the same to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from surveyed import net, photos

from deformviz.survey import survey
from deformviz.survey.state import State, packed

HERE = Path(__file__).resolve().parent

CODE = """
import sys
import torch
import surveyed
from deformviz.survey import ray_runner, survey
from deformviz.survey.state import State
if __name__ == "__main__":
    workers, listening = set(), []
    rows = ray_runner.rows
    def seen(*of):
        for chunk, worker, tally in rows(*of):
            workers.add(worker)
            if not listening:
                listening.extend(surveyed.listening())
            yield chunk, worker, tally
    ray_runner.rows = seen
    survey("net.pth", "photos", model="surveyed:net", size=(32, 32), batch=2, state="s.state",
           ray=2)
    import os, ray
    from ray._common.usage.usage_lib import usage_stats_enabled
    print(len(workers), usage_stats_enabled(), ray.is_initialized())
    print(*sorted({address for address in listening}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos(tmp_path / "photos", 39)
    (tmp_path / "photos" / "0007b.png").touch()
    torch.save(net().state_dict(), tmp_path / "net.pth")
    return tmp_path


@pytest.mark.slow
def test_two_workers_count_what_one_process_counts(folder: Path) -> None:
    pytest.importorskip("ray.data")
    own = {"model": "surveyed:net", "size": (32, 32), "batch": 2}
    workers_threads = max(1, (os.cpu_count() or 1) // 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(workers_threads)
    try:
        state = State.load(_half_done(folder, own))
        whole = survey(folder / "net.pth", folder / "photos", **own)
    finally:
        torch.set_num_threads(threads)
    assert 0 < state.tally.images < 39  # what was counted before is not given to a worker
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE)])
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=folder, capture_output=True, text=True, check=False,
        env={**environment, "PYTHONPATH": paths}, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen, addresses = done.stdout.splitlines()[-2:]
    assert seen == "2 False False"  # workers; nothing is reported; the cluster is gone
    assert set(addresses.split()) <= {"127.0.0.1", "::1"}
    assert addresses
    state = State.load(folder / "s.state")
    assert state.done == [[0, 19]]
    assert packed_in_order(state) == packed(whole.tally)
    assert state.tally.broken == whole.tally.broken


def packed_in_order(state: State) -> bytes:
    """The layers come in the order of whichever batch came first; a survey sorts them."""
    tally = state.tally
    tally.layers = dict(sorted(tally.layers.items(), key=lambda row: row[1].header))
    return packed(tally)


def _half_done(folder: Path, own: dict[str, object]) -> Path:
    """A state of the first three batches."""

    class Enough(Exception):
        pass

    def advance(images: int, total: int) -> None:
        calls.append(images)
        if len(calls) == 4:
            raise Enough

    calls: list[int] = []
    with pytest.raises(Enough):
        survey(
            folder / "net.pth", folder / "photos", state=folder / "s.state", advance=advance, **own
        )
    return folder / "s.state"


def test_without_ray_there_is_one_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'deformviz\[ray\]'"):
        survey(folder / "net.pth", folder / "photos", model="surveyed:net", size=(32, 32), ray=2)
