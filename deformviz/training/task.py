"""`Task`: what a small network is to learn, drawn by a program, and the networks that learn it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

Value = str | int | float
Knobs = Mapping[str, Value]


@dataclass(frozen=True)
class Knob:
    """A row of `Task.knobs`: something that may be chosen before a training.

    Attributes:
        label: in words, for a page.
        values: all that are allowed, in order.
        default: one of them.
    """

    label: str
    values: tuple[Value, ...]
    default: Value


@dataclass(frozen=True, eq=False)
class Batch:
    """What networks are shown at once.

    Attributes:
        input: [B, C, H, W].
        target: what they are to say of it, as the task has it.
        about: what else is known of each image or position, for measurements.
    """

    input: Tensor
    target: Tensor
    about: Mapping[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        about = {name: tensor.to(device) for name, tensor in self.about.items()}
        return Batch(self.input.to(device), self.target.to(device), about)


def picture_input(picture: np.ndarray) -> Tensor:
    """A picture [H, W, 3] uint8 as a network's input [1, 3, H, W] in [0, 1]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


@dataclass(frozen=True, eq=False)
class Task:
    """A row of `TASKS`.

    Attributes:
        title, lesson: for a person: what it is called, and what is seen when it was learned.
        measure: what `accuracy` is the share of, in words.
        knobs: what may be chosen, by name; each task has `steps`.
        draw: (knobs, generator, count) to a batch to learn from, never the same twice.
        held_out: (knobs, count) to batches that are scored, by name: "shown" is like those of
            training, the others are of a kind that training never shows.
        build: knobs to the networks by name, all of as many parameters: the first is what the
            lesson is about, and its samplings are seen.
        groups: (network, knobs, learning rate) to the optimiser's parameter groups.
        loss: (network's output, batch) to a scalar.
        accuracy: (network's output, batch) to a share in [0, 1].
        probe: knobs to the picture on which learning is watched, [H, W, 3] uint8.
        watched: (picture, knobs) to what the network takes for it, [1, ...].
        rate: the learning rate.
        batch: images a step.
    """

    title: str
    lesson: str
    measure: str
    knobs: Mapping[str, Knob]
    draw: Callable[[Knobs, torch.Generator, int], Batch]
    held_out: Callable[[Knobs, int], dict[str, Batch]]
    build: Callable[[Knobs], dict[str, nn.Module]]
    groups: Callable[[nn.Module, Knobs, float], list[dict[str, object]]]
    loss: Callable[[Tensor, Batch], Tensor]
    accuracy: Callable[[Tensor, Batch], float]
    probe: Callable[[Knobs], np.ndarray]
    watched: Callable[[np.ndarray, Knobs], Tensor] = field(
        default=lambda picture, knobs: picture_input(picture)
    )
    rate: float = 3e-3
    batch: int = 64

    def settle(self, given: Knobs | None = None) -> dict[str, Value]:
        """All knobs: those given, and the others' defaults.

        Raises:
            ValueError: a knob that there is not, or a value that it does not have.
        """
        given = given or {}
        if unknown := sorted(set(given) - set(self.knobs)):
            raise ValueError(
                f"{self.title} has no knob {', '.join(unknown)}: its knobs are "
                f"{', '.join(self.knobs)}"
            )
        for name, value in given.items():
            if value not in self.knobs[name].values:
                allowed = ", ".join(map(repr, self.knobs[name].values))
                raise ValueError(f"{name} must be one of {allowed}; got {value!r}")
        return {name: given.get(name, knob.default) for name, knob in self.knobs.items()}
