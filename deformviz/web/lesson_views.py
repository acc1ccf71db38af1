"""What a lesson's step shows: the view of a link or of a made-up network, and its numbers.

Steps are the same for everyone, so what was made once is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from plotly.io.json import to_json_plotly

from ..explore import OPERATORS
from ..inspection import LayerRun, NetworkRun
from ..inspection.told import told_of_run
from ..lessons import Place, Step, quantity
from ..viewer import Stack, ViewState
from ..viewer.state import short
from ..words import spoken
from . import sick_network
from .asked import Asked, run
from .bounded import Bounded
from .drawn import open_link
from .explore_tab import FIRST, FIRST_IMAGE, FIRST_SIDE
from .lesson_controls import check_controls
from .link import Link, from_query, to_query
from .numbers import SHELF, Kept, numbers_part
from .turns import DEVICE

NETWORKS: dict[str, Callable[[], NetworkRun]] = {"sick": sick_network.run}
"""What a lesson's `network` may name."""

MOST_BYTES = 32 * 2**20
"""Of all views that are kept: a slider of a step makes many."""

_names = Asked.__dataclass_fields__.keys() & FIRST.__dataclass_fields__.keys()
FIRST_ASKED = Asked(
    photo=None,
    example=FIRST_IMAGE,
    side=FIRST_SIDE,
    kernel_height=FIRST.kernel_size[0],
    kernel_width=FIRST.kernel_size[1],
    **{name: getattr(FIRST, name) for name in _names},
)
"""What stands in for whatever a step's view does not name: the page's first example."""


def check_step(step: Step) -> None:
    """Refuse a step whose view, network or controls there are not.

    Raises:
        ValueError: the message says which.
    """
    viewed = set(ViewState.__dataclass_fields__)
    if step.network:
        if step.network not in NETWORKS:
            known = ", ".join(NETWORKS)
            raise ValueError(f"network must be one of {known}; got {short(step.network)}")
        _check_names(step.view, viewed, "what the viewer shows of a network")
        _, problems = ViewState.from_query(step.view)
        if step.controls:
            raise ValueError("a network has no controls of the Explore page")
    else:
        link = from_query(step.view, FIRST_ASKED)
        asked = {name for operator in OPERATORS.values() for name in operator.controls}
        asked |= to_query(FIRST_ASKED).keys() | {"compare"}
        _check_names(step.view, viewed | asked, "a link's names")
        check_controls(step.controls, link.asked.operator)
        problems = list(link.problems)
    if problems:
        raise ValueError(problems[0].replace("the link's", "the view's", 1))
    for task in step.tasks:
        if task.done["kind"] == "control" and task.done["name"] not in step.controls:
            raise ValueError(
                f"its controls do not have {task.done['name']!r}, which a task asks for"
            )


def _check_names(view: Mapping[str, str], known: set[str], what: str) -> None:
    if unknown := sorted(view.keys() - known):
        raise ValueError(f"view has {short(unknown[0])}, which is not one of {what}")


@dataclass(frozen=True)
class Made:
    """A step's view.

    Attributes:
        text: as JSON.
        numbers: the step's, by name.
        asked: what ran; None of a network.
        held: the names of its numbers on the shelf, which may let them go.
    """

    text: str
    numbers: dict[str, float]
    asked: Asked | None
    held: tuple[str, ...]


class Views:
    """Makes the views of steps and keeps the latest ones."""

    def __init__(self, device: str, most_bytes: int = MOST_BYTES) -> None:
        self._device = device
        self._kept: Bounded[str, Made] = Bounded(most_bytes, lambda made: len(made.text))

    def of(self, step: Step, changes: Mapping[str, str]) -> Made:
        """The view of a step, with what its controls have changed.

        Raises:
            ValueError: values that a control does not have, numbers that the record does not
                have, or a device that is busy for too long.
        """
        view = _changed(step, changes)
        key = json.dumps([view, step.network, step.numbers, spoken()])
        made = self._kept.get(key)
        if made is not None and all(SHELF.get(name) is not None for name in made.held):
            return made
        self._kept.drop(key)
        return self._kept.get_or_make(key, lambda: DEVICE.take(partial(self._make, step, view)))

    def _make(self, step: Step, view: dict[str, str]) -> Made:
        if step.network:
            return _network_view(step, view)
        link = from_query(view, FIRST_ASKED)
        if link.problems:
            raise ValueError(link.problems[0])
        return self._link_view(step, link)

    def _link_view(self, step: Step, link: Link) -> Made:
        text = open_link(link, self._device)
        drawn = json.loads(text)
        held = tuple(each["data"]["id"] for each in (drawn, drawn.get("kept")) if each)
        exploration, _ = run(link.asked, self._device)
        numbers = _numbers(step, exploration.sampling, link.state)
        return Made(text, numbers, link.asked, held)


def _changed(step: Step, changes: Mapping[str, str]) -> dict[str, str]:
    """The step's view as its controls have changed it.

    Raises:
        ValueError: a control that the step does not have.
    """
    if unknown := sorted(changes.keys() - set(step.controls)):
        raise ValueError(f"the step has no control {short(unknown[0])}")
    view = dict(step.view)
    if changes.get("field", view.get("field")) != view.get("field"):
        view.pop("strength", None)  # so many pixels are not so many degrees
    return {**view, **changes}


def _numbers(step: Step, sampling: Any, state: ViewState) -> dict[str, float]:  # noqa: ANN401
    h, w = sampling.output_size
    place = Place(
        sampling,
        min(h // 2 if state.y is None else state.y, h - 1),
        min(w // 2 if state.x is None else state.x, w - 1),
        state.output_channel or 0,
    )
    return {name: quantity(words, place) for name, words in step.numbers.items()}


def _told(row: LayerRun) -> dict[str, Any]:
    """What is said of a layer; its findings come with their maps when someone looks at them."""
    said = told_of_run(row)
    return {"status": said["status"], "checks": said["checks"]}


def _network_view(step: Step, view: dict[str, str]) -> Made:
    found, (state, _) = NETWORKS[step.network](), ViewState.from_query(view)
    told = [_told(row) for row in found.layers]
    samplings = [row.sampling for row in found.layers]
    pairs = zip(samplings, told, strict=True)
    data = [numbers_part(Kept(sampling, found.photo, says)) for sampling, says in pairs]
    stack = Stack(samplings, found.photo, told, state=state)
    value = stack.value(data)
    text: str = to_json_plotly(value)
    shown = samplings[value["shown"]]
    held = tuple(str(each["id"]) for each in data)
    return Made(text, _numbers(step, shown, state), None, held)
