"""Where a point that one layer reads lies for the layer below."""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import Pair
from ..sampling import Sampling

_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def bilinear(points: Tensor, size: Pair) -> tuple[Tensor, Tensor]:
    """The four units around points [n, 2] and their weights: [n, 4, 2] integers and [n, 4].

    A unit that is not on the map of `size`, or has no weight, is unit (0, 0) with weight 0, and so
    is every one of a point that is not finite: all can be looked up.
    """
    corner = torch.tensor(_CORNERS, dtype=points.dtype, device=points.device)
    units = points[:, None].floor() + corner  # [n, 4, 2]
    weights = (1 - (points[:, None] - units).abs()).prod(-1)
    weights = torch.where(on_map(units, size), weights, 0)
    return torch.where(weights[..., None] > 0, units, 0).long(), weights


def on_map(units: Tensor, size: Pair) -> Tensor:
    """Which units [..., 2] are on a map of `size`: [...]; NaN is not."""
    return ((units >= 0) & (units < units.new_tensor(size))).all(-1)


def output_units(upper: Sampling, lower: Sampling, points: Tensor) -> Tensor:
    """Which of the lower layer's output units, fractional, lie at points on the upper one's map.

    Where the upper layer's input has the lower one's output size, it is taken to be that output.
    Otherwise something in between changed the size, and places on the image are what both have: the
    unit is sought whose kernel's centre lies there.
    """
    if upper.input_size == lower.output_size:
        return points
    image = upper.image_map.to_image(points)
    below, kernel = lower.image_map, lower.kernel
    on_input = (image - image.new_tensor(below.origin)) / image.new_tensor(below.stride)
    first = kernel.tap_positions(image).mean(dim=0) - image.new_tensor(kernel.padding)  # of unit 0
    return (on_input - first) / image.new_tensor(kernel.stride)
