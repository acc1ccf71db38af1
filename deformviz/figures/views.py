"""Whole figures, for the page and for a notebook: the input with its points, and the output."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from torch import Tensor

from ..sampling import Sampling
from .canvas import canvas, input_box
from .layers import LAYERS, Choice
from .points import add_points, to_array


def sampling_figure(
    sampling: Sampling,
    image: np.ndarray | None = None,
    *,
    y: int | None = None,
    x: int | None = None,
    layer: str = "points",
    choice: Choice = Choice(),  # noqa: B008  (frozen)
    group: int | None = None,
) -> go.Figure:
    """Where an output position reads, over the image, under a layer of one's choice.

    Args:
        sampling: from any operator.
        image: [H, W, 3] uint8, or None to draw the input map's first three channels, or its first.
        y, x: the output position; the middle of the map where they are left out.
        layer: one of `LAYERS`.
        choice: which tap and group the layer shows, in which palette.
        group: the offset group whose points are drawn, or None for all.

    Raises:
        ValueError: an image that the map does not cover, a layer that this Sampling has nothing
            for, a tap or group that it has not, or a position outside its output.

    Example:
        >>> import torch
        >>> from deformviz.operators import DeformConv2d
        >>> s = DeformConv2d(3, 8, 3, padding=1).sampling(torch.rand(1, 3, 32, 32))
        >>> [trace.name for trace in sampling_figure(s, y=3, x=5).data]
        ['regular grid', 'offsets', 'taps']
    """
    _check(sampling, layer, choice, group)
    row = LAYERS[layer]
    figure = ground(sampling, image, row.dim)
    row.add(figure, sampling, choice)
    middle = (sampling.output_size[0] // 2, sampling.output_size[1] // 2)
    add_points(
        figure, sampling, middle[0] if y is None else y, middle[1] if x is None else x, group
    )
    return figure


def ground(sampling: Sampling, image: np.ndarray | None, dim: float = 1.0) -> go.Figure:
    """The image that the map lies on, or the map itself where there is none."""
    if image is not None:
        check_image(sampling, image)
        return canvas((image.shape[0], image.shape[1]), image, dim)
    top, left, height, width = input_box(sampling)
    return canvas((round(height), round(width)), input_pixels(sampling), dim, (top, left))


def check_image(sampling: Sampling, image: np.ndarray) -> None:
    """The map must cover the image, give or take what strides round off."""
    top, left, height, width = input_box(sampling)
    ends = (top + height, left + width)
    for end, size, stride in zip(ends, image.shape[:2], sampling.image_map.stride, strict=True):
        if abs(end + 0.5 - size) > stride:
            raise ValueError(
                f"a map of {sampling.input_size} at stride {sampling.image_map.stride} does not "
                f"cover an image of {image.shape[:2]}: say how it lies on the image by image_map, "
                "such as ImageMap.of_stride(8)"
            )


def _check(sampling: Sampling, layer: str, choice: Choice, group: int | None) -> None:
    if layer not in LAYERS:
        raise ValueError(f"unknown layer {layer!r}: expected one of {', '.join(LAYERS)}")
    if not LAYERS[layer].fits(sampling):
        raise ValueError(f"{sampling.name} has nothing to show as {layer!r}")
    if not 0 <= choice.tap < sampling.taps:
        raise ValueError(f"tap {choice.tap} is not one of the {sampling.taps} taps")
    if not (
        0 <= choice.group < sampling.groups and (group is None or 0 <= group < sampling.groups)
    ):
        raise ValueError(f"there is no such offset group: the Sampling has {sampling.groups}")


def input_pixels(sampling: Sampling) -> np.ndarray | None:
    """The map that was read, as a picture: [H, W, 3] uint8."""
    if sampling.input is None:
        return None
    return as_picture(sampling.input)


def display_range(values: Tensor) -> tuple[float, float]:
    """The values that `as_picture` draws black and white.

    0 and 1 for values in that range. Where some are larger, the 99th percentile is white; where
    some are negative, zero is mid-grey and the 99th percentile of the absolute values is white.
    """
    array = to_array(values)
    least, most = _ends(array)
    if not (math.isfinite(least) and math.isfinite(most)):
        array = array[np.isfinite(array)]
        least, most = _ends(array)
    if least < -1e-3:
        top = max(float(np.quantile(np.abs(array), 0.99)), 1e-6)
        return (-top, top)
    if most > 1 + 1e-3:
        return (0.0, max(float(np.quantile(array, 0.99)), 1e-6))
    return (0.0, 1.0)


def _ends(array: np.ndarray) -> tuple[float, float]:
    """The least and the most of the values and 0; NaN where one of them is."""
    return float(array.min(initial=0)), float(array.max(initial=0))


def as_picture(values: Tensor) -> np.ndarray:
    """A map [C, h, w] as [h, w, 3] uint8: its first three channels, or its first as grey.

    Scaled to `display_range`; what is not finite is drawn as zero.
    """
    shown = values[:3] if values.shape[0] >= 3 else values[:1]
    low, high = display_range(shown)
    array = to_array(shown)
    if not all(map(math.isfinite, _ends(array))):
        array = np.where(np.isfinite(array), array, 0)
    array = array - low  # from here on in place: fresh memory costs more than the arithmetic
    array /= high - low
    np.clip(array, 0, 1, out=array)
    array *= 255
    planes = np.rint(array, out=array).astype(np.uint8)
    # Plane by plane: a transposed copy takes four times as long.
    pixels: np.ndarray = np.stack(list(planes) * (3 // len(planes)), axis=-1)
    return pixels


def output_figure(
    sampling: Sampling,
    picture: Tensor | None = None,
    *,
    y: int | None = None,
    x: int | None = None,
) -> go.Figure:
    """The output as a picture, in output pixels, with the position (y, x) marked.

    Args:
        picture: [C, h, w] to draw instead of the Sampling's own output.

    Raises:
        ValueError: a Sampling without its output, and no picture either.
    """
    values = sampling.output if picture is None else picture
    if values is None:
        raise ValueError(f"the Sampling {sampling.name!r} does not hold its output")
    figure = canvas(sampling.output_size, as_picture(values))
    if y is not None and x is not None:
        figure.add_trace(
            go.Scatter(
                name="position",
                x=[x],
                y=[y],
                mode="markers",
                marker={
                    "symbol": "square-open",
                    "size": 13,
                    "color": "white",
                    "line": {"width": 2, "color": "white"},
                },
                hovertemplate="y %{y}, x %{x}<extra></extra>",
            )
        )
    return figure
