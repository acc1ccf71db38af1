"""What the tests in this folder share: samplings of every operator, and figures read back."""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import Any

import numpy as np
import plotly.colors
import plotly.graph_objects as go
from PIL import Image

from deformviz import Sampling
from deformviz.explore import OPERATORS, Settings, explore

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 17, 3), dtype=np.uint8)
"""So small that pictures of its size lose nothing on their way into a figure."""

Y, X = 5, 11
"""A position away from every border."""


@cache
def run(operator: str, **settings: Any) -> Sampling:
    """An operator on `PHOTO`; `**settings` as in `Settings`."""
    return explore(PHOTO, Settings(operator=operator, **settings)).sampling


MOVED: dict[str, dict[str, Any]] = {
    "random": {"field": "random", "mask": "random", "guide": "random"},
    "coarse": {"field": "wave", "stride": 2, "kernel_size": (2, 4), "mask": "edge-following"},
    "three groups": {"field": "dilate", "strength": 1.0, "offset_groups": 3, "border": "keep"},
}
"""Settings that every operator takes, by what is special about them."""

CASES = [(operator, variant) for operator in OPERATORS for variant in MOVED]
"""Each operator with each of `MOVED`, for `pytest.mark.parametrize`."""


def sampling(operator: str, variant: str) -> Sampling:
    """The record of one of `CASES`."""
    return run(operator, **MOVED[variant])


def trace(figure: go.Figure, name: str) -> Any:
    """The one trace of that name."""
    (found,) = (t for t in figure.data if t.name == name)
    return found


def places(drawn: Any) -> np.ndarray:
    """Where a trace's points lie: [n, 2], (y, x)."""
    return np.column_stack((drawn.y, drawn.x))


def pixels(image: Any) -> np.ndarray:
    """A layout image's pixels: [h, w, 4] uint8."""
    kind, _, encoded = image.source.partition(";base64,")
    assert kind.startswith("data:image/")
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    return np.asarray(picture.convert("RGBA"))


def box(image: Any) -> tuple[float, float, float, float]:
    """Where a layout image lies: (top, left, height, width)."""
    assert (image.xref, image.yref, image.sizing) == ("x", "y", "stretch")
    assert image.xanchor in (None, "left")
    assert image.yanchor in (None, "top")
    return (image.y, image.x, image.sizey, image.sizex)


def rgb(color: str) -> tuple[int, ...]:
    """A colour as plotly takes it, as (r, g, b) from 0 to 255."""
    if color.startswith("#"):
        return tuple(plotly.colors.hex_to_rgb(color))
    return tuple(round(part) for part in plotly.colors.unlabel_rgb(color))


def scaled(values: np.ndarray, scale: str, low: float, high: float) -> np.ndarray:
    """What plotly itself makes of values by a colour scale: [..., 3], 0 to 255."""
    share = np.clip((np.asarray(values, dtype=np.float64) - low) / (high - low), 0, 1)
    flat = plotly.colors.sample_colorscale(scale, share.reshape(-1).tolist(), colortype="tuple")
    return 255 * np.array(flat).reshape(*share.shape, 3)
