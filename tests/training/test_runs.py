"""Turns: who runs, who waits, who is refused; with trainings that a test leads by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest
import torch

from deformviz import Kernel, Sampling
from deformviz.training import Moment, Score, runs
from deformviz.training.apart import TrainingError
from deformviz.training.runs import Run, Runs


class Led:
    """Stands for `Apart`: shows the moments that a test hands it."""

    made: list[Led]

    def __init__(self, task: str, knobs: object, seed: int, *_: Any) -> None:
        self.told: Queue[Moment | Exception | None] = Queue()
        self.seed, self.stopped = seed, False
        self.made.append(self)

    def __enter__(self) -> Led:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Moment]:
        while (told := self.told.get(timeout=60)) is not None:
            if isinstance(told, Exception):
                raise told
            yield told

    def stop(self) -> None:
        self.stopped = True
        self.told.put(None)

    kill = stop


@pytest.fixture(autouse=True)
def led(monkeypatch: pytest.MonkeyPatch) -> list[Led]:
    """The trainings that were begun, in their order."""
    Led.made = []
    monkeypatch.setattr(runs, "Apart", Led)
    return Led.made


def moment(step: int, size: int = 4) -> Moment:
    sampling = Sampling.regular("one", Kernel.of(1), (size, size))
    sampling = Sampling(
        "one", (size, size), (size, size), Kernel.of(1), torch.zeros(*sampling.offset.shape)
    )
    return Moment(step, 9, 1.0, 2.0, {"plain": Score(1.0, 0.5)}, (sampling,))


def wait_for(done: Callable[[], bool]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def start(all_runs: Runs, seed: int = 0, instead: str | None = None) -> Run:
    return all_runs.start("scale", {}, seed, instead)


def test_so_many_run_and_the_others_are_told_their_place(led: list[Led]) -> None:
    all_runs = Runs(running=1, waiting=2)
    first, second, third = (start(all_runs, seed) for seed in range(3))
    assert [run.state for run in (first, second, third)] == ["running", "waiting", "waiting"]
    assert [all_runs.place(run) for run in (first, second, third)] == [0, 1, 2]
    with pytest.raises(ValueError, match="1 trainings run and 2 wait"):
        start(all_runs)
    led[0].told.put(moment(0))
    led[0].told.put(None)
    wait_for(lambda: second.state == "running")
    assert first.state == "finished"
    assert [m.step for m in first.moments] == [0]
    assert all_runs.place(third) == 1
    assert [each.seed for each in led] == [0, 1]


def test_starting_another_ends_the_one_before(led: list[Led]) -> None:
    all_runs = Runs(running=1)
    first = start(all_runs)
    second = start(all_runs, 1, instead=first.name)
    assert led[0].stopped
    wait_for(lambda: second.state == "running")
    assert first.state == "stopped"


def test_one_that_waits_is_stopped_without_having_begun(led: list[Led]) -> None:
    all_runs = Runs(running=1)
    start(all_runs)
    second = start(all_runs, 1)
    all_runs.stop(second.name)
    assert second.state == "stopped"
    assert second.over
    assert len(led) == 1


def test_a_run_is_over_only_when_its_last_moment_has_come(led: list[Led]) -> None:
    all_runs = Runs()
    run = start(all_runs)
    led[0].stop = lambda: None  # type: ignore[method-assign]
    all_runs.stop(run.name)
    assert run.state == "stopping"
    assert not run.over
    led[0].told.put(moment(7))
    led[0].told.put(None)
    wait_for(lambda: run.over)
    assert run.state == "stopped"
    assert [m.step for m in run.moments] == [7]


def test_a_run_that_nobody_asks_after_ends(led: list[Led]) -> None:
    all_runs = Runs(running=1, patience=0.2)
    run, waiting = start(all_runs), start(all_runs, 1)
    time.sleep(0.3)
    led[0].told.put(moment(1))
    wait_for(lambda: run.over)
    assert led[0].stopped
    assert run.state == "stopped"
    assert waiting.state == "stopped"  # it has been gone for as long


def test_what_goes_wrong_is_said(led: list[Led]) -> None:
    all_runs = Runs()
    run, other = start(all_runs), start(all_runs, 1)
    led[0].told.put(TrainingError("It died. Start it again."))
    led[1].told.put(RuntimeError("secret"))
    wait_for(lambda: run.over and other.over)
    assert (run.state, run.problem) == ("failed", "It died. Start it again.")
    assert other.problem == "The training failed; the server's log says more."


def test_what_was_shown_is_kept_as_far_as_it_fits(led: list[Led]) -> None:
    one = 2 * 32 * 32 * 4  # bytes of a moment's offsets
    all_runs = Runs(running=4, most_bytes=3 * one)
    done = []
    for seed in range(3):
        run = start(all_runs, seed)
        led[-1].told.put(moment(0, 32))
        led[-1].told.put(moment(1, 32))
        led[-1].told.put(None)
        wait_for(lambda run=run: run.over)  # type: ignore[misc]
        wait_for(lambda: not all_runs._at_work)
        done.append(run)
    assert all_runs.get(done[2].name) is done[2]
    for gone in done[:2]:
        with pytest.raises(KeyError):
            all_runs.get(gone.name)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_beyond_its_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="seed must be a whole number"):
        start(Runs(), seed)


def test_names_cannot_be_guessed() -> None:
    all_runs = Runs(running=0, waiting=50)
    names = {start(all_runs).name for _ in range(50)}
    assert len(names) == 50
    assert min(map(len, names)) >= 20
