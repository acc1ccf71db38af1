"""What the viewer must show: computed from a `Sampling` by the definitions, in float64.

A value between pixels is the sum over all pixels of the map, each weighted by max(0, 1 - distance)
along y and along x; a kernel is spread out to one weight for every input channel and tap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from deformviz import Sampling, examples
from deformviz.explore import Exploration, Settings, explore
from deformviz.images import decode

ROUNDING = 1e-4
"""Of made-up fields between two processes; far below what the viewer writes."""


def photo_pixels() -> np.ndarray:
    """A photo of 48 x 64 pixels, all colours, no symmetry: [48, 64, 3] uint8."""
    y, x = np.mgrid[:48, :64]
    waves = 40 * np.sin(0.9 * x + 0.5 * y) + 30 * np.cos(0.7 * y)
    channels = (2.5 * x + waves + 60, 4 * y + 0.5 * waves + 20, 230 - x - 2 * y + waves / 2)
    return np.clip(np.stack(channels, axis=-1), 0, 255).round().astype(np.uint8)


PHOTO = "photo"


@lru_cache(maxsize=16)
def run(settings: Settings, image: str = PHOTO, side: int = 64) -> Exploration:
    """The run that the page makes of an example, or of `photo_pixels`."""
    own = image == PHOTO
    pixels = photo_pixels() if own else decode(examples.path(image), max_side=side).pixels
    return explore(pixels, settings, "cpu")


@dataclass(frozen=True)
class Term:
    """A row of the formula: a tap of a group, summed over the channels that it is read from."""

    base: np.ndarray  # [2], (y, x)
    point: np.ndarray  # [2]
    pixel: np.ndarray  # [2], up and left of the point
    shares: list[float]  # [4], of it, its right, its lower and its diagonal neighbour
    channels: int
    value: float
    mask: float
    weight: float
    product: float


@dataclass(frozen=True)
class Terms:
    """The formula of one position.

    Attributes:
        rows: by number n = group * taps + tap, those with a weight.
        total: of all input channels, whichever the rows are for, and the bias.
        given: the operator's own output.
    """

    rows: dict[int, Term]
    total: float
    given: float


def points_at(sampling: Sampling, y: int, x: int) -> np.ndarray:
    """Where a position reads: [G * K, 2], (y, x) in pixels of the image."""
    places = sampling.image_map.to_image(sampling.points_at(y, x).double())
    return np.asarray(places.reshape(-1, 2))


def base_at(sampling: Sampling, y: int, x: int) -> np.ndarray:
    """The regular grid of a position: [G * K, 2], (y, x) in pixels of the map."""
    if sampling.reference is not None:
        return np.asarray(sampling.reference[..., y, x].double().reshape(-1, 2))
    k = sampling.kernel
    taps = [
        [p * s - pad + step * d for p, s, pad, step, d in zip(
            (y, x), k.stride, k.padding, (i, j), k.dilation, strict=True)]
        for i in range(k.size[0]) for j in range(k.size[1])
    ]  # fmt: skip
    return np.tile(np.array(taps, dtype=np.float64), (sampling.groups, 1))


def dense_kernel(sampling: Sampling, y: int, x: int) -> np.ndarray:
    """The weight of every input channel and tap in every output channel: [O, C, K]."""
    assert sampling.input is not None
    channels = sampling.input.shape[0]
    if sampling.weight is None:
        return np.eye(channels)[:, :, None]
    weight = sampling.weight if sampling.region is None else sampling.weight[sampling.region[y, x]]
    own = weight.double().flatten(2).numpy()  # [O, I, K]
    outputs, per_output, taps = own.shape
    dense = np.zeros((outputs, channels, taps))
    in_group = outputs // (channels // per_output)
    for o in range(outputs):
        first = o // in_group * per_output
        dense[o, first : first + per_output] = own[o]
    return dense


def shares(point: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The weight of every row and of every column of a map in the value at a point."""
    return tuple(  # type: ignore[return-value]
        np.clip(1 - np.abs(np.arange(n) - p), 0, None) for n, p in zip(size, point, strict=True)
    )


def sample(values: np.ndarray, point: np.ndarray) -> np.ndarray:
    """A map [C, H, W] at a point, zero outside: [C]."""
    rows, columns = shares(point, values.shape[1:])  # type: ignore[arg-type]
    return np.asarray(rows @ values @ columns)


def terms(
    sampling: Sampling,
    y: int,
    x: int,
    output: int | None = 0,
    channel: int | None = None,
    points: np.ndarray | None = None,
) -> Terms:
    """Take an output value apart.

    Args:
        output: an output channel, or None for the mean of all.
        channel: the input channel whose numbers the rows have, or None for all.
        points: [G * K, 2] where it reads after someone has moved the taps, in pixels of the map.
    """
    assert sampling.input is not None
    assert sampling.output is not None
    values = sampling.input.double().numpy()
    kernels = dense_kernel(sampling, y, x)
    kernel = kernels.mean(axis=0) if output is None else kernels[output]  # [C, K]
    given = sampling.output[:, y, x].double().numpy()
    base, mask = base_at(sampling, y, x), sampling.mask_at(y, x).double().reshape(-1).tolist()
    offset = sampling.offset[..., y, x].double().reshape(-1, 2).numpy()
    per_group = len(values) // sampling.groups
    bias = torch.zeros(len(given)) if sampling.bias is None else sampling.bias.double()
    rows, total = {}, float(bias.mean() if output is None else bias[output])
    for n, point in enumerate(base + offset if points is None else points):
        g, k = divmod(n, sampling.taps)
        own = np.arange(g * per_group, (g + 1) * per_group)
        read, weights = sample(values[own], point), kernel[own, k]
        products = weights * mask[n] * read
        total += float(products.sum())
        chosen = (weights != 0) & ((own == channel) | (channel is None))
        if chosen.any():
            one = int(chosen.argmax())
            numbers = (mask[n], float(weights[one]), float(products[chosen].sum()))
            around = neighbours(point, values.shape[1:])
            rows[n] = Term(base[n], point, *around, int(chosen.sum()), float(read[one]), *numbers)
    return Terms(rows, total, float(given.mean() if output is None else given[output]))


def neighbours(point: np.ndarray, size: tuple[int, ...]) -> tuple[np.ndarray, list[float]]:
    """The pixel up and left of a point, [2]; the weights of it and its three neighbours, [4]."""
    corner = np.floor(point)
    weights = [
        float((1 - np.abs(point - pixel)).prod()) if ((pixel >= 0) & (pixel < size)).all() else 0.0
        for pixel in corner + np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
    ]
    return corner, weights
