"""`train`: a task's networks learn side by side, and are looked at while they do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ..checkpoints.capture import capture
from ..sampling import Sampling
from .task import Batch, Knobs, Task, picture_input
from .trained import Trained

MOMENTS = 40
"""So often a training is looked at."""


@dataclass(frozen=True)
class Score:
    """How well one network does on pictures that are like those of training, but not among them."""

    loss: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Moment:
    """What is known at one step of a training.

    Attributes:
        step, steps: so many are done, of so many.
        seconds: since the start.
        remaining: seconds to the end, as it goes now.
        scores: of each network, by name; the first is what the lesson is about.
        samplings: where the first network's layers read the task's probe picture, in the order of
            their calls.
        trained: of the last moment, what came out; None before.
    """

    step: int
    steps: int
    seconds: float
    remaining: float
    scores: dict[str, Score]
    samplings: tuple[Sampling, ...]
    trained: Trained | None = None


def train(
    task: str,
    knobs: Knobs | None = None,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
    device: torch.device | str = "cpu",
    moments: int = MOMENTS,
) -> Iterator[Moment]:
    """Train a task's networks.

    Args:
        task: a name in `TASKS`.
        knobs: what is not as by default, see `Task.knobs`.
        seed: of the networks' first weights and of what they are shown.
        stop: asked before each step; once it says True, the training ends with what it has.
        device: where to train.
        moments: so many are yielded beside the first, which is before the first step.

    Yields:
        Moments; the last one, also of a stopped training, has `trained`.

    Raises:
        ValueError: no such task or knob.
    """
    from . import task_of

    row = task_of(task)
    settled = row.settle(knobs)
    steps = int(settled["steps"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = {name: net.to(device) for name, net in row.build(settled).items()}
    learners = {name: _Learner(net, row, settled, steps) for name, net in networks.items()}
    generator = torch.Generator().manual_seed(seed + 1)
    scored = row.held_out(settled, 64)["shown"].to(device)
    start = time.perf_counter()
    done = 0
    looked = {round(i * steps / moments) for i in range(1, moments)}
    yield _moment(row, settled, networks, scored, 0, steps, start)
    while done < steps and not stop():
        batch = row.draw(settled, generator, row.batch).to(device)
        for learner in learners.values():
            learner.step(batch)
        done += 1
        if done in looked and done < steps:
            yield _moment(row, settled, networks, scored, done, steps, start)
    last = _moment(row, settled, networks, scored, done, steps, start)
    yield Moment(
        **{**vars(last), "trained": Trained.of(task, settled, seed, done, networks, last.scores)}
    )


class _Learner:
    """One network with its optimiser, whose rate falls to zero over the steps."""

    def __init__(self, net: nn.Module, task: Task, knobs: Knobs, steps: int) -> None:
        self.net, self.task = net, task
        groups = task.groups(net, knobs, task.rate)
        self.optimiser = torch.optim.AdamW(groups, weight_decay=1e-4)
        rates = [float(str(group["lr"])) for group in groups]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, rates, total_steps=max(steps, 2) + 1, pct_start=0.1
        )

    def step(self, batch: Batch) -> None:
        """Learn from one batch."""
        self.net.train()
        loss = self.task.loss(self.net(batch.input), batch)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()


@torch.no_grad()
def score(task: Task, net: nn.Module, batch: Batch) -> Score:
    """A network on a batch, as it will be used: with the running means of its norms."""
    net.eval()
    output = net(batch.input)
    return Score(float(task.loss(output, batch)), task.accuracy(output, batch))


def _moment(
    task: Task,
    knobs: Knobs,
    networks: dict[str, nn.Module],
    scored: Batch,
    step: int,
    steps: int,
    start: float,
) -> Moment:
    scores = {name: score(task, net, scored) for name, net in networks.items()}
    first = next(iter(networks.values()))
    seconds = time.perf_counter() - start
    remaining = seconds / step * (steps - step) if step else float("nan")
    return Moment(
        step, steps, seconds, remaining, scores, watch(first, picture_input(task.probe(knobs)))
    )


@torch.no_grad()
def watch(net: nn.Module, image: torch.Tensor) -> tuple[Sampling, ...]:
    """Where a network's layers read an image [1, C, H, W], in the order of their calls."""
    net.eval()
    device = next(net.parameters()).device
    with capture(net) as samplings:
        net(image.to(device))
    return tuple(samplings)
