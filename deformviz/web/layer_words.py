"""What is said of the layer that is looked at, as HTML: how it is read, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..analysis import Finding
from ..inspection import LayerRun
from ..inspection.printable import printable
from ..words import say
from .opened import Opened

_MOST = 12
"""Findings that are listed; the table has all kinds."""

_MARKS = {"error": "✗", "warning": "!", "info": "i"}


def words_html(opened: Opened) -> str:
    """The layer's reading, its findings, and what else is to be known of the files."""
    row = opened.shown.rows[opened.layer]
    if isinstance(row, LayerRun):
        findings, nothing = row.report.findings, say("No findings on this photo.")
        lines = [_read_by_run(row)]
    else:
        findings, nothing = row.findings, say("No findings by the weights alone.")
        layer = row.layer
        lines = [
            say(
                "{layer}, read as {family} ({source}).",
                layer=_bold(layer.name),
                family=escape(layer.family),
                source=_safe(layer.row.source),
            )
        ]
        if layer.assumed:
            names = [say(name.replace("_", " ")) for name in sorted(layer.assumed)]
            assumed = escape(say(", ").join(names))
            lines.append(say("Assumed: {names}; correct it with the controls.", names=assumed))
        if row.sampling is None:
            lines += [_safe(row.note), say("The picture still shows another layer.")]
    inspection = opened.shown.inspection
    notes = [*(inspection.checkpoint.notes if inspection else ()), opened.series_note]
    lines += [_ended(_safe(note)) for note in notes if note]
    return (
        f"<p>{' '.join(lines)}</p>{_listed(findings, nothing)}"
        + "".join(f'<p class="dv-error">{_safe(p)}</p>' for p in opened.problems)
        + _series_notes(opened)
    )


def _read_by_run(row: LayerRun) -> str:
    name = _bold(row.sampling.name)
    if row.verified is None:
        told = say("{layer} ran on the photo.", layer=name)
    else:
        verified = _safe(str(row.verified))
        told = say("{layer} ran on the photo: {verified}.", layer=name, verified=verified)
    return f"{told} {_safe(row.note)}"


def _listed(findings: Sequence[Finding], nothing: str) -> str:
    if not findings:
        return f'<p class="dv-quiet">{nothing}</p>'
    items = "".join(
        f'<li class="dv-{found.severity}">'
        f"<b>{_MARKS[found.severity]} {escape(say(found.kind))}</b> "
        f"{_safe(found.sentence)}</li>"
        for found in findings[:_MOST]
    )
    more = len(findings) - _MOST
    return f"<ul>{items}</ul>" + (
        f"<p>{say('and {count} more findings', count=more)}</p>" if more > 0 else ""
    )


def _series_notes(opened: Opened) -> str:
    notes = opened.series.notes if opened.series is not None else ()
    if not notes:
        return ""
    items = "".join(f"<li>{_safe(note)}</li>" for note in notes[:_MOST])
    title = say("layers that not all files have")
    return f"<details><summary>{title}</summary><ul>{items}</ul></details>"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "。")) else sentence + say(".")


def _bold(name: str) -> str:
    return f"<b>{escape(printable(name, 600))}</b>"


def _safe(text: str) -> str:
    return escape(printable(say(text), 600))
