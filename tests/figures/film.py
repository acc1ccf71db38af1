"""Samplings that are made up for a film, and what its first frame shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from drawn import rgb

from deformviz import Kernel, Sampling
from deformviz.figures import index_colors
from deformviz.figures.sweep import sweep_frames

GREY = np.full((100, 100, 3), 90, dtype=np.uint8)
"""A ground on which every mark shows."""


def made_up(moves: list[list[float]], mask: list[float] | None = None, **other: Any) -> Sampling:
    """Nine taps, 20 pixels apart around the middle of 100 x 100, moved by (dy, dx) everywhere.

    Its output is one position; tap k's place in the regular grid is 30 + 20 * divmod(k, 3).
    """
    kernel = Kernel.of(3, stride=100, padding=0, dilation=20)
    offset = torch.tensor(moves, dtype=torch.float32).reshape(-1, 9, 2, 1, 1)
    reference = 30 + 20.0 * torch.cartesian_prod(torch.arange(3), torch.arange(3))
    base = reference.reshape(1, 9, 2, 1, 1).expand_as(offset)
    weight = None if mask is None else torch.tensor(mask).reshape(-1, 9, 1, 1)
    return Sampling("made up", (100, 100), (1, 1), kernel, offset, base, weight, **other)


def still(s: Sampling, image: np.ndarray | None = GREY, side: int = 400) -> np.ndarray:
    """The first frame: [H, W, 3]."""
    return np.asarray(sweep_frames(s, image, frames=2, side=side)[0])


def color_of(s: Sampling, tap: int, group: int = 0) -> tuple[int, ...]:
    """A tap's colour, or a group's where each has one tap."""
    return rgb(index_colors(s.groups)[group] if s.taps == 1 else index_colors(s.taps)[tap])


def place(point: torch.Tensor, scale: float) -> tuple[int, int]:
    """The pixel of a frame at a point of the image, whose pixel 0 spans -0.5 to 0.5."""
    y, x = ((float(v) + 0.5) * scale for v in point)
    return (math.floor(y), math.floor(x))
