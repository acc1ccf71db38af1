"""How a layer changes from file to file, as a figure: the chosen one, with all others faint."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from ..inspection import LayerSeries, Series
from ..inspection.printable import printable

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

_CHOSEN, _OTHER, _INK = "#2563eb", "rgba(128, 132, 140, 0.35)", "#848a95"
_MOST_OTHERS = 60


def measures(series: Series) -> list[tuple[str, str]]:
    """What there is to choose from: (words, name), in the order of `MEASURES`."""
    known = {name for layer in series.layers for name in (*layer.numbers, *layer.changes)}
    return [(words, name) for name, (words, _) in MEASURES.items() if name in known]


def timeline(series: Series, chosen: str, measure: str) -> go.Figure:
    """One number of every layer over the files.

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
    unit = MEASURES[measure][1]
    figure = go.Figure([_line(layer, measure, layer in picked) for layer in [*others, *picked]])
    ticks = [escape(printable(Path(name).stem, 18)) for name in series.files]
    axis = {"color": _INK, "gridcolor": "rgba(128, 132, 140, 0.25)", "zeroline": False}
    figure.update_layout(
        height=190,
        margin={"l": 56, "r": 24, "t": 10, "b": 28},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _INK, "size": 12},
        showlegend=False,
        hovermode="closest",
        xaxis={**axis, "tickvals": list(range(len(ticks))), "ticktext": ticks,
               "range": [-0.2, len(ticks) - 0.8]},
        yaxis={**axis, "range": [0, _top(picked, others, measure)], "title": unit},
    )  # fmt: skip
    return figure


def _top(picked: list[LayerSeries], others: list[LayerSeries], measure: str) -> float:
    """The chosen layer and half of the others fit below; one that exploded leaves the picture."""
    own = max((_largest(layer, measure) for layer in picked), default=0.0)
    tops = sorted(_largest(layer, measure) for layer in others)
    most = max(own, tops[(len(tops) - 1) // 2] if tops else 0.0)
    return 1.15 * (most or max(tops, default=0.0) or 1.0)


def _largest(layer: LayerSeries, measure: str) -> float:
    return max((v for v in _values(layer, measure) if math.isfinite(v)), default=0.0)


def _values(layer: LayerSeries, measure: str) -> tuple[float, ...]:
    return layer.changes.get(measure) or layer.numbers.get(measure) or ()


def _line(layer: LayerSeries, measure: str, chosen: bool) -> go.Scatter:
    """A change stands at the file that it leads to."""
    step = measure in layer.changes
    values = _values(layer, measure)
    name = escape(printable(layer.name, 60))
    return go.Scatter(
        x=[i + step for i in range(len(values))],
        y=[value if math.isfinite(value) else None for value in values],
        mode="lines+markers",
        name=name,
        line={"color": _CHOSEN if chosen else _OTHER, "width": 3 if chosen else 1.5},
        marker={"size": 8 if chosen else 5},
        hovertemplate=f"{name}<br>%{{y:.3g}}<extra></extra>",
    )
