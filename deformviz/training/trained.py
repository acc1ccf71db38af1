"""`Trained`: what came out of a training, kept in a .safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .task import Value

if TYPE_CHECKING:
    from .loop import Score

_FORMAT = "deformviz.trained/1"
EQUAL_TIME = "plain, equal time"
"""A plain network that was trained for as long as the first, not for as many steps."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The weights of a task's networks.

    Attributes:
        task: its name in `TASKS`.
        knobs: all of them.
        seed, step: of the training, and after how many steps it ended.
        scores: {network: {"loss": …, "accuracy": …}} at the end.
        weights: {network: its state dict}, on the CPU.
        origin: by what command, versions and commit it was made, of a file that says so.
    """

    task: str
    knobs: Mapping[str, Value]
    seed: int
    step: int
    scores: Mapping[str, Mapping[str, float]]
    weights: Mapping[str, Mapping[str, Tensor]]
    origin: Mapping[str, str]

    @classmethod
    def of(
        cls,
        task: str,
        knobs: Mapping[str, Value],
        seed: int,
        step: int,
        networks: Mapping[str, nn.Module],
        scores: Mapping[str, Score],
    ) -> Trained:
        """Copies of what networks have learned."""
        weights = {
            name: {key: t.detach().cpu().clone() for key, t in net.state_dict().items()}
            for name, net in networks.items()
        }
        told = {name: asdict(score) for name, score in scores.items()}
        return cls(task, dict(knobs), seed, step, told, weights, {"torch": torch.__version__})

    def network(self, name: str | None = None) -> nn.Module:
        """One of the networks, by default the first, with what it learned, to be used."""
        from . import task_of

        built = task_of(self.task).build(self.knobs)
        name = next(iter(built)) if name is None else name
        net = built["plain" if name == EQUAL_TIME else name]
        net.load_state_dict(dict(self.weights[name]))
        return net.eval()

    def save(self, path: str | Path) -> None:
        """Write to a .safetensors file; `load` reads it back."""
        from safetensors.torch import save_file

        tensors = {
            f"{name}/{key}": tensor.contiguous()
            for name, state in self.weights.items()
            for key, tensor in state.items()
        }
        header: dict[str, Any] = {
            "format": _FORMAT,
            **{key: getattr(self, key) for key in ("task", "knobs", "seed", "step", "scores")},
            "origin": dict(self.origin),
        }
        save_file(tensors, str(path), metadata={"deformviz": json.dumps(header)})
