"""A layer of an open file as the JSON that the page's viewer draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from plotly.io.json import to_json_plotly

from ..inspection import LayerInspection, LayerRun
from ..inspection.told import squares, told_of_run, told_of_weights
from ..sampling import Sampling
from ..viewer import ViewState
from ..viewer.scene import scene
from ..viewer.stack import below
from .numbers import Kept, downloads_part, numbers_part
from .opened import Opened, OpenFile


def draw_layer(
    opened: Opened, *, state: ViewState | None = None, beside: Opened | None = None, ask: str = ""
) -> str | None:
    """What the viewer draws, or None where the layer has no pattern to draw.

    Args:
        opened: at the layer that is looked at.
        state: what the viewer opens with; without one it keeps its own: pin, zoom and layers.
        beside: the same at what is kept as B.
        ask: a word that tells this view from the same one asked for before.
    """
    view = _view(opened.shown, opened.layer)
    if view is None:
        return None
    if state is not None:
        view["state"] = state.json()
    kept = None if beside is None else _view(beside.shown, beside.layer)
    if beside is not None and kept is not None:
        name = f"{beside.shown.name}: {kept['header']['name']}"
        view["kept"] = {**kept, "header": {**kept["header"], "name": name}}
        view["ask"] = ask
    text: str = to_json_plotly(view)
    return text


def _view(file: OpenFile, index: int) -> dict[str, Any] | None:
    row = file.rows[index]
    if isinstance(row, LayerRun):
        return _of_run(file, row, index)
    return _of_weights(file, row)


def _of_run(file: OpenFile, row: LayerRun, index: int) -> dict[str, Any]:
    assert file.run is not None
    pixels = file.run.photo
    before = [one.sampling for one in file.run.layers[:index]]
    data = [numbers_part(Kept(sampling, pixels)) for sampling in before]
    told = told_of_run(row)
    return {
        **_drawn(file, row.sampling, pixels, told),
        "id": f"{file.name} | {row.sampling.name}",
        "below": below(before, data),
    }


def _of_weights(file: OpenFile, row: LayerInspection) -> dict[str, Any] | None:
    if row.sampling is None:
        return None
    layer = row.layer
    told = told_of_weights(row)
    return {
        **_drawn(file, row.sampling, squares(row.sampling.input_size), told),
        "id": f"{file.name} | {layer.name} | {layer.family} | {layer.order}",
    }


def _drawn(
    file: OpenFile, sampling: Sampling, pixels: np.ndarray, told: dict[str, Any]
) -> dict[str, Any]:
    kept = Kept(sampling, pixels, told)
    parts = {"data": numbers_part(kept), "downloads": downloads_part(kept)}
    status = f"{file.name}: {told['status']}"
    return {**scene(sampling, pixels), **told, "status": status, **parts}
