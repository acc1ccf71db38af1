"""Small networks that learn their offsets, to be watched and taught.

Example:
    >>> moments = train("scale", {"steps": 60}, seed=0)
    >>> next(moments).samplings[0].offset.abs().max()  # before the first step
    tensor(0.)
"""

from .coordinates import COORDINATES
from .loop import MOMENTS, Moment, Score, score, train, watch
from .regions import REGIONS
from .scale import SCALE
from .shifts import SHIFTS
from .task import Batch, Knob, Task, picture_input
from .trained import Trained

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


__all__ = [
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
    "task_of",
    "train",
    "watch",
]
