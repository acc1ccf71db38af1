"""The ground of a figure: the photo in pixel coordinates, and pictures laid over it.

Pictures are `layout.images`, which a browser draws fifty times faster than an image trace.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from ..geometry import Pair
from ..images import to_data_uri
from ..sampling import Sampling

QUIET_AXIS = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
"""An axis that only holds coordinates."""

DARK_TEXT = {"size": 11, "color": "#222"}
"""For legends, which stand on a light plate in the light theme and in the dark one."""


def canvas(
    size: Pair,
    pixels: np.ndarray | None = None,
    dim: float = 1.0,
    corner: tuple[float, float] = (-0.5, -0.5),
) -> go.Figure:
    """An empty figure over an image of (H, W) pixels, y downwards, one unit a pixel.

    Args:
        size: (H, W).
        pixels: [H', W', 3] uint8, stretched over the whole, or None.
        dim: the opacity of the picture; less than 1 lets a layer over it stand out.
        corner: (top, left) of the picture; an image's first pixel is centred at 0.
    """
    (height, width), (top, left) = size, corner
    figure = go.Figure()
    figure.update_layout(
        template="none",
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        showlegend=False,
        hovermode="closest",
        dragmode="pan",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uirevision=f"{height} x {width}",
        xaxis={**QUIET_AXIS, "range": [left, left + width], "constrain": "domain"},
        yaxis={
            **QUIET_AXIS,
            "range": [top + height, top],
            "scaleanchor": "x",
            "constrain": "domain",
        },
    )
    if pixels is not None:
        lay_over(figure, pixels, (top, left, height, width), opacity=dim, below=True)
    return figure


def lay_over(
    figure: go.Figure,
    pixels: np.ndarray,
    box: tuple[float, float, float, float],
    opacity: float = 1.0,
    below: bool = True,
) -> None:
    """Lay a picture [h, w, 3 or 4] uint8 over the figure; RGBA keeps every colour exactly.

    Args:
        box: (top, left, height, width) in the figure's pixels.
        below: under the traces.
    """
    top, left, height, width = box
    # plotly.js tells images apart by place and size alone, and drops the second of two that agree.
    left += 1e-6 * len(figure.layout.images)
    figure.add_layout_image(
        source=to_data_uri(pixels),
        xref="x",
        yref="y",
        x=left,
        y=top,
        sizex=width,
        sizey=height,
        sizing="stretch",
        opacity=opacity,
        layer="below" if below else "above",
    )


def input_box(sampling: Sampling) -> tuple[float, float, float, float]:
    """Where the map that is read lies on the image: (top, left, height, width)."""
    origin, stride = sampling.image_map.origin, sampling.image_map.stride
    top, left = (o - s / 2 for o, s in zip(origin, stride, strict=True))
    height, width = (n * s for n, s in zip(sampling.input_size, stride, strict=True))
    return (top, left, height, width)


def output_box(sampling: Sampling) -> tuple[float, float, float, float]:
    """Where the map of output positions lies on the image: (top, left, height, width).

    Each position covers the ground around its kernel's centre, one stride wide.
    """
    h, w = sampling.output_size
    first = sampling.image_map.to_image(sampling.centre_at(0, 0).detach())
    pitch = [
        stride * scale
        for stride, scale in zip(sampling.kernel.stride, sampling.image_map.stride, strict=True)
    ]
    top, left = (float(first[axis]) - pitch[axis] / 2 for axis in (0, 1))
    return (top, left, h * pitch[0], w * pitch[1])


def colorbar(figure: go.Figure, scale: str, low: float, high: float, title: str) -> None:
    """Add a colour bar for a layer that is a picture; its trace holds one invisible point.

    The bar stands on the picture, not beside it, so that the picture keeps its size.
    """
    figure.add_trace(
        go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            hoverinfo="skip",
            marker={
                "color": [low],
                "cmin": low,
                "cmax": high,
                "colorscale": scale,
                "showscale": True,
                "colorbar": {
                    "title": {"text": title, "side": "right", "font": DARK_TEXT},
                    "tickfont": DARK_TEXT,
                    "bgcolor": "rgba(255,255,255,0.85)",
                    "thickness": 10,
                    "len": 0.5,
                    "x": 0.985,
                    "xanchor": "right",
                    "y": 0.02,
                    "yanchor": "bottom",
                    "nticks": 5,
                    "outlinewidth": 0,
                },
            },
        )
    )
