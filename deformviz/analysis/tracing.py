"""Follow the taps through several deformable layers, down to the image.

Dai et al., Deformable Convolutional Networks (arXiv 1703.06211), figure 5: three layers of 3 x 3
taps give 9^3 = 729 points for one activation unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from ..geometry import Pair
from ..sampling import Sampling
from .landing import bilinear, on_map, output_units
from .reader import Reader
from .traced import Level, Traced, spread

Mode = Literal["exact", "interp", "paper"]
Follow = Literal["taps", "mask", "kernel"]

_BLOCK = 2**18
"""So many points the exact trace reads at once."""


@torch.no_grad()
def trace(
    samplings: Sequence[Sampling],
    y: int,
    x: int,
    mode: Mode = "exact",
    *,
    follow: Follow = "mask",
    group: int | Sequence[int | None] | None = None,
    merge: bool = False,
    limit: int = 2**20,
) -> Traced:
    """Find the points of the image that one unit of the top layer looks at.

    Each tap of the unit is a point on the layer's input map; the units of the layer below that lie
    there have taps of their own, and so on. What lies between two layers is taken to leave places
    as they are, as a 1 x 1 convolution, a norm or an activation does. How a tap that falls between
    units goes on is the `mode`:

    * "exact": on to each of the four units around it, by its bilinear weight, as the operator's
      gradient does. Points are pixels of the lowest map, those of different ways merged: with
      `follow="kernel"` and kernels that are not negative, of one channel each, their weights *are*
      the gradient of the unit by the pixels. Bounded by the maps' sizes, however many layers.
    * "interp": on to one fractional unit, of which the offsets and masks are interpolated. K points
      in the first layer, K^2 in the second.
    * "paper": on to the nearest unit, as the figures of the paper were drawn; the last points are
      where the lowest layer reads, fractional.

    Points off the map are dropped, and the other taps keep their indices. Points of which an offset
    or weight is not finite are dropped as well.

    Three layers of 7 x 7 taps at 512 x 512 positions take 20 ms of one core ("exact", "paper") to
    60 ms ("interp"): 117,649 points.

    Args:
        samplings: the layers from the top to the lowest, each with its map's place on the image.
        y, x: the output position of the top layer.
        mode: as above.
        follow: what a point's weight is the product of: 1 for each of the "taps", so that points
            are counted; or the "mask" of each; or both that and the "kernel" there, the sum of |w|
            over the input channels, averaged over the output channels.
        group: the offset group to follow, in all layers or for each; None for all of them.
        merge: whether points of the same place become one, with the sum of their weights. Exact
            ones always do.
        limit: the most points to hold.

    Returns:
        See `Traced`: the points and weights of each layer's map, the lowest last.

    Raises:
        ValueError: no layers; a position, mode, or group that is not there; more points than
            `limit`.

    Example:
        >>> from deformviz import Kernel
        >>> layer = Sampling.regular("res5", Kernel.of(3, padding=2, dilation=2), (15, 15))
        >>> trace([layer, layer, layer], 7, 7, "paper").points.shape
        torch.Size([729, 2])
        >>> trace([layer, layer, layer], 7, 7).points.shape  # many of them are the same pixel
        torch.Size([49, 2])
    """
    if not samplings:
        raise ValueError("there is no layer to trace through")
    for name, value, known in (("mode", mode, Mode), ("follow", follow, Follow)):
        if value not in get_args(known):
            raise ValueError(f"{name} must be one of {get_args(known)}, got {value!r}")
    samplings[0].check_position(y, x)
    groups = [group] * len(samplings) if group is None or isinstance(group, int) else list(group)
    if len(groups) != len(samplings):
        raise ValueError(
            f"group has {len(groups)} entries, one for each of {len(samplings)} layers"
        )
    readers = [
        Reader(sampling, chosen, follow != "taps", follow == "kernel")
        for sampling, chosen in zip(samplings, groups, strict=True)
    ]
    if mode == "exact":
        return Traced(tuple(_exact(readers, y, x)))
    return Traced(tuple(_followed(readers, y, x, mode == "paper", merge, limit)))


def _exact(readers: list[Reader], y: int, x: int) -> list[Level]:
    """A map of weights goes down layer by layer: all ways to a unit are one weight."""
    upper: Sampling | None = None
    heat = torch.empty(0)
    levels: list[Level] = []
    for reader in readers:
        layer = reader.sampling
        if upper is None:
            heat = reader.like.new_zeros(layer.output_size)
            heat[y, x] = 1
        elif upper.input_size != layer.output_size:
            points, weights = _not_zero(heat)
            units, shares = bilinear(output_units(upper, layer, points), layer.output_size)
            heat = spread(units, shares * weights[:, None], layer.output_size)
        heat = _down(reader, heat.to(reader.like))
        points, weights = _not_zero(heat)
        levels.append(Level(layer.name, layer.input_size, points, weights, None, layer.image_map))
        upper = layer
    return levels


def _not_zero(heat: Tensor) -> tuple[Tensor, Tensor]:
    """The units of a map that have a weight, [n, 2], and those weights [n]."""
    units = heat.nonzero()
    return units.to(heat.dtype), heat[units[:, 0], units[:, 1]]


def _down(reader: Reader, heat: Tensor) -> Tensor:
    """From weights on a layer's output [h, w] to weights on its input [H, W]."""
    size = reader.sampling.input_size
    total = heat.new_zeros(size)
    for units in torch.split(heat.nonzero(), max(1, _BLOCK // len(reader.taps))):
        points, factors = reader.at_units(units)  # [n, T, 2], [n, T]
        weights = factors * heat[units[:, 0], units[:, 1], None]
        corners, shares = bilinear(points.flatten(0, 1), size)  # [n * T, 4, 2], [n * T, 4]
        total += spread(corners, shares * weights.flatten()[:, None], size)
    return total


def _followed(
    readers: list[Reader], y: int, x: int, nearest: bool, merge: bool, limit: int
) -> list[Level]:
    """Each way on its own: points, their weights and the taps that led there."""
    points = readers[0].like.new_tensor([[y, x]])
    weights, taps = points.new_ones(1), torch.zeros(1, 0, dtype=torch.int64, device=points.device)
    levels: list[Level] = []
    for index, reader in enumerate(readers):
        layer = reader.sampling
        if index:
            points = output_units(readers[index - 1].sampling, layer, points)
        points, weights, taps = (t.to(reader.like.device) for t in (points, weights, taps))
        if nearest:
            points = points.round()
        points, weights, taps = _kept(points, weights, taps, layer.output_size, nearest, merge)
        _check_limit(len(points) * len(reader.taps), limit, layer.name)
        read = reader.at_units(points.long()) if nearest else reader.at_points(points)
        points, weights = read[0].flatten(0, 1), (weights[:, None] * read[1]).flatten()
        taps = _appended(taps, reader.taps)
        points, weights, taps = _kept(points, weights, taps, layer.input_size, nearest, merge)
        ways = None if merge else taps
        levels.append(Level(layer.name, layer.input_size, points, weights, ways, layer.image_map))
    if not nearest:
        levels[-1] = _faded(levels[-1])
    return levels


def _check_limit(count: int, limit: int, name: str) -> None:
    if count > limit:
        raise ValueError(
            f"tracing through {name!r} would make {count} points, more than {limit}: take fewer "
            'layers, one group, merge=True, or mode="exact", which needs no more than the maps'
        )


def _appended(taps: Tensor, last: Tensor) -> Tensor:
    """Each way [n, depth] with each of the next taps [T]: [n * T, depth + 1]."""
    before = taps.repeat_interleave(len(last), dim=0)
    return torch.cat((before, last.to(taps.device).repeat(len(taps))[:, None]), dim=1)


def _kept(
    points: Tensor, weights: Tensor, taps: Tensor, size: Pair, nearest: bool, merge: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The points that are on a map: their nearest unit, or a part of them. Merged if asked for."""
    inside = on_map(points.round(), size) if nearest else bilinear(points, size)[1].sum(1) > 0
    kept = inside & weights.isfinite()
    points, weights, taps = points[kept], weights[kept], taps[kept]
    if not merge:
        return points, weights, taps
    places, place = torch.unique(points + 0.0, dim=0, return_inverse=True)  # -0.0 is 0.0
    total = weights.new_zeros(len(places)).index_add_(0, place, weights)
    return places, total, taps[: len(places)]


def _faded(level: Level) -> Level:
    """The weights as the operator sees them: a point that is on the map in part counts in part."""
    inside = bilinear(level.points, level.size)[1].sum(1)
    return Level(
        level.name, level.size, level.points, level.weights * inside, level.taps, level.image_map
    )
