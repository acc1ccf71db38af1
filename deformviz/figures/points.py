"""Where one output position reads: the regular grid, arrows, and taps in their colours."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from torch import Tensor

from ..sampling import Sampling
from .colors import index_colors

GHOST = {
    "symbol": "square",
    "size": 4,
    "color": "rgba(255,255,255,0.8)",
    "line": {"color": "rgba(0,0,0,0.8)", "width": 1},
}
"""A regular tap: white with a dark rim, so that it shows on any photo."""


def tap_colors(sampling: Sampling) -> np.ndarray:
    """The colour of each point, [G, K] strings: by tap, or by group where each has one tap."""
    if sampling.taps == 1:
        return np.array(index_colors(sampling.groups))[:, None]
    return np.broadcast_to(index_colors(sampling.taps), (sampling.groups, sampling.taps))


def tap_sizes(sampling: Sampling, mask: np.ndarray) -> np.ndarray:
    """Diameters [G, K] of the dots: their areas go with the mask, and many taps are small."""
    largest = np.interp(sampling.taps, [9, 25, 49, 121], [13, 9, 8, 6])
    return np.asarray(largest * np.sqrt(np.clip(np.abs(mask), 0.02, 2)))


def add_points(
    figure: go.Figure, sampling: Sampling, y: int, x: int, group: int | None = None
) -> None:
    """Draw what the output position (y, x) reads, in the image's pixels.

    Adds three traces, "regular grid", "offsets" and "taps"; the order of the taps is row-major.

    Args:
        group: one offset group, or None for all.
    """
    groups = range(sampling.groups) if group is None else [group]
    base = sampling.image_map.to_image(sampling.base_at(y, x))[list(groups)]
    points = sampling.image_map.to_image(sampling.points_at(y, x))[list(groups)]
    mask = _array(sampling.mask_at(y, x))[list(groups)]
    figure.add_trace(_ghosts(_array(base)))
    figure.add_trace(_offsets(_array(base), _array(points)))
    figure.add_trace(_taps(sampling, _array(points), mask, list(groups)))


def _array(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.detach().cpu(), dtype=np.float32)


def _ghosts(base: np.ndarray) -> go.Scatter:
    flat = np.unique(base.reshape(-1, 2), axis=0)
    return go.Scatter(
        name="regular grid",
        x=flat[:, 1],
        y=flat[:, 0],
        mode="markers",
        marker=GHOST,
        hoverinfo="skip",
        showlegend=False,
    )


def _offsets(base: np.ndarray, points: np.ndarray) -> go.Scatter:
    """Arrows from the regular taps to those that moved, with a break after each."""
    ends = np.stack((base.reshape(-1, 2), points.reshape(-1, 2)), axis=1)  # [n, 2, 2]
    ends = ends[(ends[:, 0] != ends[:, 1]).any(axis=1)]
    breaks = np.full((len(ends), 1, 2), np.nan, dtype=np.float32)
    path = np.concatenate((ends, breaks), axis=1).reshape(-1, 2)
    return go.Scatter(
        name="offsets",
        x=path[:, 1],
        y=path[:, 0],
        mode="lines+markers",
        line={"color": "rgba(255,255,255,0.9)", "width": 1.5},
        marker={
            "symbol": "arrow",
            "angleref": "previous",
            "size": np.tile(np.array([0, 9, 0], dtype=np.uint8), len(ends)),
            "standoff": np.tile(np.array([0, 6, 0], dtype=np.uint8), len(ends)),
            "color": "white",
            "line": {"color": "rgba(0,0,0,0.6)", "width": 1},
        },
        hoverinfo="skip",
        showlegend=False,
    )


def _taps(
    sampling: Sampling, points: np.ndarray, mask: np.ndarray, groups: list[int]
) -> go.Scatter:
    tap = np.tile(np.arange(sampling.taps), len(groups))
    group = np.repeat(groups, sampling.taps)
    flat = points.reshape(-1, 2)
    named = (
        "tap %{customdata[0]}, group %{customdata[1]}"
        if sampling.groups > 1
        else ("tap %{customdata[0]}")
    )
    return go.Scatter(
        name="taps",
        x=flat[:, 1],
        y=flat[:, 0],
        mode="markers",
        marker={
            "color": tap_colors(sampling)[groups].reshape(-1).tolist(),
            "size": tap_sizes(sampling, mask).reshape(-1).astype(np.float32),
            "line": {"color": "rgba(0,0,0,0.75)", "width": 1},
        },
        customdata=np.column_stack((tap, group, mask.reshape(-1))).astype(np.float32),
        hovertemplate=f"{named}<br>y %{{y:.2f}}, x %{{x:.2f}}<br>mask %{{customdata[2]:.3f}}"
        "<extra></extra>",
        showlegend=False,
    )
