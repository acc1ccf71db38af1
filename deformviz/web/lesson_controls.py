"""Controls of the Explore page that a lesson's step can have beside its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from .. import examples
from ..explore import OPERATORS
from ..fields import FIELDS, MASKS
from ..guides import GUIDES
from ..kernels import KERNELS
from ..operators.spatial_shift import BORDERS, DIRECTIONS, Border
from ..viewer.state import as_text
from ..words import say
from .asked import Asked
from .link import to_query


@dataclass(frozen=True)
class Control:
    """A row of `CONTROLS`.

    Attributes:
        label: says it in the page's language.
        options: the values that a link may have for it; none for a slider.
        limits: asked to a slider's lowest, highest value and step.
    """

    label: Callable[[], str]
    options: Callable[[], Sequence[str]] | None = None
    limits: Callable[[Asked], tuple[float, float, float]] | None = None


def _steps(
    low: float, high: float, step: float = 1
) -> Callable[[Asked], tuple[float, float, float]]:
    return lambda asked: (low, high, step)


def _strength(asked: Asked) -> tuple[float, float, float]:
    most = FIELDS[asked.field].maximum
    return (0, most, most / 40)


CONTROLS: dict[str, Control] = {
    "image": Control(lambda: say("Image"), examples.names),
    "operator": Control(lambda: say("Operator"), lambda: list(OPERATORS)),
    "kernel": Control(lambda: say("Kernel"), lambda: [f"{n}x{n}" for n in (1, 3, 5, 7)]),
    "stride": Control(lambda: say("stride"), limits=_steps(1, 4)),
    "dilation": Control(lambda: say("dilation"), limits=_steps(1, 8)),
    "weights": Control(lambda: say("Weights"), lambda: list(KERNELS)),
    "field": Control(lambda: say("Offsets"), lambda: list(FIELDS)),
    "strength": Control(lambda: say("strength"), limits=_strength),
    "mask": Control(lambda: say("Mask"), lambda: list(MASKS)),
    "mask_strength": Control(lambda: say("mask strength"), limits=_steps(0, 1, 0.05)),
    "guide": Control(lambda: say("Guide map"), lambda: list(GUIDES)),
    "regions": Control(lambda: say("regions m"), limits=_steps(1, 8)),
    "radius": Control(lambda: say("radius channel"), lambda: ["on", "off"]),
    "coordinate_weight": Control(
        lambda: say("weight of the coordinates"), limits=_steps(-1, 1, 0.05)
    ),
    "directions": Control(lambda: say("Directions"), lambda: list(DIRECTIONS)),
    "strategy": Control(lambda: say("Strategy"), lambda: list(BORDERS)),
    "border": Control(lambda: say("Border"), lambda: list(get_args(Border))),
}
"""What a step may offer, by its name in a link."""


def check_controls(names: Sequence[str], operator: str) -> None:
    """Refuse controls that there are not, or that the operator does not have.

    Raises:
        ValueError: the message names it.
    """
    for name in names:
        own = name in ("image", "operator", "kernel") or name in OPERATORS[operator].controls
        if name not in CONTROLS or not own:
            known = [each for each in CONTROLS if each in OPERATORS[operator].controls]
            expected = ", ".join(["image", "operator", "kernel", *known])
            raise ValueError(f"controls of {operator} are {expected}; got {name!r}")


def controls_part(names: Sequence[str], asked: Asked) -> list[dict[str, Any]]:
    """The controls as the page draws them, at what is asked for now."""
    query = to_query(asked)
    return [_control_part(name, asked, query) for name in names]


def _control_part(name: str, asked: Asked, query: Mapping[str, str]) -> dict[str, Any]:
    row = CONTROLS[name]
    value = query.get(name, "")
    if name == "strength" and asked.strength is None:
        value = as_text(FIELDS[asked.field].default)
    part: dict[str, Any] = {"name": name, "label": row.label(), "value": value}
    if row.limits is not None:
        part |= dict(zip(("min", "max", "step"), row.limits(asked), strict=True))
    if row.options is not None:
        part["options"] = [[option, say(option)] for option in row.options()]
    return part
