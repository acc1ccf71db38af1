"""Layers over the image, each made from a `Sampling`: a row of `LAYERS` is all that one takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ..images import to_data_uri
from ..sampling import Sampling
from .canvas import DARK_TEXT, colorbar, input_box, lay_over, output_box
from .colors import (
    FieldPalette,
    direction_colors,
    index_colors,
    index_rgb,
    lookup,
    robust_top,
    wheel_picture,
)
from .points import to_array

_ARROWS_ACROSS = 30


@dataclass(frozen=True)
class Choice:
    """What a layer shows, where it can show several things.

    Attributes:
        tap: for fields and masks; the first is the upper left one.
        group: the offset group.
        palette: for directions.
    """

    tap: int = 0
    group: int = 0
    palette: FieldPalette = "perceptual"


@dataclass(frozen=True)
class Layer:
    """A row of `LAYERS`.

    Attributes:
        fits: whether a Sampling has something for it to show.
        add: draws it on a figure.
        dim: the opacity that the photo under it is given.
        per_tap: whether it shows one tap, and so depends on `Choice.tap`.
    """

    fits: Callable[[Sampling], bool]
    add: Callable[[go.Figure, Sampling, Choice], None]
    dim: float = 1.0
    per_tap: bool = False


def _offset(sampling: Sampling, choice: Choice) -> np.ndarray:
    """The offsets of one tap: [2, h, w]."""
    return to_array(sampling.offset[choice.group, choice.tap])


def _length(sampling: Sampling, choice: Choice) -> np.ndarray:
    """How far one tap moves, in pixels of the input map: [h, w]."""
    return np.asarray(np.hypot(*_offset(sampling, choice)))


def _lay_values(
    figure: go.Figure,
    colors: np.ndarray,
    box: tuple[float, float, float, float],
    opacity: float = 0.85,
) -> None:
    """Lay colours [h, w, 3] that stand for values over the figure: exactly, so as RGBA."""
    opaque = np.full((*colors.shape[:2], 1), 255, dtype=np.uint8)
    lay_over(figure, np.concatenate((colors, opaque), axis=-1), box, opacity)


def add_arrows(figure: go.Figure, sampling: Sampling, choice: Choice) -> None:
    """The offset field of one tap as arrows of true length, from the tap's regular place.

    Their colours, as all lengths in legends, are in pixels of the map that is read.
    """
    h, w = sampling.output_size
    step = max(1, round(max(h, w) / _ARROWS_ACROSS))
    lattice = (np.arange(min(step, n) // 2, n, step) for n in (h, w))
    rows, columns = np.meshgrid(*lattice, indexing="ij")
    scale = np.array(sampling.image_map.stride, dtype=np.float32)[:, None, None]
    offset = _offset(sampling, choice)[:, rows, columns]  # [2, n, m] in pixels of the map
    delta = offset * scale  # in pixels of the image
    base = sampling.base()[choice.group, choice.tap][:, rows, columns]  # [2, n, m]
    start = to_array(sampling.image_map.to_image(base.movedim(0, -1))).reshape(-1, 2)
    length = np.hypot(*offset).reshape(-1)
    top = robust_top(length)
    figure.add_trace(
        go.Quiver(
            name="field",
            x=start[:, 1],
            y=start[:, 0],
            u=delta[1].reshape(-1),
            v=delta[0].reshape(-1),
            lengthmode="raw",
            lengthfactor=1,
            arrowref="data",
            anchor="tail",
            marker={
                "color": length,
                "colorscale": "Plasma",
                "cmin": 0,
                "cmax": top,
                "showscale": False,
            },
            customdata=offset.reshape(2, -1).T,
            hovertemplate="Δy %{customdata[0]:.2f}, Δx %{customdata[1]:.2f}<extra></extra>",
        )
    )
    colorbar(figure, "Plasma", 0, top, f"|Δ| of tap {choice.tap}, px")


def add_field_colors(figure: go.Figure, sampling: Sampling, choice: Choice) -> None:
    """The offset field of one tap as colours, with the wheel and its length in pixels."""
    top = robust_top(_length(sampling, choice))
    colors = direction_colors(_offset(sampling, choice), top, choice.palette)
    lay_over(figure, colors, output_box(sampling), opacity=0.85)
    lay_wheel(figure, top, choice.palette)


def lay_wheel(figure: go.Figure, top: float, palette: FieldPalette) -> None:
    """The legend of a direction field, in the figure's lower right corner."""
    figure.add_layout_image(
        source=to_data_uri(_on_white(wheel_picture(palette))),
        xref="x domain",
        yref="y domain",
        x=0.985,
        y=0.02,
        sizex=0.14,
        sizey=0.14,
        xanchor="right",
        yanchor="bottom",
        layer="above",
    )
    figure.add_annotation(
        xref="x domain",
        yref="y domain",
        x=0.985,
        y=0.17,
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
        text=f"rim = {top:.3g} px",
        font=DARK_TEXT,
        bgcolor="rgba(255,255,255,0.85)",
        borderpad=3,
    )


