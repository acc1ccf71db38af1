"""An inspection and a run as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..checkpoints import Layer
from .printable import printable, table

if TYPE_CHECKING:
    from .network import LayerRun, NetworkRun
    from .weights import Inspection

_COLUMNS: dict[str, str] = {
    "layer": "name",
    "family": "family",
    "kernel": "kernel_size",
    "groups": "offset_groups",
    "order": "order",
    "mask": "mask_activation",
    "outside": "outside",
}


def inspection_text(inspection: Inspection) -> str:
    """A table of the layers, in which "?" marks what is assumed, and a line for each finding."""
    checkpoint = inspection.checkpoint
    lines = [", ".join([printable(checkpoint.name), checkpoint.kind, *checkpoint.notes])]
    if not inspection.layers:
        return f"{lines[0]}\nNo deformable layer of a known code base was found."
    lines += [*readings([row.layer for row in inspection.layers]), ""]
    lines += [
        f"{found.severity} {printable(row.layer.name)}: {found.kind}. {found.sentence}"
        for row in inspection.layers
        for found in row.findings
    ]
    return "\n".join(lines).rstrip()


def network_text(run: NetworkRun, width: int) -> str:
    """How the layers are read, whether that is verified, what they did, and the findings."""
    h, w = run.photo.shape[:2]
    lines = [", ".join([printable(run.name), f"on a photo of {h} x {w}"])]
    known = [row.layer for row in run.layers if row.layer is not None]
    lines += readings(list({layer.name: layer for layer in [*known, *run.not_run]}.values()))
    lines += ["", *verified_lines(run.layers)]
    notes = list(run.notes)
    notes += [f"{row.sampling.name}: {row.note}" for row in run.layers if row.note]
    notes += [f"{layer.name}: no call of it was recorded." for layer in run.not_run]
    lines += wrapped(notes, width)
    return "\n".join([*lines, "", run.report.to_text(width)])


def readings(layers: Sequence[Layer]) -> list[str]:
    """A table of how layers are read, in which "?" marks what is assumed."""
    if not layers:
        return []
    lines = table([list(_COLUMNS), *map(_cells, layers)])
    if any(layer.assumed & set(_COLUMNS.values()) for layer in layers):
        lines.append("? assumed: neither names nor shapes settle it")
    return lines


def _cells(layer: Layer) -> list[str]:
    """The layer in the table's columns."""
    return [
        _text(getattr(layer, name)) + ("?" if name in layer.assumed else "")
        for name in _COLUMNS.values()
    ]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " x ".join(map(str, value))
    return "none" if value is None else printable(str(value))


def verified_lines(rows: Sequence[LayerRun]) -> list[str]:
    """All that are verified in one line, then each that is not."""
    checked = [(row.sampling.name, row.verified) for row in rows if row.verified is not None]
    sure = [one.difference for _, one in checked if one.ok]
    lines = [f"{printable(name)}: {one}" for name, one in checked if not one.ok]
    if sure:
        each = "the layer" if len(rows) == 1 else f"{len(sure)} of {len(rows)} layers"
        lines.insert(0, f"order verified: {each}, difference {max(sure):.0e}")
    gaps = [row.reread.difference for row in rows if row.reread and row.reread.matches]
    if gaps:
        each = f"{len(gaps)} of {len(rows)} layers"
        lines.append(
            f"file read right: its offset weights give these taps, {each}, "
            f"difference {max(gaps):.0e} px"
        )
    return lines


def wrapped(notes: Iterable[str], width: int) -> list[str]:
    """Notes in lines of so many columns, harmless for a terminal."""
    lines = []
    for note in notes:
        lines += textwrap.wrap(printable(note, most=400), width, subsequent_indent=8 * " ")
    return lines
