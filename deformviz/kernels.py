"""Weights to play with, so that the output image shows what the operator does."""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import torch
from torch import Tensor

from .geometry import Pair


def _identity(size: Pair, seed: int) -> Tensor:
    """One at the centre tap (of an even size, the upper left of the central four)."""
    weight = torch.zeros(size)
    weight[(size[0] - 1) // 2, (size[1] - 1) // 2] = 1
    return weight


def _mean(size: Pair, seed: int) -> Tensor:
    return torch.full(size, 1 / (size[0] * size[1]))


def _binomial(length: int) -> Tensor:
    """A row of Pascal's triangle that sums to 1: the discrete Gaussian."""
    row = torch.tensor([float(comb(length - 1, i)) for i in range(length)])
    return row / row.sum()


def _gaussian(size: Pair, seed: int) -> Tensor:
    return torch.outer(_binomial(size[0]), _binomial(size[1]))


def _difference(length: int) -> Tensor:
    """The derivative of a binomial row: a central difference, smoothed; of one tap, itself."""
    if length == 1:
        return torch.ones(1)
    if length == 2:
        return torch.tensor([-1.0, 1.0])
    smooth = _binomial(length - 2)
    row = torch.zeros(length)
    row[2:] += smooth
    row[:-2] -= smooth
    return row / 2


def _sobel_x(size: Pair, seed: int) -> Tensor:
    return torch.outer(_binomial(size[0]), _difference(size[1]))


def _sobel_y(size: Pair, seed: int) -> Tensor:
    return torch.outer(_difference(size[0]), _binomial(size[1]))


def _random(size: Pair, seed: int) -> Tensor:
    weight = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return weight / weight.abs().sum()


KERNELS: dict[str, Callable[[Pair, int], Tensor]] = {
    "identity": _identity,
    "mean": _mean,
    "Gaussian": _gaussian,
    "Sobel x": _sobel_x,
    "Sobel y": _sobel_y,
    "random": _random,
}


def kernel_weight(name: str, size: Pair, seed: int = 0) -> Tensor:
    """The weights of one channel.

    Args:
        name: one of `KERNELS`. "Sobel x" and "Sobel y" are smoothed slopes: at 3 x 3, an
            eighth of the classic filter; along an axis of one tap, where nothing differs, they
            hand the value on.
        size: (kh, kw).
        seed: for "random".

    Returns:
        [kh, kw].

    Raises:
        ValueError: an unknown name.

    Example:
        >>> kernel_weight("Gaussian", (1, 3))
        tensor([[0.2500, 0.5000, 0.2500]])
    """
    if name not in KERNELS:
        raise ValueError(f"unknown kernel {name!r}: expected one of {', '.join(KERNELS)}")
    return KERNELS[name](size, seed)
