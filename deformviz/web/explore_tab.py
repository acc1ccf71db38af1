"""The Explore tab: an image, an operator, a kernel; see where it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import gradio as gr

from .. import examples
from ..explore import MAX_KERNEL, OPERATORS, Settings
from ..fields import FIELDS, MASKS
from ..guides import GUIDES
from ..images import ImageError, decode
from ..kernels import KERNELS
from ..operators.spatial_shift import BORDERS, DIRECTIONS, Border
from ..viewer import ViewState
from ..words import say
from .asked import Asked
from .drawn import draw, draw_example, open_link
from .guard import clear_errors, plain
from .link import Link, from_query
from .viewer import viewer

KERNEL_SIZES = (1, 3, 5, 7, 9, 11)
FIRST = Settings(dilation=6, mask_strength=0.3, weights="Gaussian")
"""The worked example that the page opens on."""
FIRST_IMAGE, FIRST_SIDE = "cat", 256
FIRST_STATE = ViewState(y=64, x=110)

QUIET: dict[str, Any] = {"trigger_mode": "always_last", "api_visibility": "private"}
"""How the page's own events behave: the last of a slider's steps counts, and programs have
endpoints of their own."""


# The page


def _controls() -> dict[str, Any]:
    """The left column, by the names of `Asked`."""
    c: dict[str, Any] = {}
    c["example"] = gr.Radio(
        named(examples.names()), value=FIRST_IMAGE, label=say("Image"), container=True
    )
    c["photo"] = gr.File(
        type="filepath",
        label=say("or drop a photo of your own"),
        file_types=[".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"],
        height=44,
    )
    c["operator"] = gr.Dropdown(named(OPERATORS), value=FIRST.operator, label=say("Operator"))
    size = gr.Radio(KERNEL_SIZES, value=3, label=say("Kernel"))
    c["kernel"] = size
    _parameter_controls(c)
    with gr.Accordion(say("More"), open=False):
        c["kernel_height"] = gr.Slider(1, MAX_KERNEL, 3, step=1, label=say("kernel height"))
        c["kernel_width"] = gr.Slider(1, MAX_KERNEL, 3, step=1, label=say("kernel width"))
        c["stride"] = gr.Slider(1, 8, FIRST.stride, step=1, label=say("stride"))
        c["dilation"] = gr.Slider(1, 16, FIRST.dilation, step=1, label=say("dilation"))
        c["offset_groups"] = gr.Radio(
            [1, 3],
            value=1,
            label=say("offset groups"),
            info=say("3: red moves forth, blue moves back"),
        )
        c["seed"] = gr.Number(0, precision=0, minimum=0, maximum=2**31 - 1, label=say("seed"))
        c["side"] = gr.Slider(
            32, 1024, FIRST_SIDE, step=32, label=say("working size"),
            info=say("pixels on the image's longer side"),
        )  # fmt: skip
    return c


def _parameter_controls(c: dict[str, Any]) -> None:
    """Those that only some operators have; the others hide them."""
    first = FIELDS[FIRST.field]
    c["field"] = gr.Dropdown(named(FIELDS), value=FIRST.field, label=say("Offsets"))
    c["strength"] = gr.Slider(0, first.maximum, first.default, label=_strength_label(first.unit))
    c["mask"] = gr.Dropdown(named(MASKS), value=FIRST.mask, label=say("Mask"))
    c["mask_strength"] = gr.Slider(0, 1, FIRST.mask_strength, label=say("mask strength"))
    c["guide"] = gr.Dropdown(named(GUIDES), value=FIRST.guide, label=say("Guide map"))
    c["regions"] = gr.Slider(1, 8, FIRST.regions, step=1, label=say("regions m"))
    c["generated"] = gr.Checkbox(
        FIRST.generated, label=say("filters from the paper's generator, untrained")
    )
    c["radius"] = gr.Checkbox(FIRST.radius, label=say("radius channel"))
    c["coordinate_weight"] = gr.Slider(
        -1, 1, FIRST.coordinate_weight, label=say("weight of the coordinates")
    )
    c["directions"] = gr.Dropdown(
        named(DIRECTIONS), value=FIRST.directions, label=say("Directions")
    )
    c["strategy"] = gr.Dropdown(named(BORDERS), value=FIRST.strategy, label=say("Strategy"))
    c["border"] = gr.Dropdown(named(get_args(Border)), value=FIRST.border, label=say("Border"))
    c["weights"] = gr.Dropdown(named(KERNELS), value=FIRST.weights, label=say("Weights"))


def named(names: Iterable[str]) -> list[tuple[str, str]]:
    """Choices as (what is shown, value): values, and so links and programs, stay English."""
    return [(say(name), name) for name in names]


def _shown(operator: str) -> dict[str, bool]:
    """Which of the parameter controls an operator has."""
    names = {name for row in OPERATORS.values() for name in row.controls}
    return {name: name in OPERATORS[operator].controls for name in sorted(names)}


def build(page: gr.Blocks, device: str) -> dict[str, Any]:
    """Lay the tab out on `page`, connect it, and draw the worked example when it opens.

    Returns:
        The controls, by the names of `Asked`.
    """
    with gr.Row(elem_id="explore"):
        with gr.Column(elem_id="controls", scale=0, min_width=272):
            c = _controls()
        with gr.Column(elem_id="work", scale=1, min_width=0):
            example = _first_asked(c)
            view = viewer(draw_example(example, device, FIRST_STATE))
    for name, component in c.items():
        component.elem_id = name
    for name, shown in _shown(FIRST.operator).items():
        c[name].visible = shown
    inputs = [c[name] for name in Asked.__dataclass_fields__]
    _connect(page, c, inputs, view, device)
    return c


def _first_asked(c: dict[str, Any]) -> Asked:
    return Asked(**{name: c[name].value for name in Asked.__dataclass_fields__})


@dataclass(frozen=True)
class Change:
    """What a control changes beside itself, before and after the drawing.

    One event does it all: were the drawing an event of its own, what a quick person does in
    between would be undone by it.

    Attributes:
        source: the component whose value `adjust` is given.
        adjust: (value, asked) to what is asked for now; None where that is drawn already.
        targets: the components that change, too.
        tell: asked to their new values.
    """

    source: Any
    adjust: Callable[[Any, Asked], Asked | None] = lambda value, asked: asked
    targets: tuple[Any, ...] = ()
    tell: Callable[[Asked], Sequence[Any]] = lambda asked: ()


def _changes(c: dict[str, Any], field_before: gr.State) -> dict[str, Change]:
    """Every control's change, by its name."""
    height, width = c["kernel_height"], c["kernel_width"]
    sliders = Change(
        height,
        targets=(c["kernel"],),
        tell=lambda asked: [_square(asked.kernel_height, asked.kernel_width)],
    )
    special = {
        "kernel": Change(
            c["kernel"],
            lambda size, asked: replace(asked, kernel_height=size, kernel_width=size),
            (height, width),
            lambda asked: [asked.kernel_height, asked.kernel_width],
        ),
        "kernel_height": sliders,
        "kernel_width": sliders,
        "field": Change(
            # A dropdown tells of one choice twice, and brings the strength of the field before.
            field_before,
            lambda before, asked: None if asked.field == before else replace(asked, strength=None),
            (c["strength"], field_before),
            lambda asked: [_strength_slider(asked.field), asked.field],
        ),
        "operator": Change(
            c["operator"],
            targets=(c["kernel"], *(c[name] for name in _shown(FIRST.operator))),
            tell=lambda asked: _reveal(asked.operator),
        ),
        "example": Change(
            c["example"],
            lambda name, asked: replace(asked, photo=None),
            (c["photo"],),
            lambda asked: [None],
        ),
        "photo": Change(
            c["photo"],
            lambda photo, asked: replace(asked, photo=accept_photo(photo)),
            (c["photo"],),
            lambda asked: [asked.photo],
        ),
    }
    plain_ones = Asked.__dataclass_fields__.keys() - special.keys()
    return special | {name: Change(c[name]) for name in sorted(plain_ones)}


