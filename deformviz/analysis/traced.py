"""What `trace` found: points on each layer's map and on the image, with their weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import ImageMap, Pair
from .landing import bilinear


@dataclass(frozen=True, eq=False)
class Level:
    """What is read of one layer's input map.

    Attributes:
        name: the layer's.
        size: (H, W) of its input map.
        points: [n, 2] (y, x) in pixels of that map.
        weights: [n] how much each adds to the unit that the trace began at.
        taps: [n, depth] which tap was taken in each layer from the top one on, g * K + k; None
            where points of several ways were merged.
        image_map: how the map lies on the image.
    """

    name: str
    size: Pair
    points: Tensor
    weights: Tensor
    taps: Tensor | None
    image_map: ImageMap

    def on_image(self) -> Tensor:
        """The points in pixels of the image: [n, 2]."""
        return self.image_map.to_image(self.points)

    def heat(self) -> Tensor:
        """The weights on the map's pixels, each point's shared out bilinearly: [H, W]."""
        units, shares = bilinear(self.points, self.size)
        return spread(units, shares * self.weights[:, None], self.size)


@dataclass(frozen=True, eq=False)
class Traced:
    """Where a unit of the top layer looks, down to the image.

    Attributes:
        levels: for each layer, from the top one on.
    """

    levels: tuple[Level, ...]

    @property
    def points(self) -> Tensor:
        """Where the lowest layer is read, in pixels of the image: [N, 2], (y, x)."""
        return self.levels[-1].on_image()

    @property
    def weights(self) -> Tensor:
        """How much each of them adds: [N]."""
        return self.levels[-1].weights

    @property
    def taps(self) -> Tensor | None:
        """Which taps led to each of them: [N, layers], or None where points were merged."""
        return self.levels[-1].taps


def spread(units: Tensor, weights: Tensor, size: Pair) -> Tensor:
    """Add up weights [...] at units [..., 2] of a map: [H, W]. What is not finite is left out."""
    place = units[..., 0] * size[1] + units[..., 1]
    weights = torch.where(weights.isfinite(), weights, 0)
    total = weights.new_zeros(size[0] * size[1])
    return total.index_add_(0, place.flatten(), weights.flatten()).reshape(size)
