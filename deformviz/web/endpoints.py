"""The Explore tab's jobs for programs: named, typed endpoints that give JSON or NPZ."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from ..explore import OPERATORS
from ..export import save_npz
from ..fields import FIELDS
from ..operators.spatial_shift import BORDERS
from .asked import Asked, five_ways, position, run
from .guard import clear_errors
from .view import summary

_STRENGTH = list(Asked.__dataclass_fields__).index("strength")


def add_endpoints(inputs: list[Any], device: str) -> None:
    """Add /explore, /sampling, /compare_shifts and /options to the page.

    The first three take the tab's own controls by name, checked by the same components; what a
    caller leaves out has the control's first value. The strength is a plain number, since the
    slider's range is that of the field on the page; left out, it is the field's default.
    """
    strength = gr.Number(None, visible=False, label="strength")
    inputs = [strength if i == _STRENGTH else control for i, control in enumerate(inputs)]

    def explored(*values: Any) -> dict[str, Any]:  # noqa: ANN401
        asked = Asked(*values)
        exploration, photo = run(asked, device)
        return summary(exploration, photo, *position(asked, exploration))

    def sampling(*values: Any) -> Iterator[str]:  # noqa: ANN401
        exploration, _ = run(Asked(*values), device)
        with tempfile.TemporaryDirectory(prefix="deformviz-") as folder:
            path = Path(folder) / "sampling.npz"
            save_npz(exploration.sampling, path)
            yield str(path)  # Gradio copies it before it comes back here

    def compare_shifts(*values: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        return [
            {"strategy": row["strategy"], "tensor": _numbers(row["tensor"]),
             "image": _numbers(row["image"])}
            for row in five_ways(Asked(*values), device)["rows"]
        ]  # fmt: skip

    jobs: list[tuple[str, Callable[..., Any], Any]] = [
        ("explore", explored, gr.JSON(visible=False)),
        ("sampling", sampling, gr.File(visible=False)),
        ("compare_shifts", compare_shifts, gr.JSON(visible=False)),
    ]
    for name, job, output in jobs:
        gr.Button(visible=False).click(
            clear_errors(_with_names(job)),
            inputs,
            output,
            api_name=name,
            api_visibility="public",
            concurrency_id="device",
            show_progress="hidden",
        )
    gr.api(options, api_name="options")  # type: ignore[attr-defined]


def _with_names(job: Callable[..., Any]) -> Callable[..., Any]:
    """Give a job of `*values` the controls' names, which callers then use as keywords."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # The default only says that a caller may leave it out: the control's own value is taken then.
    names = [inspect.Parameter(name, kind, default=None) for name in Asked.__dataclass_fields__]
    job.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
    return job


def _numbers(result: dict[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in ("difference", "milliseconds")}


def options() -> dict[str, Any]:
    """List the operators with their controls and papers, the fields with their units, and more."""
    return {
        "operators": {
            name: {"paper": row.paper, "controls": list(row.controls)}
            for name, row in OPERATORS.items()
        },
        "fields": {
            name: {"unit": row.unit, "maximum": row.maximum, "default": row.default}
            for name, row in FIELDS.items()
        },
        "borders": {strategy: list(borders) for strategy, borders in BORDERS.items()},
    }