def _connect(
    page: gr.Blocks, c: dict[str, Any], inputs: list[Any], view: gr.HTML, device: str
) -> None:
    # The device does one run at a time; the viewer alone shows that one is under way.
    running = {**QUIET, "concurrency_id": "device", "show_progress": "minimal",
               "show_progress_on": view}  # fmt: skip
    first = _first_asked(c)

    def changed(change: Change) -> Callable[..., tuple[Any, ...]]:
        @clear_errors
        def handler(request: gr.Request, value: Any, *values: Any) -> tuple[Any, ...]:  # noqa: ANN401
            asked = change.adjust(value, Asked(*values))
            if asked is None:
                return tuple(gr.skip() for _ in (view, *change.targets))
            return draw(asked, device, shown=_shown_on(request)), *change.tell(asked)

        return handler

    field_before = gr.State(FIRST.field)
    for name, change in _changes(c, field_before).items():
        listen = c["photo"].upload if name == "photo" else c[name].input
        listen(changed(change), [change.source, *inputs], [view, *change.targets], **running)

    @clear_errors
    def redraw(request: gr.Request, *values: Any) -> str:  # noqa: ANN401
        return draw(Asked(*values), device, shown=_shown_on(request))

    c["photo"].clear(redraw, inputs, view, **running)

    @clear_errors
    def follow_link(request: gr.Request) -> dict[Any, Any]:
        """Open what the address asks for; without a query, the example is there already."""
        query = dict(request.query_params)
        if all(name.startswith("__") for name in query):  # Gradio's own, such as the theme
            return {view: gr.skip()}  # an empty answer would be taken for a missing one
        link = from_query(query, first)
        try:
            text = open_link(link, device)
        except ValueError as error:  # each value was allowed, together they are not
            link = Link(first, ViewState(), None, (f"the link cannot be opened: {error}",))
            text = open_link(link, device)
        return {view: text, field_before: link.asked.field} | _set_controls(c, link.asked)

    page.load(follow_link, None, [view, field_before, *c.values()], **running)