def _on_white(picture: np.ndarray) -> np.ndarray:
    """A wheel [n, n, 4] whose disc is opaque, so that it reads the same on any photo."""
    axis = np.linspace(-1, 1, len(picture))
    disc = np.hypot(*np.meshgrid(axis, axis)) <= 1
    alpha = picture[..., 3:] / 255
    color = alpha * picture[..., :3] + (1 - alpha) * 255
    return np.concatenate((color, 255.0 * disc[..., None]), axis=-1).round().astype(np.uint8)


def add_magnitude(figure: go.Figure, sampling: Sampling, choice: Choice) -> None:
    """How far one tap moves, as one scale of lightness."""
    length = _length(sampling, choice)
    top = robust_top(length)
    _lay_values(figure, lookup(length, "Cividis", 0, top), output_box(sampling))
    colorbar(figure, "Cividis", 0, top, f"|Δ| of tap {choice.tap}, px")


def add_mask(figure: go.Figure, sampling: Sampling, choice: Choice) -> None:
    """The modulation of one tap; of both signs where it is unbounded (DCNv4)."""
    assert sampling.mask is not None
    values = to_array(sampling.mask[choice.group, choice.tap])
    if values.min() < 0:
        top = robust_top(np.abs(values))
        scale, low = "PuOr", -top
    else:
        top = max(1.0, robust_top(values))
        scale, low = "Cividis", 0.0
    _lay_values(figure, lookup(values, scale, low, top), output_box(sampling))
    colorbar(figure, scale, low, top, f"mask of tap {choice.tap}")


def add_regions(figure: go.Figure, sampling: Sampling, choice: Choice) -> None:
    """Which kernel each position is convolved with, as categories with a legend."""
    assert sampling.region is not None
    region = np.asarray(sampling.region.cpu())
    count = int(region.max()) + 1 if sampling.guide is None else sampling.guide.shape[0]
    _lay_values(figure, index_rgb(count)[region], output_box(sampling), opacity=0.6)
    shares = np.bincount(region.reshape(-1), minlength=count) / region.size
    for index, (color, share) in enumerate(zip(index_colors(count), shares, strict=True)):
        figure.add_trace(
            go.Scatter(
                name=f"region {index}: {share:.0%}",
                x=[None],
                y=[None],
                mode="markers",
                marker={"color": color, "size": 10, "symbol": "square"},
                showlegend=True,
            )
        )
    figure.update_layout(
        showlegend=True,
        legend={
            "x": 0.99,
            "y": 0.01,
            "xanchor": "right",
            "yanchor": "bottom",
            "bgcolor": "rgba(255,255,255,0.85)",
            "font": DARK_TEXT,
            "itemclick": False,
            "itemdoubleclick": False,
        },
    )


def _coordinate(name: str) -> Layer:
    def add(figure: go.Figure, sampling: Sampling, choice: Choice) -> None:
        assert sampling.input is not None
        values = to_array(sampling.input[sampling.channel_names.index(name)])
        signed = name != "radius"
        scale, low, high = ("PuOr", -1.0, 1.0) if signed else ("Cividis", 0.0, float(np.sqrt(2)))
        _lay_values(figure, lookup(values, scale, low, high), input_box(sampling))
        colorbar(figure, scale, low, high, f"{name} channel")

    def fits(sampling: Sampling) -> bool:
        return name in sampling.channel_names and sampling.input is not None

    return Layer(fits, add, dim=0.9)


def _moves(sampling: Sampling) -> bool:
    return sampling.moves


def _nothing(figure: go.Figure, sampling: Sampling, choice: Choice) -> None:
    """Only the points, which every figure has."""


LAYERS: dict[str, Layer] = {
    "points": Layer(lambda s: True, _nothing),
    "arrows": Layer(_moves, add_arrows, dim=0.55, per_tap=True),
    "field colours": Layer(_moves, add_field_colors, dim=0.9, per_tap=True),
    "magnitude": Layer(_moves, add_magnitude, per_tap=True),
    "mask": Layer(lambda s: s.mask is not None, add_mask, per_tap=True),
    "regions": Layer(lambda s: s.region is not None, add_regions),
    "x coordinate": _coordinate("x"),
    "y coordinate": _coordinate("y"),
    "radius": _coordinate("radius"),
}
"""The layers, in the order in which they are offered."""


def layers_for(sampling: Sampling) -> list[str]:
    """The names of the layers that have something to show of this Sampling.

    Example:
        >>> from deformviz import Kernel
        >>> layers_for(Sampling.regular("convolution", Kernel.of(3), (8, 8)))
        ['points']
    """
    return [name for name, layer in LAYERS.items() if layer.fits(sampling)]
