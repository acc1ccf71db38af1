"""The table of a file's layers as HTML: names elided, what is assumed marked, findings coloured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr

from ..analysis import Finding
from ..checkpoints import Layer, Verified
from ..inspection import LayerInspection, LayerRun
from ..inspection.printable import printable
from ..words import say
from .opened import OpenFile

_SCRIPT = Path(__file__).parent / "static" / "table.js"
_NO_MASK = "none"
_ASSUMED = "assumed: neither names nor shapes settle it; correct it on the left"

Cell = tuple[str, str, str]
"""Text, title and class, none of them escaped."""

_OF_WEIGHTS = {
    "family": "the code base that names its tensors so",
    "kernel": "",
    "groups": "offset groups",
    "order": "of the offset channels",
    "mask": "its activation",
    "outside": "what points off the map read",
    "findings": "by the weights alone",
}
_OF_RUN = {
    "family": "the code base that names its tensors so",
    "kernel": "",
    "groups": "offset groups",
    "map": "pixels of the map that is read",
    "mean": "length of the offsets, pixels of the map",
    "99 %": "of the offsets are shorter, pixels of the map",
    "dilation": "effective: mean distance between neighbouring taps, d for a regular dilation of d",
    "order": "verified where the layer's output, recomputed from these offsets, is the network's",
    "findings": "on this photo",
}
_WIDE = {"groups", "outside", "99 %"}
"""Columns that a narrow screen leaves out."""


def layer_table(value: str, elem_id: str) -> gr.HTML:
    """The component; `select` tells the number of a row."""
    return gr.HTML(
        value,
        html_template=f'<div class="dv-layers"><input type="search" placeholder="{say("search")}" '
        f'aria-label="{say("search the layers")}" hidden>'
        '<div class="dv-rows">${value}</div></div>',
        js_on_load=_SCRIPT.read_text(encoding="utf-8"),
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
    )


def table_html(file: OpenFile, chosen: int) -> str:
    """The rows of a file.

    Args:
        file: what is open.
        chosen: the row that is looked at.
    """
    columns, cells = _OF_WEIGHTS, [_of_weights(row) for row in file.found]
    if file.run is not None:
        columns, cells = _OF_RUN, [_of_run(row) for row in file.run.layers]
    head = "".join(_head(name, title) for name, title in {"layer": "", **columns}.items())
    body = "".join(
        _row(i, name, told, list(columns), i == chosen)
        for i, (name, told) in enumerate(zip(file.names, cells, strict=True))
    )
    return (
        f'<table aria-label="{say("deformable layers")}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def elided(name: str, most: int = 30) -> str:
    """A long name without its middle, as its ends tell layers apart.

    >>> elided("backbone.layer3.0.conv2", 12)
    'backb…conv2'
    """
    return printable(name, most)


def _head(name: str, title: str) -> str:
    wide = ' class="dv-wide"' if name in _WIDE else ""
    return f'<th scope="col"{wide} title="{escape(say(title))}">{escape(say(name))}</th>'


def _row(index: int, name: str, cells: Sequence[Cell], columns: Sequence[str], chosen: bool) -> str:
    told = "".join(
        f'<td class="{kind}{" dv-wide" if column in _WIDE else ""}" title="{escape(title)}">'
        f"{escape(text)}</td>"
        for column, (text, title, kind) in zip(columns, cells, strict=True)
    )
    full = escape(printable(name, 1000))
    return (
        f'<tr data-index="{index}" aria-selected="{str(chosen).lower()}">'
        f'<th scope="row"><button type="button" title="{full}" aria-pressed="{str(chosen).lower()}"'
        f' data-name="{full}">{escape(elided(name))}</button></th>{told}</tr>'
    )


def _of_weights(row: LayerInspection) -> list[Cell]:
    layer = row.layer
    return [
        _marked(layer, "family", layer.family),
        _marked(layer, "kernel_size", " × ".join(map(str, layer.kernel_size))),
        _marked(layer, "offset_groups", layer.offset_groups),
        _marked(layer, "order", layer.order),
        _marked(layer, "mask_activation", say(layer.mask_activation or _NO_MASK)),
        _marked(layer, "outside", say(layer.outside)),
        _found(row.findings),
    ]


def _of_run(row: LayerRun) -> list[Cell]:
    s, numbers, layer = row.sampling, row.report.statistics, row.layer
    unknown = say("this file names its tensors in no known way")
    family = (say("by the graph"), unknown, "dv-quiet")
    return [
        family if layer is None else _marked(layer, "family", layer.family),
        (" × ".join(map(str, s.kernel.size)), "", ""),
        (str(s.groups), "", ""),
        (" × ".join(map(str, s.input_size)), "", ""),
        _number(numbers.mean, " px"),
        _number(numbers.p99, " px"),
        _number(numbers.dilation, ""),
        _checked(row.verified, row.note),
        _found(row.report.findings),
    ]


def _marked(layer: Layer, name: str, value: object) -> Cell:
    if name in layer.assumed:
        return f"{value} ?", say(_ASSUMED), "dv-assumed"
    return str(value), "", ""


def _number(value: float, unit: str) -> Cell:
    return ("–" if math.isnan(value) else f"{value:.2f}{unit}", "", "dv-number")


def _checked(verified: Verified | None, note: str) -> Cell:
    if verified is None:
        return say("not verified"), say(note), "dv-quiet"
    mark = "✓" if verified.ok else "?" if verified.matches else "✗"
    kind = "dv-sound" if verified.ok else "dv-warning" if verified.matches else "dv-error"
    return f"{mark} {verified.difference:.0e}", say(str(verified)), kind


def _found(findings: Sequence[Finding]) -> Cell:
    if not findings:
        return say("none"), "", "dv-quiet"
    kinds = dict.fromkeys(found.kind for found in findings)
    worst = next(s for s in ("error", "warning", "info") if any(f.severity == s for f in findings))
    text = say(", ").join(say(kind) for kind in kinds)
    return text, "\n".join(say(found.sentence) for found in findings), f"dv-{worst}"
