"""How a layer changes from file to file, as SVG: the chosen one, with all others faint.

A few lines and words; a plotting library in the browser would take longer to load than the viewer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..inspection import LayerSeries, Series
from ..inspection.printable import printable
from ..words import say

MEASURES: dict[str, tuple[str, str]] = {
    "static": ("static offsets", "px"),
    "static_longest": ("longest static offset", "px"),
    "dependence": ("dependence on the input", ""),
    "mean": ("mean offset", "px"),
    "p99": ("99 % of the offsets are shorter than", "px"),
    "dilation": ("effective dilation", ""),
    "adaptive_share": ("share of the offsets that adapts to the content", ""),
    "moved_outside": ("share of the taps moved off the map", ""),
    "mask_mean": ("mean of the mask", ""),
    "findings": ("findings", ""),
    "pattern": ("change of the static pattern, from file to file", "px"),
    "offset_weights": ("change of what predicts the offsets, by its norm", ""),
    "weights": ("change of the main weights, by their norm", ""),
    "offsets": ("change of the offsets on the photo", "px"),
    "output": ("change of the output, by its norm", ""),
}
"""The numbers of a `Series`: what each is called, and its unit."""

_MOST_OTHERS = 60
_WIDTH, _HEIGHT = 440, 176
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 24
_LABEL = 68
"""Pixels that a file's name takes."""


def measures(series: Series) -> list[tuple[str, str]]:
    """What there is to choose from: (words, name), in the order of `MEASURES`."""
    known = {name for layer in series.layers for name in (*layer.numbers, *layer.changes)}
    found = [(words, unit, name) for name, (words, unit) in MEASURES.items() if name in known]
    return [(_in_unit(words, unit), name) for words, unit, name in found]


def _in_unit(words: str, unit: str) -> str:
    return say("{measure}, {unit}", measure=say(words), unit=unit) if unit else say(words)


def timeline(series: Series, chosen: str, measure: str) -> str:
    """One number of every layer over the files, as an SVG element.

    Args:
        series: of two files or more.
        chosen: the name of the layer that is looked at.
        measure: out of `measures`.

    Raises:
        ValueError: another measure.
    """
    if measure not in {name for _, name in measures(series)}:
        raise ValueError(f"there is no measure {measure!r}")
    others = [layer for layer in series.layers if layer.name != chosen][:_MOST_OTHERS]
    picked = [layer for layer in series.layers if layer.name == chosen]
    ticks = _ticks(_top(picked, others, measure))
    lines = [_line(layer, measure, series.files, ticks[-1], layer in picked)
             for layer in [*others, *picked]]  # fmt: skip
    return (
        f'<svg class="dv-timeline" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(_told(picked, measure, series.files))}">'
        f"{_axes(ticks, series.files)}"
        f'<svg x="0" y="0" width="{_WIDTH}" height="{_HEIGHT - _BOTTOM + 6}">{"".join(lines)}</svg>'
        "</svg>"
    )


def _line(layer: LayerSeries, measure: str, files: Sequence[str], top: float, chosen: bool) -> str:
    """A change stands at the file that it leads to; a number that there is not leaves a gap."""
    values, first = _values(layer, measure), int(measure in layer.changes)
    name, path, dots = printable(layer.name, 80), "", ""
    for i, value in enumerate(values, first):
        if not math.isfinite(value):
            continue
        x, y = _place(i, value, len(files), top)
        gap = i == first or not math.isfinite(values[i - first - 1])
        path += f"{'M' if gap else 'L'}{x:.1f} {y:.1f}"
        title = escape(f"{name}, {printable(files[i], 60)}: {value:.3g}")
        radius = 4 if chosen else 2.5
        dots += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{title}</title></circle>'
    told = escape(json.dumps([value if math.isfinite(value) else None for value in values]))
    kind = ' class="dv-chosen"' if chosen else ""
    return f'<g{kind} data-layer="{escape(name)}" data-values="{told}"><path d="{path}"/>{dots}</g>'


def _place(i: int, value: float, count: int, top: float) -> tuple[float, float]:
    """Where a number of file `i` stands, (x, y) from the top left corner."""
    x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * i / max(1, count - 1)
    # What is far above leaves the picture; its line still points there.
    share = min(value / top, 20.0)
    return x, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _axes(ticks: Sequence[float], files: Sequence[str]) -> str:
    lines = ""
    for tick in ticks:
        _, y = _place(0, tick, len(files), ticks[-1])
        lines += f'<path class="dv-grid" d="M{_LEFT} {y:.1f}H{_WIDTH - 8}"/>'
        lines += f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.6g}</text>'
    step = math.ceil(len(files) * _LABEL / (_WIDTH - _LEFT))
    for i, file in enumerate(files):
        if (len(files) - 1 - i) % step == 0:
            x, _ = _place(i, 0, len(files), 1)
            name = escape(printable(Path(file).stem, 16 if len(files) < 4 else 10))
            anchor = "start" if i == 0 else "end" if i == len(files) - 1 else "middle"
            lines += (
                f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{name}'
                f"<title>{escape(printable(file, 80))}</title></text>"
            )
    return lines


def _ticks(top: float) -> list[float]:
    """From 0 to the first round number that is not below.

    >>> _ticks(2.4)
    [0.0, 1.0, 2.0, 3.0]
    """
    rough = top / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * (1 - 1e-9))
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


def _top(picked: list[LayerSeries], others: list[LayerSeries], measure: str) -> float:
    """The chosen layer and half of the others fit below; one that exploded leaves the picture."""
    own = max((_largest(layer, measure) for layer in picked), default=0.0)
    tops = sorted(_largest(layer, measure) for layer in others)
    most = max(own, tops[(len(tops) - 1) // 2] if tops else 0.0)
    return most or max(tops, default=0.0) or 1.0


def _largest(layer: LayerSeries, measure: str) -> float:
    return max((v for v in _values(layer, measure) if math.isfinite(v)), default=0.0)


def _values(layer: LayerSeries, measure: str) -> tuple[float, ...]:
    return layer.changes.get(measure) or layer.numbers.get(measure) or ()


def _told(picked: list[LayerSeries], measure: str, files: Sequence[str]) -> str:
    """The chosen layer's numbers for who cannot see them."""
    words, unit = MEASURES[measure]
    head = say("{measure}, over {count} files", measure=_in_unit(words, unit), count=len(files))
    if not picked:
        return head
    values = _values(picked[0], measure)
    names = files[-len(values) :] if values else ()
    told = ", ".join(f"{printable(n, 40)} {v:.3g}" for n, v in zip(names, values, strict=True))
    layer = printable(picked[0].name, 80)
    return say("{measure}; {layer}: {values}", measure=head, layer=layer, values=told)
