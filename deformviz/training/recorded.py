"""A training that was recorded: small enough to be shipped, and shown without training again.

What is kept is the first network's weights at each moment, not what was seen: from them everything
is computed again on the probe, and adds up as it does in a training that runs now. Matrices are
rounded to 8 bits with a scale for each output channel; all else is as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import task_of
from .loop import Moment, Score, answered, watch

_FORMAT = "deformviz.recorded/1"
_SCALE = ":scale"


@dataclass(frozen=True, eq=False)
class Recorded:
    """A training's moments.

    Attributes:
        task: its name in `TASKS`.
        knobs: all of them.
        seed: of the training.
        moments: as `train` yielded them, but for the weights.
        origin: by which versions it was made, and, of a shipped file, by what command and commit.
    """

    task: str
    knobs: Mapping[str, Any]
    seed: int
    moments: tuple[Moment, ...]
    origin: Mapping[str, str]


def record(
    moments: Sequence[Moment], path: str | Path, origin: Mapping[str, str] | None = None
) -> None:
    """Write what `read` reads: a .safetensors file.

    Args:
        moments: of `train` with `weights`, at least one.
        path: of the file.
        origin: how it was made, see `origin_of`; by default, by which versions.

    Raises:
        ValueError: moments without weights.
    """
    from safetensors.torch import save_file

    trained = [moment.trained for moment in moments if moment.trained is not None]
    if not trained or len(trained) < len(moments):
        raise ValueError("expected moments that have weights each, as of train(..., weights=True)")
    header = {
        "format": _FORMAT,
        "task": trained[0].task,
        "knobs": dict(trained[0].knobs),
        "seed": trained[0].seed,
        "moments": [_told(moment) for moment in moments],
        "origin": dict(trained[0].origin if origin is None else origin),
    }
    states = [next(iter(each.weights.values())) for each in trained]
    tensors: dict[str, Tensor] = {}
    for key in states[0]:  # moments are an axis, as a name for each would take a third of the file
        tensors |= _rounded(key, torch.stack([state[key] for state in states]))
    save_file(tensors, str(path), metadata={"deformviz": json.dumps(header)})


def _told(moment: Moment) -> dict[str, Any]:
    return {
        "step": moment.step,
        "steps": moment.steps,
        "seconds": moment.seconds,
        "scores": {name: asdict(score) for name, score in moment.scores.items()},
    }


def read(path: str | Path) -> Recorded:
    """A recorded training, looked at again on its probe.

    Raises:
        ValueError: the file is none that `record` wrote.
    """
    from safetensors import SafetensorError, safe_open

    name = Path(path).name
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("deformviz", "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{name} is no recorded training: {error}") from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ValueError(f"{name} is no recorded training: expected what `record` wrote")
    task = task_of(header["task"])
    knobs = task.settle(header["knobs"])
    net = next(iter(task.build(knobs).values()))
    image = task.watched(task.probe(knobs), knobs)
    moments = []
    for i, told in enumerate(header["moments"]):
        net.load_state_dict(_restored(tensors, i))
        scores = {name: Score(**score) for name, score in told.pop("scores").items()}
        remaining = told["seconds"] / max(told["step"], 1) * (told["steps"] - told["step"])
        samplings, answer = watch(net, image), answered(net, image)
        moments.append(
            Moment(**told, remaining=remaining, scores=scores, samplings=samplings, answer=answer)
        )
    return Recorded(header["task"], knobs, header["seed"], tuple(moments), header["origin"])


def _rounded(key: str, tensor: Tensor) -> dict[str, Tensor]:
    """Matrices [moments, rows, ...] as whole numbers from -127 to 127 and a scale for each row.

    Vectors stay as they are.
    """
    if tensor.ndim < 3:
        return {key: tensor}
    scale = tensor.abs().flatten(2).amax(2) / 127  # [moments, rows]
    rows = scale.clamp(min=1e-30).reshape(*scale.shape, *[1] * (tensor.ndim - 2))
    return {key: (tensor / rows).round().to(torch.int8), key + _SCALE: scale}


def _restored(tensors: Mapping[str, Tensor], moment: int) -> dict[str, Tensor]:
    state = {}
    for key, held in tensors.items():
        if key.endswith(_SCALE):
            continue
        tensor = held[moment]
        if (scale := tensors.get(key + _SCALE)) is not None:
            tensor = tensor * scale[moment].reshape(-1, *[1] * (tensor.ndim - 1))
        state[key] = tensor.clone()
    return state
