"""`train`: a task's networks learn side by side, and are looked at while they do."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from ..checkpoints.capture import capture
from ..sampling import Sampling
from .task import Batch, Knobs, Task
from .trained import Trained
from .twins import EQUAL_TIME, trains_longer

MOMENTS = 40
"""So often a training is looked at."""

WARM_UP = 0.1
"""The share of the steps in which the learning rate rises."""

SCORED = 32
"""Pictures of each kind that networks are scored on while they learn."""


@dataclass(frozen=True)
class Score:
    """How well one network does on what it has not been trained on.

    Attributes:
        loss, accuracy: on pictures that are like those of training.
        unseen: accuracies on kinds that training never shows, by name, e.g. "unseen angles".
    """

    loss: float
    accuracy: float
    unseen: Mapping[str, float] = field(default_factory=dict)


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
        answer: what the first network says of the probe, on the CPU; None where nobody asked.
        trained: of the last moment, what came out; None before.
    """

    step: int
    steps: int
    seconds: float
    remaining: float
    scores: dict[str, Score]
    samplings: tuple[Sampling, ...]
    trained: Trained | None = None
    answer: torch.Tensor | None = None


def train(
    task: str,
    knobs: Knobs | None = None,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
    device: torch.device | str = "cpu",
    moments: int = MOMENTS,
    weights: bool = False,
) -> Iterator[Moment]:
    """Train a task's networks.

    Args:
        task: a name in `TASKS`.
        knobs: what is not as by default, see `Task.knobs`.
        seed: of the networks' first weights and of what they are shown.
        stop: asked before each step; once it says True, the training ends with what it has.
        device: where to train.
        moments: so many are yielded beside the first, which is before the first step.
        weights: whether every moment has `trained`, and not the last one alone.

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
    if trains_longer(settled):  # with so many more steps that it takes the first's processor time
        networks[EQUAL_TIME] = copy.deepcopy(list(networks.values())[1])
    learners = {name: _Learner(net, row, settled) for name, net in networks.items()}
    first, longer = next(iter(learners.values())), learners.pop(EQUAL_TIME, None)
    generator, for_longer = (torch.Generator().manual_seed(seed + i) for i in (1, 10**6))
    scored = {name: b.to(device) for name, b in row.held_out(settled, SCORED).items()}
    start = time.perf_counter()
    done = 0
    looked = {round(i * steps / moments) for i in range(1, moments)}

    def look(last: bool = False) -> Moment:
        seen = _moment(row, settled, networks, scored, done, steps, start)
        if not (last or weights):
            return seen
        return replace(seen, trained=Trained.of(task, settled, seed, done, networks, seen.scores))

    yield look()
    while done < steps and not stop():
        batch = row.draw(settled, generator, row.batch).to(device)
        for learner in learners.values():
            learner.step(batch, done / steps)
        while longer and longer.seconds < first.seconds:
            more = row.draw(settled, for_longer, row.batch).to(device)
            longer.step(more, done / steps)
        done += 1
        if done in looked and done < steps:
            yield look()
    yield look(last=True)


class _Learner:
    """One network with its optimiser.

    Attributes:
        seconds: of processor time that its steps took so far.
    """

    def __init__(self, net: nn.Module, task: Task, knobs: Knobs) -> None:
        self.net, self.task, self.seconds = net, task, 0.0
        groups = task.groups(net, knobs, task.rate)
        self.optimiser = torch.optim.AdamW(groups, weight_decay=1e-4)
        self.rates = [float(str(group["lr"])) for group in groups]

    def step(self, batch: Batch, progress: float) -> None:
        """Learn from one batch; of all steps, a share of `progress` in [0, 1] is done."""
        start = time.process_time()
        self.net.train()
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * pace(progress)
        loss = self.task.loss(self.net(batch.input), batch)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.seconds += time.process_time() - start


def pace(progress: float) -> float:
    """The share of the full learning rate: up over the first tenth, then down along a cosine.

    Example:
        >>> [round(pace(p), 2) for p in (0.0, 0.05, 0.1, 0.55, 1.0)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if progress < WARM_UP:
        return 0.04 + 0.96 * progress / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))


@torch.no_grad()
def score(task: Task, net: nn.Module, kinds: Mapping[str, Batch]) -> Score:
    """A network on `Task.held_out`, as it will be used: with the running means of its norms."""
    net.eval()
    outputs = {name: net(batch.input) for name, batch in kinds.items()}
    rates = {name: task.accuracy(out, kinds[name]) for name, out in outputs.items()}
    loss = float(task.loss(outputs["shown"], kinds["shown"]))
    return Score(loss, rates.pop("shown"), rates)


def _moment(
    task: Task,
    knobs: Knobs,
    networks: dict[str, nn.Module],
    scored: Mapping[str, Batch],
    step: int,
    steps: int,
    start: float,
) -> Moment:
    scores = {name: score(task, net, scored) for name, net in networks.items()}
    first, probe = next(iter(networks.values())), task.watched(task.probe(knobs), knobs)
    samplings, answer = watch(first, probe), answered(first, probe)
    seconds = time.perf_counter() - start
    remaining = seconds / step * (steps - step) if step else float("nan")
    return Moment(step, steps, seconds, remaining, scores, samplings, answer=answer)


@torch.no_grad()
def answered(net: nn.Module, input: torch.Tensor) -> torch.Tensor:
    """What a network says of an input [1, ...], on the CPU."""
    net.eval()
    output: torch.Tensor = net(input.to(next(net.parameters()).device))
    return output.cpu()


@torch.no_grad()
def watch(net: nn.Module, input: torch.Tensor) -> tuple[Sampling, ...]:
    """Where a network's layers read an input [1, ...], in the order of their calls."""
    net.eval()
    device = next(net.parameters()).device
    with capture(net) as samplings:
        net(input.to(device))
    return tuple(samplings)
