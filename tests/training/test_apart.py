"""A training in a child process: the same numbers, stopped, killed, late, dead."""

from __future__ import annotations

import os
import signal
import time

import pytest
import torch

from deformviz.training import train
from deformviz.training.apart import Apart, TrainingError, TrainLimits

TASK, KNOBS = "shifts", {"steps": 100, "start": "random"}


def is_there(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not asked after counts as gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_child_computes_what_the_same_process_would() -> None:
    here = next(iter(train(TASK, KNOBS, seed=5)))
    with Apart(TASK, KNOBS, seed=5) as training:
        there = next(iter(training))
        pid = training.pid
        assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
    assert not is_there(pid)
    assert there.scores.keys() == here.scores.keys()
    for name, score in here.scores.items():
        assert there.scores[name].loss == pytest.approx(score.loss, rel=1e-4)
    for ours, theirs in zip(there.samplings, here.samplings, strict=True):
        assert torch.allclose(ours.offset, theirs.offset, atol=1e-6)


def test_a_stopped_training_ends_with_what_it_has() -> None:
    with Apart(TASK, KNOBS, moments=50) as training:
        steps = []
        for moment in training:
            steps.append(moment.step)
            training.stop()
            last = moment
    assert steps[0] == 0
    assert steps[-1] < 100
    assert last.trained is not None
    assert last.trained.step == steps[-1]


def test_stopping_before_the_start_and_twice_is_stopping() -> None:
    training = Apart(TASK, KNOBS, limits=TrainLimits(patience=300))
    training.stop()
    training.stop()
    with training:
        steps = [moment.step for moment in training]
    assert steps == [0, 0]  # the second one has the weights


def test_a_killed_training_just_ends() -> None:
    with Apart(TASK, KNOBS) as training:
        for _ in training:
            training.kill()
    assert not is_there(training.pid)


def test_one_that_takes_too_long_says_so() -> None:
    with (
        Apart(TASK, KNOBS, limits=TrainLimits(seconds=0.5)) as training,
        pytest.raises(TrainingError, match=r"longer than .* minutes .* Choose fewer steps"),
    ):
        list(training)


def _kill_while(training: Apart) -> None:
    for _ in training:
        os.kill(training.pid, signal.SIGKILL)


def test_one_that_dies_is_one_clear_message() -> None:
    with (
        Apart(TASK, KNOBS) as training,
        pytest.raises(TrainingError, match="ended early: its process died"),
    ):
        _kill_while(training)


def test_one_without_memory_says_so() -> None:
    with (
        Apart(TASK, KNOBS, limits=TrainLimits(memory_bytes=1 << 20)) as training,
        pytest.raises(TrainingError, match="memory"),
    ):
        list(training)


def test_a_moment_that_is_too_large_ends_it() -> None:
    with (
        Apart(TASK, KNOBS, limits=TrainLimits(moment_bytes=1000)) as training,
        pytest.raises(TrainingError, match="at most 1,000 bytes at once"),
    ):
        list(training)
    assert not is_there(training.pid)


def test_it_ends_when_nobody_holds_the_other_end() -> None:
    """As when the server has been killed."""
    with Apart(TASK, KNOBS) as training:
        next(iter(training))
        process = training._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        for _ in range(600):
            if process.poll() is not None:
                break
            time.sleep(0.1)
        assert process.poll() == 1


def test_a_knob_that_there_is_not_is_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="has no knob"):
        Apart(TASK, {"colour": 3})
