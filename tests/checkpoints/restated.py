"""What the tests of conversions share: a layer of small shapes, and our reading of its points."""

from __future__ import annotations

import math
from typing import Any

import torch
from layouts import Shapes
from torch import Tensor

from deformviz.analysis import recompute
from deformviz.checkpoints import Canonical, Layer, find_layers


def only(shapes: Shapes, family: str) -> Layer:
    """The layer of a family in a state dict of these shapes."""
    (layer,) = [layer for layer in find_layers(shapes) if layer.family == family]
    return layer


def normal(*shape: int, scale: float = 1.0, seed: int = 0) -> Tensor:
    """Random numbers in float64, the same ones each time."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def read(canonical: Canonical, x: Tensor, weight: Tensor | None = None, **fields: Any) -> Tensor:
    """What a conversion says the layer gives for the image x [1, C, H, W]: [O, h, w].

    From the definition, by `analysis.recompute`, which no operator and no converter uses.
    """
    size = (x.shape[2], x.shape[3])
    record = canonical.sampling("layer", size, input=x[0], weight=weight, **fields)
    h, w = record.output_size
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    positions = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    return recompute(record, positions).T.reshape(-1, h, w)


def bilinear(image: Tensor, y: float, x: float) -> float:
    """A map [H, W] at a real point; pixels outside are zero."""
    height, width = image.shape
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < height and 0 <= column < width:
                part = (1 - abs(y - row)) * (1 - abs(x - column))
                total += part * float(image[row, column])
    return total


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    """Equal up to the rounding of float64, and of something that is not all alike."""
    assert ours.shape == theirs.shape
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs.double(), rtol=1e-9, atol=1e-9)
