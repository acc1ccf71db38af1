"""What the Train tab is told of a run, as plain JSON types: its curves, and a moment's layers."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..figures.colors import index_rgb
from ..figures.views import as_picture
from ..geometry import once
from ..images import to_data_uri
from ..sampling import Sampling
from ..training import TASKS, Moment, task_of
from ..training.pictures import pictures
from ..training.recorded import read
from ..training.runs import Run, Runs
from ..viewer import ViewState
from ..viewer.scene import kernel_reach
from ..viewer.stack import Stack
from ..viewer.state import OVERLAYS
from .numbers import Kept, downloads_part, numbers_part

EXAMPLE = "example"
"""The name of the recorded run that the page opens on."""
_STARTS: dict[str, dict[str, Any]] = {
    "scale": {"y": 16, "x": 22, "pinned": True},  # on the large glyph
    "coordinates": {"y": 44, "x": 46, "pinned": True},  # on the square
    "regions": {"over": "regions"},
    "shifts": {"pinned": True},
}
"""What the viewer opens a task's first run with: what there is to be seen of it."""
_RECORDED = Path(__file__).resolve().parents[2] / "assets" / "recorded" / "scale.safetensors"


def tasks_part() -> list[dict[str, Any]]:
    """All tasks with their knobs, in the order in which they are offered."""
    return [
        {
            "name": name,
            "title": task.title,
            "lesson": task.lesson,
            "measure": task.measure,
            "start": _STARTS[name],
            "knobs": [
                {"name": key, "label": k.label, "values": list(k.values), "default": k.default}
                for key, k in task.knobs.items()
            ],
        }
        for name, task in TASKS.items()
    ]


@lru_cache(maxsize=1)
def example_run() -> Run | None:
    """The recorded run; None where the package is installed without its assets."""
    if not _RECORDED.is_file():
        return None
    told = read(_RECORDED)
    knobs = dict(told.knobs)
    return Run(EXAMPLE, told.task, knobs, told.seed, "finished", moments=list(told.moments))


def run_part(run: Run, runs: Runs, after: int = 0) -> dict[str, Any]:
    """Where a run is, and its curves from a moment on."""
    moments = list(run.moments)
    return {
        "name": run.name,
        "task": run.task,
        "knobs": run.knobs,
        "seed": run.seed,
        "state": run.state,
        "place": runs.place(run),
        "problem": run.problem,
        "recorded": run.name == EXAMPLE,
        "trained": any(moment.trained is not None for moment in moments),
        "moments": [_curve_point(moment) for moment in moments[after:]],
    }


def _curve_point(moment: Moment) -> dict[str, Any]:
    """Numbers that are no numbers become None, as JSON has no NaN."""
    return {
        "step": moment.step,
        "steps": moment.steps,
        "seconds": _finite(moment.seconds),
        "remaining": _finite(moment.remaining),
        "reach": [kernel_reach(sampling) for sampling in moment.samplings],
        "scores": {
            name: {
                "loss": _finite(score.loss),
                "accuracy": _finite(score.accuracy),
                "unseen": {kind: _finite(value) for kind, value in score.unseen.items()},
            }
            for name, score in moment.scores.items()
        },
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def moment_part(run: Run, index: int) -> dict[str, Any]:
    """What the viewer shows of a moment: {"layers": …, "shown": …}, see `Stack.value`.

    Raises:
        IndexError: there is no such moment, or not yet.
    """
    if index < 0:
        raise IndexError(index)
    moment = run.moments[index]
    picture = task_of(run.task).probe(run.knobs)
    kept = [Kept(sampling, picture) for sampling in moment.samplings]
    stack = Stack(moment.samplings, picture, state=ViewState(layer=len(kept) - 1))
    told = stack.value([numbers_part(each) for each in kept])
    for layer, each in zip(told["layers"], kept, strict=True):
        layer["id"] = f"{run.name} | {moment.step} | {each.sampling.name}"
        layer["status"] = f"step {moment.step} of {moment.steps}, {layer['status']}"
        layer["downloads"] = downloads_part(each)
        layer["overlays"] = _overlays(each.sampling, layer["overlays"])
    told["pictures"] = pictures_part(run, moment)
    del told["state"]  # the viewer keeps its own: pin, zoom and overlay
    return told


def _overlays(sampling: Sampling, known: list[str]) -> list[str]:
    """Those that a layer will have once its offsets have left zero, too: what is chosen stays."""
    learns = once(sampling.offset).shape[-1] > 1
    return [n for n in OVERLAYS if n in known or (learns and n in ("field colours", "magnitude"))]


def pictures_part(run: Run, moment: Moment) -> list[dict[str, str]]:
    """What else is to be seen at a moment: [{"caption", "source"}]."""
    found = pictures(run.task, run.knobs, moment)
    most = 1 + max((int(p.max()) for p in found.values() if not p.is_floating_point()), default=0)
    colors = index_rgb(most)
    return [
        {"caption": caption, "source": to_data_uri(_drawn(picture, colors))}
        for caption, picture in found.items()
    ]


def _drawn(picture: Tensor, colors: np.ndarray) -> np.ndarray:
    """Labels in their colours, other numbers from black to white: [h, w, 3] uint8."""
    if picture.is_floating_point():
        return as_picture(picture[None])
    drawn: np.ndarray = colors[picture.numpy()].astype(np.uint8)
    return drawn
