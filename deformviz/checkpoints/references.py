"""What points are relative to, for attention: each rule of `family.RelativeTo` that has no taps.

A rule takes offsets [B, G, L * P, 2, h, w], (dy, dx), in the code base's own terms, and gives
pixels of the map of one level. Sources are in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..geometry import Kernel, Pair
from .canonical import Canonical, Frame, pixel_pair, unflatten
from .layer import Layer


def reference(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """Multi-scale deformable attention: relative to reference points, one level of them.

    `base` is [B, Q, L, 2] in (x, y) or [B, Q, L, 4] in (x, y, w, h), as parts of the map, or None
    for queries that are the map's own pixels. A part becomes a pixel by loc * size - 0.5.
    """
    size = frame.known_size("reference points are parts of the map")
    if not 0 <= frame.level < layer.levels:
        raise ValueError(f"level {frame.level} is not one of the {layer.levels} of {layer.name}")
    mine = unflatten(offset, 2, (layer.levels, layer.points))[:, :, frame.level]
    kernel = Kernel.of((1, layer.points))
    if frame.base is None:
        return Canonical(kernel, mine, reference=_pixels(size, offset))
    parts = frame.base.to(offset)[:, :, frame.level]  # [B, Q, 2 or 4]
    points = parts[..., :2].flip(-1).transpose(1, 2)[:, None, None, :, :, None]
    pixels = pixel_pair(size, offset)
    if parts.shape[-1] == 4:
        # A step of 1 is half the box, divided by the number of points.
        box = parts[..., 2:].flip(-1).transpose(1, 2)[:, None, None, :, :, None]
        mine = mine * box * pixels * (0.5 / layer.points)
    return Canonical(kernel, mine, reference=points * pixels - 0.5)


def _pixels(size: Pair, like: Tensor) -> Tensor:
    """Every pixel of a map as a point: [1, 1, 1, 2, H, W]."""
    return Kernel.of(1).anchors(size, like)[None, None, None]


def key_grid(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """DAT: relative to a grid of keys, in parts of the map under align_corners=True.

    The grid's points are (key + 0.5) / (keys - 1) of the way from the first pixel to the last:
    half a pixel off the centres. A scale of 0 or more is offset_range_factor, which bounds the
    offsets by tanh; below 0 the points are clamped to the map.
    """
    size = frame.known_size("keys are parts of the map")
    h, w = offset.shape[-2:]
    if min(h, w) < 2:
        raise ValueError(f"a key grid of {h} x {w} has no positions: they divide by keys - 1")
    keys = _pixels((h, w), offset)
    # From parts of [-1, 1] to pixels, and from keys to pixels.
    stretch = (pixel_pair(size, offset) - 1) / 2
    step = (pixel_pair(size, offset) - 1) / (pixel_pair((h, w), offset) - 1)
    grid = (keys + 0.5) * step
    if layer.scale >= 0:
        bound = layer.scale / (pixel_pair((h, w), offset) - 1)
        return Canonical(Kernel.of(1), offset.tanh() * bound * stretch, reference=grid)
    last = pixel_pair(size, offset) - 1
    points = torch.minimum((grid + offset * stretch).clamp(min=0), last)
    return Canonical(Kernel.of(1), points - grid, reference=grid)


def key_grid_unnormalised(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """lucidrains: keys normalised by (keys - 1), then read under align_corners=False."""
    return _key_grid_lucidrains(layer, offset, frame, transposed=False)


def key_grid_transposed(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """lucidrains, first releases: the same with the grid's rows taken for columns."""
    return _key_grid_lucidrains(layer, offset, frame, transposed=True)


def _key_grid_lucidrains(layer: Layer, offset: Tensor, frame: Frame, transposed: bool) -> Canonical:
    """Channel 0 is read as x, yet divided by the number of rows - 1, and y by that of columns."""
    size = frame.known_size("keys are parts of the map")
    h, w = offset.shape[-2:]
    keys = _pixels((h, w), offset)
    if transposed:
        keys = keys.flip(3)
    divisor = pixel_pair((max(w - 1, 1), max(h - 1, 1)), offset)
    step = pixel_pair(size, offset) / divisor
    moved = layer.scale * offset.tanh() * step
    return Canonical(Kernel.of(1), moved, reference=keys * step - 0.5)


REFERENCES: dict[str, Callable[[Layer, Tensor, Frame], Canonical]] = {
    "reference": reference,
    "key grid": key_grid,
    "key grid, unnormalised": key_grid_unnormalised,
    "key grid, transposed": key_grid_transposed,
}
"""By the word of `family.RelativeTo`."""
