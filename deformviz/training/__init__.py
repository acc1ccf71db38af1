"""Small networks that learn their offsets, to be watched and taught.

Task  ──▶  train()  ──▶  Moment, Moment, …, the last one with `Trained`

Example:
    >>> moments = train("scale", {"steps": 60}, seed=0)
    >>> next(moments).samplings[0].offset.abs().max()  # before the first step
    tensor(0.)
"""

from pathlib import Path

from .coordinates import COORDINATES
from .loop import MOMENTS, Moment, Score, score, train, watch
from .regions import REGIONS
from .scale import SCALE
from .shifts import SHIFTS
from .task import Batch, Knob, Task, picture_input
from .trained import Trained
from .twins import EQUAL_TIME

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "trained"

TASKS: dict[str, Task] = {
    "scale": SCALE,
    "coordinates": COORDINATES,
    "regions": REGIONS,
    "shifts": SHIFTS,
}
"""The tasks by name, in the order in which they are offered."""


def task_of(name: str) -> Task:
    """A task by its name.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}; got {name!r}")
    return TASKS[name]


def shipped(name: str) -> Trained:
    """The networks that come with deformviz, in `assets/trained`: those of a task, and two more.

    "scale-v1" is "scale" with Deformable Conv v1; "places" is "coordinates" the other way round,
    from a picture to a place.

    Raises:
        ValueError: there is no such file; the message names those that are there.
    """
    files = {path.stem: path for path in FOLDER.glob("*.safetensors")}
    if name not in files:
        known = ", ".join(sorted(files)) or "none, the assets folder is missing"
        raise ValueError(f"there is no trained network {name!r}: expected one of {known}")
    return Trained.load(files[name])


__all__ = [
    "EQUAL_TIME",
    "MOMENTS",
    "TASKS",
    "Batch",
    "Knob",
    "Moment",
    "Score",
    "Task",
    "Trained",
    "picture_input",
    "score",
    "shipped",
    "task_of",
    "train",
    "watch",
]
