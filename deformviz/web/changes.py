"""What each control of the Explore tab changes beside itself, before and after the drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ..explore import LEARNED, OFFSETS, OPERATORS, Settings, depends_on
from ..explore.learned import BROUGHT, uses_network
from ..words import say
from .asked import Asked

KERNEL_SIZES = (1, 3, 5, 7, 9, 11)

CLEARED = "photo cleared"
"""Beside the controls' names: the event of a photo that is taken away."""


@dataclass(frozen=True)
class Question:
    """What a control's event asks.

    Attributes:
        control: a name of `CHANGES`.
        value: the control's own.
        asked: all controls' values, at that moment.
        field_before, mask_before: the offset field and the mask of the question before, by its
            values or by the page's address.
    """

    control: str
    value: Any
    asked: Asked
    field_before: str
    mask_before: str


@dataclass(frozen=True)
class Change:
    """What a control changes beside itself.

    One question does it all: were the drawing a question of its own, what a quick person does in
    between would be undone by it.

    Attributes:
        adjust: to what is asked for now; None where that is drawn already.
        targets: the controls that change, too, by name.
        tell: asked to their new values.
    """

    adjust: Callable[[Question], Asked | None] = lambda question: question.asked
    targets: tuple[str, ...] = ()
    tell: Callable[[Asked], Sequence[Any]] = lambda asked: ()


PARAMETERS = sorted({name for row in OPERATORS.values() for name in row.controls})
"""The controls that not every run depends on."""

KERNEL_CONTROLS = ("kernel", "kernel_height", "kernel_width")


def shown(settings: Settings) -> dict[str, bool]:
    """Which of `PARAMETERS` a run depends on."""
    names = depends_on(settings)
    return {name: name in names for name in PARAMETERS}


def reveal(settings: Settings) -> dict[str, dict[str, Any]]:
    """Show the parameters that the run depends on, and what its kernel's size means.

    Returns:
        An update for each of `KERNEL_CONTROLS` and `PARAMETERS`, by name.
    """
    learned = uses_network(settings)
    updates = {name: gr.update(interactive=not learned) for name in KERNEL_CONTROLS}
    updates["kernel"] |= {"label": _kernel_label(settings)}
    return updates | {name: gr.update(visible=v) for name, v in shown(settings).items()}


def _kernel_label(settings: Settings) -> str:
    if uses_network(settings):
        return say("Kernel: the network's own")
    has_weights = "weights" in OPERATORS[settings.operator].controls
    return say("Kernel") if has_weights else say("Kernel: shifts reach half")


def square(height: int, width: int) -> int | None:
    """The button of a square kernel's size, or none of them."""
    return height if height == width and height in KERNEL_SIZES else None


def strength_slider(field: str, value: float | None = None) -> dict[str, Any]:
    """The slider in the field's own unit, at the field's default where no value is given."""
    row = OFFSETS[field]
    return gr.update(
        minimum=min(0, value or 0),  # a link may have the field the other way round
        maximum=row.maximum,
        value=row.default if value is None else value,
        label=strength_label(row.unit),
        interactive=field != "zero",
    )


def strength_label(unit: str) -> str:
    """What the slider is called, in the language of the page."""
    return say("strength, {unit}", unit=say(unit)) if unit else say("strength")


def _other_field(question: Question) -> Asked | None:
    """A dropdown tells of one choice twice, and brings the strength of the field before."""
    if question.asked.field == question.field_before:
        return None
    return replace(question.asked, strength=None)


def _same_sides(question: Question) -> Asked:
    size = question.value
    return replace(question.asked, kernel_height=size, kernel_width=size)


def _whole_mask(question: Question) -> Asked:
    """A mask that was learned is first shown as it is; a dropdown tells of one choice twice."""
    asked = question.asked
    chosen = asked.mask == LEARNED and question.mask_before != LEARNED
    return replace(asked, mask_strength=1.0) if chosen else asked


def _revealed(asked: Asked, names: Sequence[str]) -> list[dict[str, Any]]:
    updates = reveal(asked.settings)
    return [updates[name] for name in names]


_BY_LEARNED = (*KERNEL_CONTROLS, "learned_layer", *BROUGHT)
"""The controls that come or go when something is to be what a network learned."""

_SIDES = Change(
    targets=("kernel",),
    tell=lambda asked: [square(asked.kernel_height, asked.kernel_width)],
)
_SPECIAL = {
    "kernel": Change(
        _same_sides,
        ("kernel_height", "kernel_width"),
        lambda asked: [asked.kernel_height, asked.kernel_width],
    ),
    "kernel_height": _SIDES,
    "kernel_width": _SIDES,
    "field": Change(
        _other_field,
        ("strength", *_BY_LEARNED),
        lambda asked: [
            strength_slider(asked.field, asked.strength),
            *_revealed(asked, _BY_LEARNED),
        ],
    ),
    **{
        name: Change(targets=_BY_LEARNED, tell=lambda asked: _revealed(asked, _BY_LEARNED))
        for name in ("guide", "parameters")
    },
    "mask": Change(
        _whole_mask,
        ("mask_strength", *_BY_LEARNED),
        lambda asked: [
            gr.update(value=asked.mask_strength),
            *_revealed(asked, _BY_LEARNED),
        ],
    ),
    "operator": Change(
        targets=(*KERNEL_CONTROLS, *PARAMETERS),
        tell=lambda asked: _revealed(asked, (*KERNEL_CONTROLS, *PARAMETERS)),
    ),
    "example": Change(
        lambda question: replace(question.asked, photo=None), ("photo",), lambda asked: [None]
    ),
    # One that is no picture is let go.
    "photo": Change(targets=("photo",), tell=lambda asked: [gr.skip() if asked.photo else None]),
}

CHANGES: dict[str, Change] = {
    name: _SPECIAL.get(name, Change())
    for name in sorted({*Asked.__dataclass_fields__, *_SPECIAL, CLEARED})
}
"""Every control's change, by its name."""
