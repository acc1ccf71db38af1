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
    return np.asarray(largest_dot(sampling.taps) * np.sqrt(np.clip(np.abs(mask), 0.02, 2)))


def largest_dot(taps: int) -> float:
    """The diameter of a dot whose mask is 1, in screen pixels: many are small."""
    return float(np.interp(taps, [9, 25, 49, 121], [13, 9, 8, 6]))


def add_points(
    figure: go.Figure, sampling: Sampling, y: int, x: int, group: int | None = None
) -> None:
    """Draw what the output position (y, x) reads, in the image's pixels.

    Adds three traces, "regular grid", "offsets" and "taps"; the order of the taps is row-major.

    Args:
        group: one offset group, or None for all.
    """
    groups = range(sampling.groups) if group is None else [group]
    to_image = sampling.image_map.to_image
    base = to_array(to_image(sampling.base_at(y, x)))[list(groups)]
    points = to_array(to_image(sampling.points_at(y, x)))[list(groups)]
    mask = to_array(sampling.mask_at(y, x))[list(groups)]
    figure.add_traces(
        [
            ghost_trace(base),
            offset_trace(base, points),
            tap_trace(sampling, base, points, mask, list(groups)),
        ]
    )


def to_array(tensor: Tensor) -> np.ndarray:
    """As float32, which plotly sends as binary."""
    return tensor.detach().cpu().float().numpy()


def ghost_trace(base: np.ndarray) -> go.Scatter:
    """The regular taps [G, K, 2], each once."""
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


def _broken_path(base: np.ndarray, points: np.ndarray) -> np.ndarray:
    """From each base point to its moved one, with a break after each that moved: [3n, 2]."""
    ends = np.stack((base.reshape(-1, 2), points.reshape(-1, 2)), axis=1)  # [G * K, 2, 2]
    ends = ends[(ends[:, 0] != ends[:, 1]).any(axis=1)]
    breaks = np.full((len(ends), 1, 2), np.nan, dtype=np.float32)
    return np.concatenate((ends, breaks), axis=1).reshape(-1, 2)


def offset_trace(base: np.ndarray, points: np.ndarray) -> go.Scatter:
    """White arrows from the regular taps [G, K, 2] to those that moved."""
    path = _broken_path(base, points)
    count = len(path) // 3
    return go.Scatter(
        name="offsets",
        x=path[:, 1],
        y=path[:, 0],
        mode="lines+markers",
        line={"color": "rgba(255,255,255,0.9)", "width": 1.5},
        marker={
            "symbol": "arrow",
            "angleref": "previous",
            "size": np.tile(np.array([0, 9, 0], dtype=np.uint8), count),
            "standoff": np.tile(np.array([0, 6, 0], dtype=np.uint8), count),
            "color": "white",
            "line": {"color": "rgba(0,0,0,0.6)", "width": 1},
        },
        hoverinfo="skip",
        showlegend=False,
    )


def thin_offset_trace(base: np.ndarray, points: np.ndarray) -> go.Scatter:
    """Grey lines in place of the arrows, for a plain ground, light or dark."""
    path = _broken_path(base, points)
    return go.Scatter(
        name="offsets",
        x=path[:, 1],
        y=path[:, 0],
        mode="lines",
        line={"color": "rgba(128,128,128,0.7)", "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )


def tap_trace(
    sampling: Sampling, base: np.ndarray, points: np.ndarray, mask: np.ndarray, groups: list[int]
) -> go.Scatter:
    """The moved taps of `groups`: base and points [G, K, 2], mask [G, K], in one coordinate."""
    tap = np.tile(np.arange(sampling.taps), len(groups))
    group = np.repeat(groups, sampling.taps)
    flat = points.reshape(-1, 2)
    delta = flat - base.reshape(-1, 2)
    of_group = ", group %{customdata[1]}" if sampling.groups > 1 else ""
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
        customdata=np.column_stack((tap, group, mask.reshape(-1), delta)).astype(np.float32),
        hovertemplate=f"tap %{{customdata[0]}}{of_group}<br>y %{{y:.2f}}, x %{{x:.2f}}<br>"
        "Δy %{customdata[3]:.2f}, Δx %{customdata[4]:.2f}<br>mask %{customdata[2]:.3f}"
        "<extra></extra>",
        showlegend=False,
    )
