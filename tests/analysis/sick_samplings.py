"""Layers of which each has one thing wrong with it, and layers that have nothing."""

from __future__ import annotations

import math
from typing import Any

import torch
from made_samplings import layer, normal, uniform
from torch import Tensor

from deformviz import Sampling

SIDE = 64


def sound_offset(seed: int = 0, taps: int = 9) -> Tensor:
    """A shape of its own for each tap and as much again that varies, within 1.4 px: one group."""
    shape = uniform(1, taps, 2, 1, 1, seed=seed) - 0.5
    return 1.4 * (shape + uniform(1, taps, 2, SIDE, SIDE, seed=seed + 1) - 0.5)


def sound_mask(seed: int = 0, taps: int = 9) -> Tensor:
    return normal(1, taps, SIDE, SIDE, seed=seed).sigmoid()


def nowhere() -> Tensor:
    offset = sound_offset()
    offset[0, 4, 1, 10, 12] = math.nan
    return offset


def exploded() -> Tensor:
    """Taps that read from anywhere on the map: far from home, but never off it."""
    base = layer(torch.zeros(1, 9, 2, SIDE, SIDE, dtype=torch.float64)).points()
    return (SIDE - 1) * uniform(1, 9, 2, SIDE, SIDE) - base


def outside() -> Tensor:
    """The first tap alone goes far up, by different distances: three in four off the map."""
    offset = sound_offset()
    offset[0, 0, 0] = -80 * uniform(SIDE, SIDE, seed=4)
    return offset


def clamped() -> Tensor:
    return (2 * normal(1, 9, 2, SIDE, SIDE)).clamp(-2, 2)


def shape_alone() -> Tensor:
    shape = normal(1, 9, 2, 1, 1)
    return shape + 0.01 * normal(1, 9, 2, SIDE, SIDE, seed=1)


def fallen_together() -> Tensor:
    """All taps at one point, which is another one for each position."""
    taps = layer(sound_offset()).kernel.centred_taps().double()
    return normal(1, 1, 2, SIDE, SIDE) - taps[None, :, :, None, None]


def hardly_any() -> Tensor:
    return 0.03 * (uniform(1, 9, 2, SIDE, SIDE) - 0.5)


def ends() -> Tensor:
    """A mask that is open or shut, but for a few positions: 0.96 at an end."""
    mask = (uniform(1, 9, SIDE, SIDE) < 0.25).double()
    mask[..., :2, :] = mask[..., -1:, :] = 0.5
    return mask


def constant() -> Tensor:
    """Another value for each tap, and the same everywhere."""
    return uniform(1, 9, 1, 1) + 0.002 * uniform(1, 9, SIDE, SIDE, seed=1)


ZERO = torch.zeros(18, 4, 3, 3), torch.zeros(18)
BIAS = torch.zeros(18, 4, 3, 3), torch.arange(18.0)

SICK: dict[str, tuple[str, Tensor, Tensor | None, dict[str, Any]]] = {
    "nan": ("nonfinite", nowhere(), sound_mask(), {}),
    "all over the map": ("exploded", exploded(), sound_mask(), {}),
    "zero weights": ("untrained", torch.zeros(1, 9, 2, SIDE, SIDE), constant(), {"weights": ZERO}),
    "zero weights, no bias": (
        "untrained",
        torch.zeros(1, 9, 2, SIDE, SIDE),
        None,
        {"weights": (ZERO[0], None)},
    ),
    "a bias alone": (
        "bias only",
        normal(1, 9, 2, 1, 1).expand(-1, -1, -1, SIDE, SIDE),
        constant(),
        {"weights": BIAS},
    ),
    "zero offsets": ("dead", torch.zeros(1, 9, 2, SIDE, SIDE), None, {}),
    "tiny offsets, constant mask": ("dead", hardly_any(), constant(), {}),
    "tiny offsets, a mask that works": ("still", hardly_any(), sound_mask(), {}),
    "a tap off the map": ("outside", outside(), sound_mask(), {}),
    "clamped": ("clamp binds", clamped(), sound_mask(), {}),
    "one shape everywhere": ("static", shape_alone(), sound_mask(), {}),
    "one point": ("collapsed", fallen_together(), sound_mask(), {}),
    "open or shut": ("mask saturated", sound_offset(), ends(), {}),
    "constant mask": ("mask equal", sound_offset(), constant(), {}),
}
"""By what is wrong: the kind of finding, the offsets and mask of one group, what else is known."""

SOUND: dict[str, tuple[Tensor, Tensor | None]] = {
    "no mask": (sound_offset(), None),
    "sigmoid": (sound_offset(), sound_mask()),
    "twice a sigmoid": (sound_offset(), 2 * sound_mask()),
    "softmax": (sound_offset(), (2 * normal(1, 9, SIDE, SIDE)).softmax(1)),
    "unbounded": (sound_offset(), 3 * normal(1, 9, SIDE, SIDE)),
    "far, for its map": (4 * sound_offset(), sound_mask()),
}


def sick(name: str) -> tuple[str, Sampling, dict[str, Any]]:
    """The finding's kind, the layer, and the other arguments of `findings`."""
    kind, offset, mask, known = SICK[name]
    return kind, layer(offset, mask=mask), known
