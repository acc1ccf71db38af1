"""A series as text: a table for each layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .printable import printable, table

if TYPE_CHECKING:
    from .series import LayerSeries

_HEADS = {
    "static": "static px",
    "static_longest": "longest px",
    "dependence": "follows input",
    "mean": "mean px",
    "p99": "p99 px",
    "adaptive_share": "adapt",
    "moved_outside": "moved out",
    "mask_mean": "mask",
    "pattern": "pattern moved px",
    "offset_weights": "offset weights",
    "weights": "main weights",
    "offsets": "taps moved px",
    "mask": "mask changed",
    "output": "output changed",
}
"""Of the columns; others are called as they are."""

_SHARES = ("adaptive_share", "moved_outside", "offset_weights", "weights", "mask", "output")
_COUNTS = ("findings",)


def as_text(files: Sequence[str], layers: Sequence[LayerSeries], notes: Sequence[str]) -> str:
    """The files' numbers below each other; a change stands in the line of the later file."""
    parts = []
    for layer in layers:
        title = printable(layer.name) + (f", {layer.family}" if layer.family else "")
        parts.append("\n".join([title, *(f"  {line}" for line in _lines(files, layer))]))
    if not layers:
        parts.append("No deformable layer is in all of these files.")
    if notes:
        parts.append("\n".join(printable(note, most=200) for note in notes))
    return "\n\n".join(parts)


def _lines(files: Sequence[str], layer: LayerSeries) -> list[str]:
    rows = [["file"], *([printable(file)] for file in files)]
    for name, values in layer.numbers.items():
        cells = [_cell(name, value) for value in values]
        _add(rows, name, cells)
    for name, values in layer.changes.items():
        _add(rows, name, ["", *(_cell(name, value) for value in values)])
    return table(rows)


def _add(rows: list[list[str]], name: str, cells: Sequence[str]) -> None:
    """A column, unless there is nothing in it."""
    if set(cells) <= {"", "-"}:
        return
    for row, cell in zip(rows, [_HEADS.get(name, name), *cells], strict=True):
        row.append(cell)


def _cell(name: str, value: float) -> str:
    """A number for a person: shares as per cent, yes for what either is or is not.

    >>> _cell("weights", 0.0213), _cell("untrained", 1.0), _cell("static", 0.5), _cell("mean", 3e-5)
    ('2.1%', 'yes', '0.500', '3e-05')
    """
    if not math.isfinite(value):
        return "-"
    if name == "untrained":
        return "yes" if value else "no"
    if name in _COUNTS:
        return f"{value:.0f}"
    if name in _SHARES:
        return f"{100 * value:.1f}%"
    return f"{value:.3f}" if value == 0 or 0.0005 <= abs(value) < 1e4 else f"{value:.0e}"
