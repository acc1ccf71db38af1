"""What is said of the layer that is looked at, as HTML: how it is read, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..analysis import Finding
from ..inspection import LayerRun
from ..inspection.printable import printable
from .opened import Opened

_MOST = 12
"""Findings that are listed; the table has all kinds."""

_MARKS = {"error": "✗", "warning": "!", "info": "i"}


def words_html(opened: Opened) -> str:
    """The layer's reading, its findings, and what else is to be known of the files."""
    row = opened.shown.rows[opened.layer]
    if isinstance(row, LayerRun):
        findings, where = row.report.findings, "on this photo"
        lines = [_read_by_run(row)]
    else:
        findings, where = row.findings, "by the weights alone"
        layer = row.layer
        lines = [
            _bold(layer.name) + f", read as {escape(layer.family)} ({_safe(layer.row.source)})."
        ]
        if layer.assumed:
            assumed = ", ".join(sorted(layer.assumed)).replace("_", " ")
            lines.append(f"Assumed: {escape(assumed)}; correct it with the controls.")
        if row.sampling is None:
            lines.append(f"{_safe(row.note)} The picture still shows another layer.")
    inspection = opened.shown.inspection
    notes = [*(inspection.checkpoint.notes if inspection else ()), opened.series_note]
    lines += [_safe(note) + "." * (not note.endswith(".")) for note in notes if note]
    return (
        f"<p>{' '.join(lines)}</p>{_listed(findings, where)}"
        + "".join(f'<p class="dv-error">{_safe(p)}</p>' for p in opened.problems)
        + _series_notes(opened)
    )


def _read_by_run(row: LayerRun) -> str:
    name = _bold(row.sampling.name)
    if row.verified is None:
        return f"{name} ran on the photo. {_safe(row.note)}"
    return f"{name} ran on the photo: {_safe(str(row.verified))}. {_safe(row.note)}"


def _listed(findings: Sequence[Finding], where: str) -> str:
    if not findings:
        return f'<p class="dv-quiet">No findings {where}.</p>'
    items = "".join(
        f'<li class="dv-{found.severity}"><b>{_MARKS[found.severity]} {escape(found.kind)}</b> '
        f"{_safe(found.sentence)}</li>"
        for found in findings[:_MOST]
    )
    more = len(findings) - _MOST
    return f"<ul>{items}</ul>" + (f"<p>and {more} more findings</p>" if more > 0 else "")


def _series_notes(opened: Opened) -> str:
    notes = opened.series.notes if opened.series is not None else ()
    if not notes:
        return ""
    items = "".join(f"<li>{_safe(note)}</li>" for note in notes[:_MOST])
    return f"<details><summary>layers that not all files have</summary><ul>{items}</ul></details>"


def _bold(name: str) -> str:
    return f"<b>{_safe(name)}</b>"


def _safe(text: str) -> str:
    return escape(printable(text, 600))
