"""Trains in a child process, which may be stopped at any time and can harm nobody but itself."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Timer
from typing import IO, BinaryIO, cast

import torch

from . import task_of
from .child import STOP
from .frames import END, MOMENT, REFUSED, from_bytes, read_frame
from .loop import MOMENTS, Moment
from .task import Knobs

_FOLDER = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from deformviz.training.child import main; main()"
)

_ENDED = (
    "The training ended early: its process died, as it does for lack of memory. "
    "Start it again, or choose fewer steps or a smaller kernel."
)


class TrainingError(ValueError):
    """A training that ended before its end; the message says why, and what to do."""


@dataclass(frozen=True)
class TrainLimits:
    """What a training may cost.

    Attributes:
        seconds: from its start to its end.
        memory_bytes: of the process, on the CPU; a GPU's driver takes more than it uses.
        moment_bytes: of all that one moment says.
        threads: that it computes with.
        patience: seconds that it has to end by itself once it was stopped.
    """

    seconds: float = 900.0
    memory_bytes: int = 6 << 30
    moment_bytes: int = 64 << 20
    threads: int = max(1, min(4, (os.cpu_count() or 1) // 3))
    patience: float = 15.0


class Apart:
    """`train` in a child process: iterate over it for the moments, once.

    Args:
        task, knobs, seed, device, moments: as for `train`.
        limits: what it may cost.

    Raises:
        ValueError: no such task or knob.
        TrainingError: while iterating: it ended before its end.

    Example:
        >>> with Apart("scale", {"steps": 60}) as training:
        ...     first = next(iter(training))
        >>> first.step
        0
    """

    def __init__(
        self,
        task: str,
        knobs: Knobs | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        moments: int = MOMENTS,
        limits: TrainLimits | None = None,
    ) -> None:
        self.limits = limits or TrainLimits()
        on_cpu = torch.device(device).type == "cpu"
        self._told = {
            "task": task,
            "knobs": task_of(task).settle(knobs),
            "seed": seed,
            "device": str(device),
            "moments": moments,
            "threads": self.limits.threads,
            "memory_bytes": self.limits.memory_bytes if on_cpu else None,
        }
        self._late, self._killed, self._stopped = Event(), Event(), Event()
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._clocks: list[Timer] = []

    def __enter__(self) -> Apart:
        threads = str(self.limits.threads)
        few = {f"{name}_NUM_THREADS": threads for name in ("OMP", "MKL", "OPENBLAS")}
        with self._lock:
            self._process = subprocess.Popen(
                # -P: nothing is taken from the current folder.
                [sys.executable, "-P", "-c", _START, str(_FOLDER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | few | {"OMP_WAIT_POLICY": "PASSIVE"},
            )
        self._send(json.dumps(self._told).encode() + b"\n")
        self._after(self.limits.seconds, self._give_up)
        if self._stopped.is_set():  # by someone quicker than the start
            self._send_stop()
        if self._killed.is_set():
            self._process.kill()
        return self

    def __exit__(self, *_: object) -> None:
        for clock in self._clocks:
            clock.cancel()
        self.kill()
        if self._process is not None:
            self._process.communicate()

    def __iter__(self) -> Iterator[Moment]:
        while (frame := self._frame()) is not None:
            kind, body = frame
            if kind == END:
                return
            if kind == REFUSED:
                raise TrainingError(body[:1000].decode(errors="replace"))
            if kind != MOMENT:
                raise TrainingError(_ENDED)
            yield from_bytes(body)
        if self._late.is_set():
            raise TrainingError(
                f"The training took longer than {self.limits.seconds / 60:.3g} minutes and was "
                "ended. Choose fewer steps, or try when fewer people train."
            )
        if not self._killed.is_set():
            raise TrainingError(_ENDED)

    def _frame(self) -> tuple[bytes, bytes] | None:
        assert self._process is not None, "a training starts with `with`"
        try:
            return read_frame(_pipe(self._process.stdout), self.limits.moment_bytes)
        except ValueError as error:
            raise TrainingError(f"The training was ended: {error}.") from error

    def stop(self) -> None:
        """Ask it to end with what it has; where it does not in time, it is killed."""
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
            started = self._process is not None
        if started:
            self._send_stop()

    def kill(self) -> None:
        """End it at once; what has come stays."""
        self._killed.set()
        if self._process is not None:
            self._process.kill()  # nothing, where it has ended

    @property
    def pid(self) -> int:
        """Of the child."""
        assert self._process is not None
        return self._process.pid

    def _send(self, line: bytes) -> None:
        assert self._process is not None
        with contextlib.suppress(OSError):  # it has ended, which is found out when it is read from
            pipe = _pipe(self._process.stdin)
            pipe.write(line)
            pipe.flush()

    def _send_stop(self) -> None:
        self._send(STOP)
        self._after(self.limits.patience, self.kill)

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        clock = Timer(seconds, do)
        clock.daemon = True
        self._clocks.append(clock)
        clock.start()

    def _give_up(self) -> None:
        self._late.set()
        self.kill()


def _pipe(end: IO[bytes] | None) -> BinaryIO:
    return cast("BinaryIO", end)