def _shown_on(request: gr.Request) -> ViewState:
    """What the page shows, by its address."""
    return ViewState.from_query(dict(request.query_params))[0]


def _set_controls(c: dict[str, Any], asked: Asked) -> dict[Any, Any]:
    """Every control as `asked` has it, and as its operator needs it."""
    kernel = c["kernel"]
    targets = [kernel, *(c[name] for name in _shown(asked.operator))]
    updates = dict(zip(targets, _reveal(asked.operator), strict=True))
    for name in Asked.__dataclass_fields__.keys() - {"photo"}:
        updates[c[name]] = updates.get(c[name], gr.update()) | {"value": getattr(asked, name)}
    updates[kernel] |= {"value": _square(asked.kernel_height, asked.kernel_width)}
    updates[c["strength"]] |= _strength_slider(asked.field, asked.strength)
    return updates


def _square(height: int, width: int) -> int | None:
    """The button of a square kernel's size, or none of them."""
    return height if height == width and height in KERNEL_SIZES else None


def _strength_slider(field: str, value: float | None = None) -> dict[str, Any]:
    """The slider in the field's own unit, at the field's default where no value is given."""
    row = FIELDS[field]
    return gr.update(
        minimum=min(0, value or 0),  # a link may have the field the other way round
        maximum=row.maximum,
        value=row.default if value is None else value,
        label=_strength_label(row.unit),
        interactive=field != "zero",
    )


def _strength_label(unit: str) -> str:
    return say("strength, {unit}", unit=say(unit)) if unit else say("strength")


def _reveal(operator: str) -> list[Any]:
    """Show the parameters that the operator has, and what its kernel's size means."""
    has_weights = "weights" in OPERATORS[operator].controls
    label = say("Kernel") if has_weights else say("Kernel: shifts reach half")
    return [
        gr.update(label=label),
        *(gr.update(visible=shown) for shown in _shown(operator).values()),
    ]


def accept_photo(photo: str) -> str | None:
    """Keep an upload that is a picture; of another, say why and let it go."""
    try:
        decode(photo, max_side=FIRST_SIDE)
    except ImageError as error:
        title = say("Not a picture that can be read")
        gr.Warning(plain(say(str(error))), title=title, duration=20)
        return None
    return photo
