"""`Trained`: what came out of a training, kept in a .safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from .origin import versions
from .task import Task, Value
from .twins import EQUAL_TIME

if TYPE_CHECKING:
    from .loop import Score

_FORMAT = "deformviz.trained/1"
_MOST_BYTES = 16 * 2**20
"""Of a file: the tasks' networks take a hundredth of it."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The weights of a task's networks.

    Attributes:
        task: its name in `TASKS`.
        knobs: all of them.
        seed, step: of the training, and after how many steps it ended.
        scores: {network: {"loss", "accuracy", "unseen"}} at the end, see `Score`.
        weights: {network: its state dict}, on the CPU, in float32.
        origin: by which versions it was made, and, of a shipped file, by what command and commit.

    Example:
        >>> from deformviz.training import train
        >>> *_, last = train("regions", {"steps": 100}, stop=lambda: True)  # before any step
        >>> last.trained.task, last.trained.step, list(last.trained.weights)
        ('regions', 0, ['DRConv', 'plain'])
    """

    task: str
    knobs: Mapping[str, Value]
    seed: int
    step: int
    scores: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, Mapping[str, Tensor]] = field(repr=False)
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
        return cls(task, dict(knobs), seed, step, told, weights, versions())

    def network(self, name: str | None = None) -> nn.Module:
        """One of the networks, by default the first, with what it learned, to be used.

        Raises:
            ValueError: the training had no such network.
        """
        from . import task_of

        built = task_of(self.task).build(self.knobs)
        name = next(iter(built)) if name is None else name
        if name not in self.weights:
            raise ValueError(f"network must be one of {', '.join(self.weights)}; got {name!r}")
        net = built[_built_as(name)]
        net.load_state_dict(dict(self.weights[name]))
        return net.eval()

    def networks(self) -> dict[str, nn.Module]:
        """All of them, by name."""
        return {name: self.network(name) for name in self.weights}

    def save(self, path: str | Path, half: bool = False) -> None:
        """Write to a .safetensors file; `load` reads it back.

        Args:
            path: where to.
            half: round the weights to half precision, for a file of half the size.
        """
        from safetensors.torch import save_file

        tensors = {
            f"{name}/{key}": (t.half() if half and t.is_floating_point() else t).contiguous()
            for name, state in self.weights.items()
            for key, t in state.items()
        }
        told = ("task", "knobs", "seed", "step", "scores", "origin")
        header = {"format": _FORMAT} | {key: getattr(self, key) for key in told}
        save_file(tensors, str(path), metadata={"deformviz": json.dumps(header)})

    @classmethod
    def load(cls, path: str | Path) -> Trained:
        """Read what `save` wrote. Nothing in the file is executed.

        Raises:
            ValueError: it is no such file, or does not fit the task that it names; the message
                says what was expected.
        """
        from safetensors import SafetensorError, safe_open

        path = Path(path)
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path.name} is too large for the weights of a task: it has more "
                             f"than {_MOST_BYTES >> 20} MiB")  # fmt: skip
        try:
            with safe_open(str(path), framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("deformviz", "{}"))
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{path.name} is not a .safetensors file: {error}") from error
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{path.name} has a damaged header: {error}") from error
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise ValueError(
                f"{path.name} holds no trained networks: expected a file that Trained.save wrote"
            )
        try:
            return cls(**_from_header(header), weights=_checked(header, tensors))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name} holds damaged networks: {error}") from error


def _built_as(name: str) -> str:
    """Under which name a task builds a network."""
    return "plain" if name == EQUAL_TIME else name


def _from_header(header: dict[str, Any]) -> dict[str, Any]:
    """What `save` wrote, checked, as arguments of `Trained`."""
    from . import task_of

    kinds: dict[str, type] = {
        "task": str, "knobs": dict, "seed": int, "step": int, "scores": dict, "origin": dict
    }  # fmt: skip
    for key, kind in kinds.items():
        if not isinstance(header[key], kind) or isinstance(header[key], bool):
            raise TypeError(f"{key} must be of type {kind.__name__}, got {header[key]!r}")
    task: Task = task_of(header["task"])
    told = {key: header[key] for key in kinds}
    return told | {"knobs": task.settle(header["knobs"])}


def _checked(header: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors by network, if they are just those that the task builds, and finite."""
    from . import task_of

    task = task_of(header["task"])
    built = task.build(task.settle(header["knobs"]))
    names = [*built, EQUAL_TIME] if any(k.startswith(EQUAL_TIME) for k in tensors) else [*built]
    weights = {name: dict(built[_built_as(name)].state_dict()) for name in names}
    wanted = {f"{name}/{key}": t for name, state in weights.items() for key, t in state.items()}
    if tensors.keys() != wanted.keys():
        odd = sorted(tensors.keys() ^ wanted.keys())[:3]
        raise ValueError(f"its tensors are not those of {header['task']!r}: {', '.join(odd)}")
    for name, state in weights.items():
        for key, like in state.items():
            given = tensors[f"{name}/{key}"]
            if given.shape != like.shape or given.is_floating_point() != like.is_floating_point():
                raise ValueError(
                    f"{name}/{key} must be {list(like.shape)} of {like.dtype}, "
                    f"got {list(given.shape)} of {given.dtype}"
                )
            state[key] = given.to(like.dtype)
            if not bool(state[key].isfinite().all()):
                raise ValueError(f"{name}/{key} has numbers that are not finite")
    return weights
