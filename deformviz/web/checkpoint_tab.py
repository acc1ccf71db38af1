"""The Checkpoint tab: how a file's deformable layers are read, and what is wrong with them.

Nothing in the file is executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import gradio as gr
import numpy as np
from plotly.io.json import to_json_plotly

from ..analysis import Thresholds
from ..checkpoints import FAMILIES, Layer
from ..checkpoints.family import Activation, Order, Outside
from ..geometry import Pair
from ..inspection import MAP_SIZE, Inspection, LayerInspection, inspect_checkpoint, inspect_layer
from ..viewer import ViewState
from ..viewer.facts import findings_part
from ..viewer.scene import scene
from .guard import clear_errors
from .numbers import Kept, downloads_part, numbers_part
from .viewer import viewer

COLUMNS = ("#", "layer", "family", "kernel", "groups", "order", "mask", "outside", "findings")
_NO_MASK = "none"
_RUN: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_id": "checkpoint",
    "concurrency_limit": 2,
    "trigger_mode": "always_last",
}


@dataclass(frozen=True, eq=False)
class Opened:
    """What one visitor has open."""

    inspection: Inspection
    index: int = 0

    @property
    def row(self) -> LayerInspection:
        """The layer that is looked at."""
        return self.inspection.layers[self.index]


def build() -> None:
    """Lay the tab out, and connect it."""
    opened = gr.State(None, time_to_live=3600)
    with gr.Row(elem_id="checkpoint"):
        with gr.Column(elem_id="checkpoint-controls", scale=0, min_width=272):
            file = gr.File(
                type="filepath", label="checkpoint", height=90, elem_id="checkpoint-file"
            )
            gr.HTML(_HELP, padding=False)
            readings = _reading_controls()
        with gr.Column(elem_id="checkpoint-work", scale=1, min_width=0):
            table = gr.Dataframe(
                headers=list(COLUMNS),
                interactive=False,
                show_search="search",
                max_height=220,
                elem_id="layers",
                label="deformable layers; ? marks what is assumed",
                column_widths=["44px", "30%", "16%", "8%", "8%", "11%", "10%", "9%", "18%"],
            )
            words = gr.Textbox(
                label="findings", lines=2, interactive=False, elem_id="findings", max_lines=6
            )
            view = viewer(None, "checkpoint-viewer", shares=False)
    outputs = [opened, table, words, view, *readings]
    file.upload(_open, file, outputs, **_RUN)
    file.clear(_close, None, outputs, **_RUN)
    table.select(_look, opened, outputs, **_RUN)
    for component in readings:
        component.input(_override, [opened, *readings], outputs, **_RUN)


_HELP = (
    '<p class="dv-quiet">.safetensors, .onnx, or what torch.save wrote (.pt, .pth, .ckpt, .bin). '
    "The file is listed, never executed; only its deformable layers are read. The viewer shows "
    "what the weights alone tell: the static pattern of the offsets' bias.</p>"
)


def _reading_controls() -> list[Any]:
    """How the layer is read, each to be overridden."""
    families = [row.name for row in FAMILIES]
    return [
        gr.Dropdown(families, label="family", elem_id="family", interactive=False),
        gr.Dropdown(
            list(get_args(Order)), label="channel order", elem_id="order", interactive=False
        ),
        gr.Dropdown(
            [_NO_MASK, *get_args(Activation)], label="mask", elem_id="activation", interactive=False
        ),
        gr.Dropdown(list(get_args(Outside)), label="outside", elem_id="outside", interactive=False),
        gr.Number(
            label="offset groups",
            precision=0,
            minimum=1,
            elem_id="offset-groups",
            interactive=False,
        ),
    ]


@clear_errors
def _open(path: str) -> list[Any]:
    inspection = inspect_checkpoint(path)
    if not inspection.layers:
        raise ValueError(
            f"no deformable layer of a known code base was found among the "
            f"{len(inspection.checkpoint.shapes)} tensors of {inspection.checkpoint.name}"
        )
    return _shown(Opened(inspection))


def _close() -> list[Any]:
    return [None, [], "", gr.skip(), *(gr.update(value=None, interactive=False) for _ in range(5))]


@clear_errors
def _look(opened: Opened | None, event: gr.SelectData) -> list[Any]:
    if opened is None or not event.row_value:
        raise ValueError("choose a checkpoint first")
    index = int(event.row_value[0])
    if not 0 <= index < len(opened.inspection.layers):
        raise ValueError(f"there is no layer {index}")
    return _shown(replace(opened, index=index))


@clear_errors
def _override(
    opened: Opened | None, family: str, order: str, mask: str, outside: str, groups: int | None
) -> list[Any]:
    """Read the layer as a person knows better."""
    if opened is None:
        raise ValueError("choose a checkpoint first")
    layer = opened.row.layer
    wanted = {
        "family": family,
        "order": order,
        "mask_activation": None if mask == _NO_MASK else mask,
        "outside": outside,
        "offset_groups": None if groups is None else int(groups),
    }
    changes = {name: value for name, value in wanted.items() if value != getattr(layer, name)}
    if "family" in changes:  # the others are that family's own, until they are changed in turn
        changes = {"family": family}
    read = layer.override(**changes)
    row = inspect_layer(opened.inspection.checkpoint, read, MAP_SIZE, Thresholds())
    layers = list(opened.inspection.layers)
    layers[opened.index] = row
    return _shown(replace(opened, inspection=replace(opened.inspection, layers=tuple(layers))))


def _shown(opened: Opened) -> list[Any]:
    """Everything on the tab, for what is open."""
    layer = opened.row.layer
    values = (
        layer.family,
        layer.order,
        layer.mask_activation or _NO_MASK,
        layer.outside,
        layer.offset_groups,
    )
    return [
        opened,
        [_cells(i, row) for i, row in enumerate(opened.inspection.layers)],
        _sentences(opened),
        _view(opened.row),
        *(gr.update(value=value, interactive=True) for value in values),
    ]


def _cells(index: int, row: LayerInspection) -> list[str]:
    layer = row.layer
    kinds = dict.fromkeys(found.kind for found in row.findings)
    return [
        str(index),
        layer.name,
        _marked(layer, "family", layer.family),
        _marked(layer, "kernel_size", " × ".join(map(str, layer.kernel_size))),
        _marked(layer, "offset_groups", layer.offset_groups),
        _marked(layer, "order", layer.order),
        _marked(layer, "mask_activation", layer.mask_activation or _NO_MASK),
        _marked(layer, "outside", layer.outside),
        ", ".join(kinds) or "none",
    ]


def _marked(layer: Layer, name: str, value: object) -> str:
    return f"{value} ?" if name in layer.assumed else str(value)


def _sentences(opened: Opened) -> str:
    row, notes = opened.row, opened.inspection.checkpoint.notes
    lines: Sequence[str] = [f"{found.kind}: {found.sentence}" for found in row.findings]
    lines = lines or ["No findings by the weights alone."]
    assumed = ", ".join(sorted(row.layer.assumed))
    return "\n".join(
        [
            f"{row.layer.name}, read as {row.layer.family} ({row.layer.row.source}).",
            *([f"Assumed: {assumed}; correct it on the left."] if assumed else []),
            *([row.note] if row.note else []),
            *lines,
            *notes,
        ]
    )


def _view(row: LayerInspection) -> Any:  # noqa: ANN401
    """The static pattern for the viewer, or nothing new where there is none."""
    sampling = row.sampling
    if sampling is None:
        return gr.skip()
    (kh, kw), (h, w) = sampling.kernel.size, sampling.output_size
    ground = squares(sampling.input_size)
    told = {"findings": findings_part(row.findings)}  # by the weights: the pattern is an example
    kept = Kept(sampling, ground, told)
    view = {
        **scene(sampling, ground),
        "id": f"{sampling.name} | {row.layer.family} | {row.layer.order}",
        "status": f"{sampling.name}, {kh} × {kw}, static pattern on a map of {h} × {w}",
        "notes": [],
        "checks": [],
        "state": ViewState().json(),
        "data": numbers_part(kept),
        "downloads": downloads_part(kept),
        **told,
    }
    text: str = to_json_plotly(view)
    return text


def squares(size: Pair) -> np.ndarray:
    """A map of which nothing is known but its pixels: [H, W, 3] uint8, two greys in turn."""
    rows, columns = np.indices(size)
    grey = np.where((rows + columns) % 2, 176, 188).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
