"""The Checkpoint tab: what a trained network's deformable layers do, and what is wrong with them.

Nothing in a file is executed. Opens on a made-up network, so that there is something to see.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, get_args

import gradio as gr

from .. import examples
from ..checkpoints import FAMILIES
from ..checkpoints.family import Activation, Order, Outside
from ..words import say
from . import checkpoint_jobs as jobs
from .checkpoint_jobs import NO_MASK, PHOTO_SUFFIXES, READINGS, Told
from .explore_tab import named
from .guard import clear_errors
from .layer_table import layer_table
from .opened import OPENINGS
from .opening import OnPhoto
from .viewer import viewer

_HELP = (
    "Drop .safetensors or what torch.save wrote (.pt, .pth, .ckpt, .bin) and "
    "see each deformable layer, how its channels are read, its static pattern and what is wrong "
    "with it. Several epochs make a timeline. An .onnx, alone or with a photo, also runs, which "
    "shows how its offsets follow the content. Nothing in a file is executed."
)
_LABELS = {
    "order": "channel order",
    "mask_activation": "mask",
    "offset_groups": "offset groups",
}


def build() -> None:
    """Lay the tab out, and connect it."""
    first = jobs.shown(jobs.example_opened(), fresh=True)
    # A name alone, for as long as the page is open; what it stands for is bounded where it is kept.
    session = gr.State(None, delete_callback=OPENINGS.drop)
    with gr.Row(elem_id="checkpoint"):
        with gr.Column(elem_id="checkpoint-controls", scale=0, min_width=272):
            controls = _file_controls() | _photo_controls(first) | _reading_controls(first)
        with gr.Column(elem_id="checkpoint-work", scale=1, min_width=0):
            work = _work(first)
    _connect({"session": session, **controls, **work})


def _file_controls() -> dict[str, Any]:
    file = gr.File(
        file_count="multiple",
        type="filepath",
        label=say("a checkpoint, or several epochs"),
        height=96,
        elem_id="checkpoint-file",
    )
    with gr.Row(elem_id="made-up"):
        network = gr.Button(say("made-up network"), size="sm", elem_id="made-up-network")
        epochs = gr.Button(say("made-up epochs"), size="sm", elem_id="made-up-epochs")
    gr.HTML(f'<p class="dv-quiet">{say(_HELP)}</p>', padding=False)
    return {"file": file, "made_up_network": network, "made_up_epochs": epochs}


def _photo_controls(shown: Told) -> dict[str, Any]:
    """What a network runs on; shown when there is one."""
    first = OnPhoto()
    with gr.Column(elem_id="checkpoint-photo", **_as_arguments(shown["photo_box"])) as box:
        example = gr.Radio(
            named(examples.names()),
            value=first.example,
            label=say("photo"),
            elem_id="run-example",
        )
        photo = gr.File(
            type="filepath",
            label=say("or drop a photo of your own"),
            file_types=list(PHOTO_SUFFIXES),
            height=44,
            elem_id="run-photo",
        )
        normalisation = gr.Dropdown(
            ["unit", "signed", "imagenet"],
            value=str(first.normalisation),
            label=say("normalisation"),
            info=say("unit: 0 to 1; signed: −1 to 1"),
            elem_id="normalisation",
        )
        side = gr.Slider(
            64,
            1024,
            first.side,
            step=32,
            label=say("working size"),
            info=say("pixels on the longer side, where the file leaves it open"),
            elem_id="run-side",
        )
    return {
        "photo_box": box,
        "photo": photo,
        "example": example,
        "side": side,
        "normalisation": normalisation,
    }


def _reading_controls(first: Told) -> dict[str, Any]:
    """How the layer is read, each to be overridden; the graph of an .onnx leaves nothing open."""
    choices = {
        "family": [row.name for row in FAMILIES],
        "order": list(get_args(Order)),
        "mask_activation": [NO_MASK, *get_args(Activation)],
        "outside": list(get_args(Outside)),
    }
    with gr.Column(elem_id="readings", **_as_arguments(first["reading_box"])) as box:
        c: dict[str, Any] = {
            name: gr.Dropdown(
                named(options),
                label=say(_LABELS.get(name, name)),
                elem_id=name,
                **_as_arguments(first[name]),
            )
            for name, options in choices.items()
        }
        c["offset_groups"] = gr.Number(
            label=say(_LABELS["offset_groups"]),
            precision=0,
            minimum=1,
            elem_id="offset_groups",
            **_as_arguments(first["offset_groups"]),
        )
    return {"reading_box": box, **c}


def _work(first: Told) -> dict[str, Any]:
    """The files, the table beside the timeline, the words, the viewer."""
    start = {name: _as_arguments(value) for name, value in first.items()}
    with gr.Row(elem_id="checkpoint-files"):
        files = gr.Radio(label=say("file"), container=False, elem_id="files", **start["files"])
        compare = gr.Button(size="sm", elem_id="compare-files", **start["compare"])
    with gr.Row(elem_id="checkpoint-tables"):
        with gr.Column(scale=3, min_width=0):
            table = layer_table(first["table"], "layers")
            words = gr.HTML(first["words"], elem_id="words", padding=False)
        with gr.Column(
            scale=2, min_width=0, elem_id="timeline-box", **start["timeline_box"]
        ) as box:
            measure = gr.Dropdown(
                label=say("over the files"), container=False, elem_id="measure", **start["measure"]
            )
            plot = gr.HTML(first["timeline"], elem_id="timeline", padding=False)
    view = viewer(first["view"], "checkpoint-viewer", shares=False)
    return {
        "files": files,
        "compare": compare,
        "table": table,
        "timeline_box": box,
        "measure": measure,
        "timeline": plot,
        "words": words,
        "view": view,
    }


def _as_arguments(update: object) -> Told:
    """An update as what a component is made with."""
    if not isinstance(update, dict):
        return {}
    return {name: value for name, value in update.items() if name != "__type__"}


def _connect(c: dict[str, Any]) -> None:
    """Connect every event; what a job tells goes to the components of these names."""
    outputs = list(c.values())
    known = [c["session"], c["measure"]]
    on_photo = [*known, *(c[name] for name in OnPhoto.__dataclass_fields__)]
    private: dict[str, Any] = {"api_visibility": "private"}
    # Two at once that read or run files; whoever only looks does not wait for them.
    busy = {
        **private,
        "concurrency_id": "checkpoint",
        "concurrency_limit": 2,
        "show_progress": "full",
        "show_progress_on": c["view"],
    }
    quick = {**private, "concurrency_limit": 4, "trigger_mode": "always_last",
             "concurrency_id": "checkpoint-look", "show_progress": "hidden"}  # fmt: skip

    def on(listen: Callable[..., Any], job: Callable[..., Told], inputs: list[Any],
           how: dict[str, Any]) -> None:  # fmt: skip
        @functools.wraps(job)
        def handler(*values: Any) -> dict[Any, Any]:  # noqa: ANN401
            return {c[name]: value for name, value in job(*values).items()}

        listen(clear_errors(handler), inputs, outputs, **how)

    on(c["file"].upload, jobs.open_job, [c["file"], *on_photo], busy)
    on(c["file"].delete, jobs.delete_job, [c["file"], *on_photo], busy)
    on(c["file"].clear, jobs.example_job, known, quick)
    on(c["made_up_network"].click, jobs.example_job, known, quick)
    on(c["made_up_epochs"].click, jobs.epochs_job, known, quick)
    on(c["table"].select, jobs.look_job, known, quick)
    on(c["files"].input, jobs.file_job, [*known, c["files"]], quick)
    on(c["compare"].click, jobs.compare_job, known, quick)
    on(c["measure"].input, jobs.measure_job, known, quick)
    for name in READINGS:
        on(c[name].input, jobs.override_job, [*known, *(c[n] for n in READINGS)], quick)
    on(c["example"].input, jobs.example_photo_job, on_photo, busy)
    on(c["photo"].upload, jobs.photo_job, on_photo, busy)
    for listen in (c["photo"].clear, c["normalisation"].input, c["side"].release):
        on(listen, jobs.photo_job, on_photo, busy)
