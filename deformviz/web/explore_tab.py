"""The Explore tab: an image, an operator, a kernel; see where it reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any, get_args

import gradio as gr

from .. import examples
from ..explore import (
    GUIDE_NAMES,
    LEARNED_LAYERS,
    MASK_NAMES,
    MAX_KERNEL,
    OFFSETS,
    OPERATORS,
    PARAMETER_NAMES,
    Settings,
)
from ..kernels import KERNELS
from ..operators.spatial_shift import BORDERS, DIRECTIONS, Border
from ..viewer import ViewState
from ..words import say
from .asked import Asked
from .asking import tell
from .changes import (
    CHANGES,
    CLEARED,
    KERNEL_SIZES,
    reveal,
    shown,
    square,
    strength_label,
    strength_slider,
)
from .drawn import draw_example, open_link
from .guard import clear_errors
from .link import Link, from_query
from .turns import DEVICE
from .viewer import viewer

FIRST = Settings(dilation=6, mask_strength=0.3, weights="Gaussian")
"""The worked example that the page opens on."""
FIRST_IMAGE, FIRST_SIDE = "cat", 256
FIRST_STATE = ViewState(y=64, x=110)

QUIET: dict[str, Any] = {"trigger_mode": "always_last", "api_visibility": "private"}
"""How the page's own events behave: the last of a slider's steps counts, and programs have
endpoints of their own."""

_ASK = """async (value, ...values) => {
  await window.deformvizScript;
  return window.deformviz.ask(NAME, value, values);
}"""


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
    first = OFFSETS[FIRST.field]
    c["field"] = gr.Dropdown(named(OFFSETS), value=FIRST.field, label=say("Offsets"))
    c["strength"] = gr.Slider(0, first.maximum, first.default, label=strength_label(first.unit))
    c["mask"] = gr.Dropdown(named(MASK_NAMES), value=FIRST.mask, label=say("Mask"))
    c["mask_strength"] = gr.Slider(0, 1, FIRST.mask_strength, label=say("mask strength"))
    c["guide"] = gr.Dropdown(named(GUIDE_NAMES), value=FIRST.guide, label=say("Guide map"))
    c["parameters"] = gr.Radio(
        named(PARAMETER_NAMES), value=FIRST.parameters, label=say("Parameters"), container=True
    )
    c["learned_layer"] = gr.Radio(
        list(range(1, LEARNED_LAYERS + 1)),
        value=FIRST.learned_layer,
        label=say("Layer of the network"),
    )
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
    for name, visible in shown(FIRST).items():
        c[name].visible = visible
    _connect(page, c, view, device)
    return c


def _first_asked(c: dict[str, Any]) -> Asked:
    return Asked(**{name: c[name].value for name in Asked.__dataclass_fields__})


def _connect(page: gr.Blocks, c: dict[str, Any], view: gr.HTML, device: str) -> None:
    names = list(Asked.__dataclass_fields__)
    inputs = [c[name] for name in names]
    for name, change in CHANGES.items():
        event = {"photo": "upload", CLEARED: "clear"}.get(name, "input")
        source = c["photo" if name == CLEARED else name]
        script = _ASK.replace("NAME", json.dumps(name))
        targets = [c[target] for target in change.targets]
        getattr(source, event)(None, [source, *inputs], targets, js=script, **QUIET)
    # Whatever a question ends in is told as Gradio tells it.
    view.submit(tell, None, None, show_progress="hidden", **QUIET)
    first = _first_asked(c)

    @clear_errors
    def follow_link(request: gr.Request) -> dict[Any, Any]:
        """Open what the address asks for; without a query, the example is there already."""
        query = dict(request.query_params)
        if all(name.startswith("__") for name in query):  # Gradio's own, such as the theme
            return {view: gr.skip()}  # an empty answer would be taken for a missing one
        link = from_query(query, first)
        try:
            text = DEVICE.take(partial(open_link, link, device))
        except ValueError as error:  # each value was allowed, together they are not
            link = Link(first, ViewState(), None, (f"the link cannot be opened: {error}",))
            text = DEVICE.take(partial(open_link, link, device))
        return {view: text} | _set_controls(c, link.asked)

    # The viewer alone shows that a run is under way.
    running = {**QUIET, "concurrency_id": "device", "show_progress": "minimal",
               "show_progress_on": view}  # fmt: skip
    page.load(follow_link, None, [view, *c.values()], **running)


def _set_controls(c: dict[str, Any], asked: Asked) -> dict[Any, Any]:
    """Every control as `asked` has it, and as its operator needs it."""
    updates = {c[name]: update for name, update in reveal(asked.settings).items()}
    for name in Asked.__dataclass_fields__.keys() - {"photo"}:
        updates[c[name]] = updates.get(c[name], gr.update()) | {"value": getattr(asked, name)}
    updates[c["kernel"]] |= {"value": square(asked.kernel_height, asked.kernel_width)}
    updates[c["strength"]] |= strength_slider(asked.field, asked.strength)
    return updates
