"""The kernel of one output position in its own coordinates: regular taps and moved ones."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..sampling import Sampling
from .points import ghost_trace, tap_trace, thin_offset_trace, to_array

_MOST_PANELS = 4


def kernel_figure(sampling: Sampling, y: int, x: int) -> go.Figure:
    """The K taps of position (y, x) around the kernel's centre, one panel for each offset group.

    Where every group has one tap, or there are more than four groups, they share a panel.
    """
    shared = sampling.taps == 1 or sampling.groups > _MOST_PANELS
    panels = 1 if shared else sampling.groups
    titles = None if panels == 1 else [f"group {g}" for g in range(panels)]
    figure = make_subplots(1, panels, subplot_titles=titles, horizontal_spacing=0.03)
    centre = sampling.centre_at(y, x)
    base = to_array(sampling.base_at(y, x) - centre)  # [G, K, 2], (y, x) from the centre
    points = to_array(sampling.points_at(y, x) - centre)
    mask = to_array(sampling.mask_at(y, x))
    reach = max(1.0, _reach(base), _reach(points)) * 1.15
    for panel in range(panels):
        groups = list(range(sampling.groups)) if shared else [panel]
        traces = (
            thin_offset_trace(base[groups], points[groups]),
            ghost_trace(base[groups]),
            tap_trace(sampling, base[groups], points[groups], mask[groups], groups),
        )
        for trace in traces:
            figure.add_trace(trace, 1, panel + 1)
        _square_axes(figure, panel + 1, reach)
    figure.update_annotations(font_size=11)  # the panels' titles
    figure.update_layout(
        template="none",
        margin={"l": 30, "r": 6, "t": 22 if titles else 6, "b": 24},
        showlegend=False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def _reach(points: np.ndarray) -> float:
    finite = np.abs(points[np.isfinite(points)])
    return float(finite.max()) if finite.size else 0.0


def _square_axes(figure: go.Figure, column: int, reach: float) -> None:
    axis = {"zeroline": True, "zerolinewidth": 1, "ticklen": 3, "nticks": 5, "constrain": "domain"}
    figure.update_xaxes(range=[-reach, reach], row=1, col=column, **axis)
    figure.update_yaxes(
        range=[reach, -reach],
        scaleanchor="x" if column == 1 else f"x{column}",
        showticklabels=column == 1,
        row=1,
        col=column,
        **axis,
    )
