"""The kernel of one output position in its own coordinates: regular taps and moved ones."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ..sampling import Sampling
from .points import GHOST, tap_colors, tap_sizes

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
    base = np.asarray(
        (sampling.base_at(y, x) - centre).detach().cpu(), dtype=np.float32
    )  # [G, K, 2]
    points = np.asarray((sampling.points_at(y, x) - centre).detach().cpu(), dtype=np.float32)
    mask = np.asarray(sampling.mask_at(y, x).detach().cpu(), dtype=np.float32)
    reach = max(1.0, _reach(base), _reach(points)) * 1.15
    for panel in range(panels):
        groups = list(range(sampling.groups)) if shared else [panel]
        _add_panel(figure, panel + 1, sampling, base[groups], points[groups], mask[groups], groups)
        _square_axes(figure, panel + 1, reach)
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


def _add_panel(
    figure: go.Figure,
    column: int,
    sampling: Sampling,
    base: np.ndarray,
    points: np.ndarray,
    mask: np.ndarray,
    groups: list[int],
) -> None:
    from_to = np.stack((base.reshape(-1, 2), points.reshape(-1, 2)), axis=1)
    breaks = np.full((len(from_to), 1, 2), np.nan, dtype=np.float32)
    path = np.concatenate((from_to, breaks), axis=1).reshape(-1, 2)
    figure.add_trace(
        go.Scatter(
            name="offsets",
            x=path[:, 1],
            y=path[:, 0],
            mode="lines",
            line={"color": "rgba(128,128,128,0.7)", "width": 1},
            hoverinfo="skip",
        ),
        1,
        column,
    )
    flat = base.reshape(-1, 2)
    figure.add_trace(
        go.Scatter(
            name="regular grid",
            x=flat[:, 1],
            y=flat[:, 0],
            mode="markers",
            marker=GHOST,
            hoverinfo="skip",
        ),
        1,
        column,
    )
    moved = points.reshape(-1, 2)
    figure.add_trace(
        go.Scatter(
            name="taps",
            x=moved[:, 1],
            y=moved[:, 0],
            mode="markers",
            marker={
                "color": tap_colors(sampling)[groups].reshape(-1).tolist(),
                "size": tap_sizes(sampling, mask).reshape(-1).astype(np.float32),
                "line": {"color": "rgba(0,0,0,0.6)", "width": 1},
            },
            customdata=(moved - flat),
            hovertemplate="Δy %{customdata[0]:.2f}, Δx %{customdata[1]:.2f}<extra></extra>",
        ),
        1,
        column,
    )


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
