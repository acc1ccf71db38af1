"""The Explore tab's jobs for programs: named, typed endpoints that give JSON or NPZ."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from .. import examples
from ..explore import (
    GUIDE_NAMES,
    MASK_NAMES,
    OFFSETS,
    OPERATORS,
    PARAMETER_NAMES,
    Exploration,
)
from ..explore.learned import NETWORKS
from ..export import save_npz
from ..geometry import Pair
from ..kernels import KERNELS
from ..operators.spatial_shift import BORDERS, DIRECTIONS
from .asked import Asked, five_ways, run
from .guard import clear_errors
from .turns import DEVICE
from .view import summary

_NAMES = list(Asked.__dataclass_fields__)


def add_endpoints(controls: dict[str, Any], device: str) -> None:
    """Add /explore, /sampling, /compare_shifts and /options to the page.

    The first three take the tab's own controls by name, checked by the same components; what a
    caller leaves out has the control's first value. The strength is a plain number, since the
    slider's range is that of the field on the page; left out, it is the field's default.
    """
    strength = gr.Number(None, visible=False, label="strength")
    inputs = [strength if name == "strength" else controls[name] for name in _NAMES]
    place = [gr.Number(None, precision=0, minimum=0, visible=False, label=name) for name in "yx"]

    def explored(*values: Any) -> dict[str, Any]:  # noqa: ANN401
        *asked, y, x = values

        def summarised() -> dict[str, Any]:
            exploration, photo = run(Asked(*asked), device)
            return summary(exploration, photo, *_position(exploration, y, x))

        return DEVICE.take(summarised)

    def sampling(*values: Any) -> Iterator[str]:  # noqa: ANN401
        exploration, _ = DEVICE.take(partial(run, Asked(*values), device))
        with tempfile.TemporaryDirectory(prefix="deformviz-") as folder:
            path = Path(folder) / "sampling.npz"
            save_npz(exploration.sampling, path)
            yield str(path)  # Gradio copies it before it comes back here

    def compare_shifts(*values: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        return [
            {"strategy": row["strategy"], "tensor": _numbers(row["tensor"]),
             "image": _numbers(row["image"])}
            for row in DEVICE.take(partial(five_ways, Asked(*values), device))["rows"]
        ]  # fmt: skip

    jobs: list[tuple[str, Callable[..., Any], list[Any], Any]] = [
        ("explore", explored, [*inputs, *place], gr.JSON(visible=False)),
        ("sampling", sampling, inputs, gr.File(visible=False)),
        ("compare_shifts", compare_shifts, inputs, gr.JSON(visible=False)),
    ]
    for name, job, takes, output in jobs:
        gr.Button(visible=False).click(
            clear_errors(_with_names(job, [*_NAMES, "y", "x"][: len(takes)])),
            takes,
            output,
            api_name=name,
            api_visibility="public",
            concurrency_id="device",
            show_progress="hidden",
        )
    gr.api(options, api_name="options")  # type: ignore[attr-defined]


def _position(exploration: Exploration, y: float | None, x: float | None) -> Pair:
    """The output position that was asked for, or the nearest; the middle where none was."""
    h, w = exploration.sampling.output_size
    row, column = (n // 2 if i is None else int(i) for i, n in ((y, h), (x, w)))
    return min(max(row, 0), h - 1), min(max(column, 0), w - 1)


def _with_names(job: Callable[..., Any], names: list[str]) -> Callable[..., Any]:
    """Give a job of `*values` the controls' names, which callers then use as keywords."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # The default only says that a caller may leave it out: the control's own value is taken then.
    parameters = [inspect.Parameter(name, kind, default=None) for name in names]
    job.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return job


def _numbers(result: dict[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in ("difference", "milliseconds")}


def _learned(operator: str) -> dict[str, Any] | None:
    """Which controls may be "learned", and of how many layers; None where there is no network."""
    row = NETWORKS.get(operator)
    return None if row is None else {"controls": list(row.asked), "layers": row.layers}


def options() -> dict[str, Any]:
    """List what there is to choose from, operators with their controls, fields with their units."""
    return {
        "examples": examples.names(),
        "operators": {
            name: {"paper": row.paper, "controls": list(row.controls), "learned": _learned(name)}
            for name, row in OPERATORS.items()
        },
        "fields": {
            name: {"unit": row.unit, "maximum": row.maximum, "default": row.default}
            for name, row in OFFSETS.items()
        },
        "weights": list(KERNELS),
        "masks": list(MASK_NAMES),
        "guides": list(GUIDE_NAMES),
        "parameters": list(PARAMETER_NAMES),
        "directions": {name: [list(way) for way in ways] for name, ways in DIRECTIONS.items()},
        "borders": {strategy: list(borders) for strategy, borders in BORDERS.items()},
    }
