"""A survey that is killed goes on where it was: nothing is lost, and nothing counted twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from surveyed import net, photos

from deformviz.survey import survey
from deformviz.survey.state import State, packed, unpacked
from deformviz.survey.tally import Tally

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OWN = {"model": "surveyed:net", "size": (32, 32), "batch": 2}

CODE = """
import sys, time
from deformviz.survey import survey
def slowly(images, total):
    print(images, flush=True)
    time.sleep(0.1)
survey("net.pth", "photos", model="surveyed:net", size=(32, 32), batch=2, state="s.state",
       save_every=0, advance=slowly)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resuming")
    photos(path / "photos", 41)
    (path / "photos" / "0007b.png").touch()
    torch.save(net().state_dict(), path / "net.pth")
    return path


def started(folder: Path) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), str(HERE)])
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.Popen(
        [sys.executable, "-c", CODE], cwd=folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **threads, "PYTHONPATH": paths},
    )  # fmt: skip


def test_killed_again_and_again(folder: Path) -> None:
    whole = survey(folder / "net.pth", folder / "photos", **OWN)
    state = folder / "s.state"
    killed, counted = 0, []
    for wait in (0.0, 0.07, 0.013, 0.031):
        process = started(folder)
        assert process.stdout is not None
        process.stdout.readline()  # what is there already
        process.stdout.readline()  # one batch at least
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        killed += 1
        tally = State.load(state).tally
        counted.append(tally.images + tally.broken_count)
    assert killed == 4
    assert counted == sorted(set(counted))  # further each time
    assert counted[-1] < 42
    process = started(folder)
    first = int(process.communicate(timeout=600)[0].split()[0])
    assert process.returncode == 0
    assert first == counted[-1]  # of what was counted, nothing ran again
    found = survey(folder / "net.pth", folder / "photos", state=state, **OWN)
    assert found.to_dict() == whole.to_dict()
    assert packed(found.tally) == packed(whole.tally)  # to the last bit
    assert State.load(state).done == [[0, 20]]


def test_a_finished_survey_runs_nothing_again(folder: Path, tmp_path: Path) -> None:
    told: list[int] = []
    for _ in range(2):
        found = survey(
            folder / "net.pth", folder / "photos", state=tmp_path / "s",
            advance=lambda images, total: told.append(images), **OWN,
        )  # fmt: skip
    assert told[-1] == 42
    assert sum(told[:-1]) == 42
    assert found.tally.images == 41


def test_a_folder_gets_a_file_of_the_surveys_own(folder: Path, tmp_path: Path) -> None:
    options = [OWN, OWN, {**OWN, "batch": 3}]
    names = [
        survey(folder / "net.pth", folder / "photos", state=tmp_path, **one).state
        for one in options
    ]
    assert names[0] == names[1] != names[2]
    assert sorted(tmp_path.iterdir()) == sorted({names[0], names[2]})


@pytest.mark.parametrize(
    ("option", "value", "differs"),
    [
        ("size", (32, 48), "size differs"),
        ("batch", 3, "batch differs"),
        ("normalisation", "signed", "normalisation differs"),
        ("images", None, "images differs"),
        ("checkpoint", None, "checkpoint differs"),
    ],
)
def test_another_survey_does_not_go_on(
    folder: Path, tmp_path: Path, option: str, value: object, differs: str
) -> None:
    state, images, file = tmp_path / "s.state", folder / "photos", folder / "net.pth"
    survey(file, images, state=state, **OWN)
    options = dict(OWN)
    if option == "images":
        images = photos(tmp_path / "photos", 3)
    elif option == "checkpoint":
        file = tmp_path / "net.pth"
        torch.save(net(0.1).state_dict(), file)
    else:
        options[option] = value
    before = state.read_bytes()
    with pytest.raises(ValueError, match=rf"s\.state is the state of another survey: .*{differs}"):
        survey(file, images, state=state, **options)
    assert state.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_state_is_refused(folder: Path, tmp_path: Path, damage: str) -> None:
    state = tmp_path / "s.state"
    survey(folder / "net.pth", folder / "photos", state=state, **OWN)
    data = bytearray(state.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = {"cut": data[:-100], "flip": data, "empty": b"", "other": b"no state" * 100}
    state.write_bytes(damaged[damage])
    with pytest.raises(ValueError, match=r"s\.state is no state of a survey, or is damaged"):
        survey(folder / "net.pth", folder / "photos", state=state, **OWN)


def test_a_state_that_cannot_be_written_is_known_at_once(folder: Path, tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(OSError, match="No such file"):
        survey(
            folder / "net.pth", folder / "photos", state=tmp_path / "absent" / "s",
            advance=lambda images, total: done.append(images), **OWN,
        )  # fmt: skip
    assert sum(done) == 0


def test_an_interrupted_survey_keeps_what_it_has(folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "s.state"

    def stop(images: int, total: int) -> None:
        stop.calls += 1  # type: ignore[attr-defined]
        if stop.calls == 4:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    stop.calls = 0  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        survey(folder / "net.pth", folder / "photos", state=state, advance=stop, **OWN)
    assert State.load(state).done == [[0, 2]]
    assert list(tmp_path.iterdir()) == [state]  # nothing half written is left


def test_a_batch_that_comes_twice_counts_once() -> None:
    state = State({})
    for chunk in (3, 1, 3, 2, 0, 2):
        state.count(chunk, Tally(images=1))
    assert (state.done, state.tally.images) == ([[0, 3]], 4)
    assert list(state.left(6)) == [4, 5]


def test_what_is_told_of_broken_images_is_bounded(tmp_path: Path) -> None:
    tally = Tally()
    for image in reversed(range(250)):
        tally.refuse(image, "no image")
    state = State({}, [], tally)
    state.save(tmp_path / "s")
    loaded = State.load(tmp_path / "s").tally
    assert (loaded.broken_count, list(loaded.broken)) == (250, list(range(100)))
    assert unpacked(packed(loaded)).broken == loaded.broken
    header = (tmp_path / "s").read_bytes()
    length = int.from_bytes(header[:8], "little")
    assert "deformviz" in json.loads(header[8 : 8 + length])["__metadata__"]
