"""What a refusal must be: in time, with a tame message, and with nothing left behind."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest
from pickle_attacks import CANARY

from deformviz.checkpoints import CheckpointError, open_checkpoint

SECONDS = 2.0


def children() -> set[str]:
    """The processes that this one has started and not taken leave of, where the system tells."""
    files = Path("/proc/self/task").glob("*/children")
    return {number for file in files for number in file.read_text().split()}


def assert_refused(path: Path, quarantine: Path) -> None:
    before, names = children(), set(quarantine.iterdir())
    start, used = time.perf_counter(), processor_time()
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    wall, used = time.perf_counter() - start, processor_time() - used
    assert used < SECONDS
    assert wall < SECONDS or is_busy()
    assert_tame(str(caught.value), path)
    assert children() <= before
    assert set(quarantine.iterdir()) == names
    assert not (quarantine / CANARY).exists()


def is_busy() -> bool:
    """Whether others use the machine: by the clock, everything takes longer then."""
    return os.getloadavg()[0] > 0.75 * (os.cpu_count() or 1)


def processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def assert_tame(message: str, path: Path) -> None:
    assert 20 < len(message) < 400
    assert message.isprintable()
    assert str(path.parent) not in message
    assert "<" not in message
    assert message[-1] in '.)")'
