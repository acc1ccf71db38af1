"""A report as text: an aligned table that keeps to the width of a terminal, and the findings."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..geometry import Pair
from .finding import Finding
from .summary import Statistics

_NARROWEST = 50
_NAME = 12
"""A name keeps so many characters before columns give way to it, and as many as tell it apart."""


class Row(NamedTuple):
    """What the text says about one layer."""

    name: str
    size: Pair
    statistics: Statistics
    findings: Sequence[Finding]


def _number(value: float) -> str:
    """Two decimals, so that a column's points lie below each other; "-" for none.

    >>> _number(12.345), _number(0.001), _number(54321.0), _number(math.nan)
    ('12.35', '1e-03', '5e+04', '-')
    """
    if not math.isfinite(value):
        return "-"
    visible = value == 0 or 0.005 <= abs(value) < 1e4
    return f"{value:.2f}" if visible else f"{value:.0e}"


def _share(value: float) -> str:
    return f"{100 * value:.0f}%" if math.isfinite(value) else "-"


_COLUMNS: tuple[tuple[str, Callable[[Statistics], str]], ...] = (
    ("mean px", lambda s: _number(s.mean)),
    ("p99 px", lambda s: _number(s.p99)),
    ("moved out", lambda s: _share(s.moved_outside)),
    ("adapt", lambda s: _share(s.adaptive_share)),
    ("dilation", lambda s: _number(s.dilation)),
    ("scale", lambda s: _number(s.scale)),
    ("turn", lambda s: _number(s.rotation) + ("°" if math.isfinite(s.rotation) else "")),
    ("rest px", lambda s: _number(s.residual)),
    ("median px", lambda s: _number(s.median)),
    ("mask", lambda s: _number(s.mask_mean)),
    ("mask p1", lambda s: _number(s.mask_p1)),
    ("mask p99", lambda s: _number(s.mask_p99)),
)
"""The most telling first, as the last ones are left out where they do not fit."""


def as_text(rows: Sequence[Row], width: int) -> str:
    """A table with a line for each layer, then its findings."""
    width = max(width, _NARROWEST)
    names = [_printable(row.name) for row in rows]
    columns = [["map", *(f"{row.size[0]}x{row.size[1]}" for row in rows)]]
    columns += [[head, *(say(row.statistics) for row in rows)] for head, say in _COLUMNS]
    columns = [column for column in columns if column[0] == "map" or set(column[1:]) - {"-"}]
    longest = max([len("layer"), *map(len, names)])
    columns = _fitting(columns, width - min(longest, _distinct_room(names)))
    room = width - sum(2 + _width(column) for column in columns)
    first = ["layer", *(_shortened(name, room) for name in names)]
    table = [_line(cells, first, columns) for cells in zip(first, *columns, strict=True)]
    found = [
        _finding(_shortened(name, width // 2), one, width)
        for name, row in zip(names, rows, strict=True)
        for one in row.findings
    ]
    return "\n".join([*table, *([""] if found else []), *found])


def _distinct_room(names: Sequence[str]) -> int:
    """So many characters that names are still told apart.

    >>> _distinct_room(["block3.conv1.regular_conv", "block4.conv1.regular_conv"])
    14
    """
    apart = len(set(names))
    longest = max([_NAME, *map(len, names)])
    return next(
        room
        for room in range(_NAME, longest + 1)
        if len({_shortened(name, room) for name in names}) == apart
    )


def _fitting(columns: list[list[str]], room: int) -> list[list[str]]:
    """As many columns as there is room for, two spaces before each."""
    kept: list[list[str]] = []
    for column in columns:
        room -= 2 + _width(column)
        if room < 0:
            break
        kept.append(column)
    return kept


def _width(column: Sequence[str]) -> int:
    return max(map(len, column))


def _line(cells: Sequence[str], first: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    """Names to the left, numbers to the right of their columns."""
    name, *numbers = cells
    aligned = [cell.rjust(_width(col)) for cell, col in zip(numbers, columns, strict=True)]
    return "  ".join([name.ljust(_width(first)), *aligned]).rstrip()


def _finding(name: str, found: Finding, width: int) -> str:
    """One finding, its further lines indented below the layer's name."""
    head = f"{found.severity:7} {name}: {found.kind}. "
    return textwrap.fill(head + found.sentence, width, subsequent_indent=8 * " ")


def _shortened(name: str, room: int) -> str:
    """The name in so many characters; its end says more than its middle.

    >>> _shortened("backbone.layer3.0.conv2", 14)
    'backbo…0.conv2'
    """
    if len(name) <= room:
        return name
    tail = (room - 1) * 3 // 5
    return f"{name[: room - 1 - tail]}…{name[len(name) - tail :]}"


def _printable(name: str) -> str:
    r"""Without what a terminal would obey: a checkpoint's names are anyone's.

    >>> _printable("a\x1b[2Jb")
    'a?[2Jb'
    """
    return "".join(c if c.isprintable() else "?" for c in name)
