"""Trainings of several people at once: a few run, some wait for their turn, the rest is refused.

A run that nobody asks after ends by itself, and what runs have shown is kept for as long as all of
it together fits.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Literal

from . import task_of
from .apart import Apart, TrainingError, TrainLimits
from .frames import memory
from .loop import Moment
from .task import Knobs, Value

MOST_RUNNING = 2
MOST_WAITING = 8
MOST_BYTES = 512 * 2**20
"""Of all that has been shown; what was asked after the longest ago goes first."""
MOMENTS = 30
"""So often a run is looked at."""
PATIENCE = 90.0
"""Seconds without a question after which nobody is there: a browser asks once a minute, even for
a tab that is not seen."""
MOST_SEED = 2**31 - 1

State = Literal["waiting", "running", "stopping", "finished", "stopped", "failed"]

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Run:
    """One training, from when it was asked for.

    Attributes:
        name: cannot be guessed: who has it may look at the run, and stop it.
        task, knobs, seed: what is trained; all of the task's knobs.
        state: where it is.
        problem: why it has failed.
        moments: what has been shown so far.
        asked: when somebody asked after it last, by `time.monotonic`.
    """

    name: str
    task: str
    knobs: dict[str, Value]
    seed: int
    state: State = "waiting"
    problem: str = ""
    moments: list[Moment] = field(default_factory=list)
    asked: float = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ("finished", "stopped", "failed")


class Runs:
    """The runs of everybody.

    Args:
        device: where they train.
        running: so many at once.
        waiting: so many for their turn.
        most_bytes: of the moments of all of them.
        patience: seconds that a run goes on, or waits, after somebody asked after it.
        moments: so often each is looked at.
        limits: of each.

    Example:
        >>> runs = Runs()
        >>> runs.start("scale", {"kernel": 4}, seed=0)
        Traceback (most recent call last):
        ValueError: kernel must be one of 3, 5; got 4
    """

    def __init__(
        self,
        device: str = "cpu",
        running: int = MOST_RUNNING,
        waiting: int = MOST_WAITING,
        most_bytes: int = MOST_BYTES,
        patience: float = PATIENCE,
        moments: int = MOMENTS,
        limits: TrainLimits | None = None,
    ) -> None:
        self._device, self._moments, self._limits = device, moments, limits
        self._running, self._waiting, self._patience = running, waiting, patience
        self._most_bytes = most_bytes
        self._lock = threading.RLock()
        self._held: OrderedDict[str, Run] = OrderedDict()
        self._queue: list[Run] = []
        self._at_work: dict[str, Apart] = {}

    def start(self, task: str, knobs: Knobs, seed: int, instead: str | None = None) -> Run:
        """Begin a training, or put it into the queue.

        Args:
            task, knobs, seed: as for `train`.
            instead: the name of a run of the same person, which is stopped.

        Raises:
            ValueError: no such task, knob or seed; or too many wait already.
        """
        settled = task_of(task).settle(knobs)
        if not 0 <= seed <= MOST_SEED:
            raise ValueError(f"seed must be a whole number from 0 to {MOST_SEED}, got {seed}")
        run = Run(secrets.token_urlsafe(16), task, settled, seed, asked=time.monotonic())
        if instead:
            self.stop(instead)
        with self._lock:
            self._let_go()
            if len(self._queue) >= self._waiting and len(self._at_work) >= self._running:
                raise ValueError(
                    f"{self._running} trainings run and {len(self._queue)} wait for their turn: "
                    "no more are taken. Try again in a few minutes."
                )
            self._held[run.name] = run
            self._queue.append(run)
            self._next()
        return run

    def get(self, name: str) -> Run:
        """A run, which somebody asks after now.

        Raises:
            KeyError: there is none of that name, or not any more.
        """
        with self._lock:
            run = self._held[name]
            run.asked = time.monotonic()
            self._held.move_to_end(name)
            self._next()
            return run

    def place(self, run: Run) -> int:
        """Its place in the queue, from 1; 0 for one that does not wait."""
        with self._lock:
            return self._queue.index(run) + 1 if run in self._queue else 0

    def stop(self, name: str) -> None:
        """End a run with what it has; nothing, where there is none or it has ended."""
        with self._lock:
            run, training = self._held.get(name), self._at_work.get(name)
            if run in self._queue:
                self._queue.remove(run)
                run.state = "stopped"
            elif run is not None and not run.over:
                run.state = "stopping"
        if training is not None:
            training.stop()

    def close(self) -> None:
        """End all of them at once."""
        with self._lock:
            self._queue.clear()
            for training in self._at_work.values():
                training.kill()

    # --- turns

    def _next(self) -> None:
        """Give the free places to those who wait the longest, and still do."""
        now = time.monotonic()
        for run in [run for run in self._queue if now - run.asked > self._patience]:
            self._queue.remove(run)
            run.state = "stopped"
        while self._queue and len(self._at_work) < self._running:
            run = self._queue.pop(0)
            training = Apart(
                run.task, run.knobs, run.seed, self._device, self._moments, self._limits
            )
            self._at_work[run.name] = training
            run.state = "running"
            threading.Thread(target=self._work, args=(run, training), daemon=True).start()

    def _work(self, run: Run, training: Apart) -> None:
        """Take what a training shows, in a thread of its own."""
        try:
            with training:
                for moment in training:
                    self._take(run, moment)
                    if time.monotonic() - run.asked > self._patience:
                        self.stop(run.name)
            ended: State = "finished"
        except TrainingError as error:
            ended, run.problem = "failed", str(error)
        except Exception:
            _log.exception("a training failed")
            ended, run.problem = "failed", "The training failed; the server's log says more."
        with self._lock:
            run.state = "stopped" if run.state == "stopping" and ended == "finished" else ended
            self._at_work.pop(run.name)
            self._let_go()
            self._next()

    def _take(self, run: Run, moment: Moment) -> None:
        """The last moment of a stopped run is often that of the one before, with the weights."""
        with self._lock:
            if run.moments and run.moments[-1].step == moment.step:
                run.moments[-1] = replace(run.moments[-1], trained=moment.trained)
            else:
                run.moments.append(moment)

    def _let_go(self) -> None:
        """Drop those that were asked after the longest ago, until the rest fits."""
        sizes = {name: sum(map(memory, run.moments)) for name, run in self._held.items()}
        total = sum(sizes.values())
        for name in [name for name, run in self._held.items() if run.over]:
            if total <= self._most_bytes and len(self._held) <= 8 * (self._running + self._waiting):
                return
            total -= sizes[name]
            del self._held[name]
