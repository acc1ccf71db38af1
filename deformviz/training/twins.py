"""A plain twin for a network, of as many parameters: kinds are compared, not sizes."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def parameters(net: nn.Module) -> int:
    """How many numbers a network learns.

    Example:
        >>> parameters(nn.Conv2d(3, 8, 3))
        224
    """
    return sum(p.numel() for p in net.parameters())


def twin_of(net: nn.Module, plain: Callable[[int], nn.Module]) -> nn.Module:
    """The narrowest of a family of plain networks that has no fewer parameters than `net`.

    Args:
        net: what it is to be compared with.
        plain: a width to a network; a wider one has more parameters.

    Example:
        >>> twin_of(nn.Linear(4, 8), lambda width: nn.Linear(width, 8)).in_features
        4
    """
    wanted, width = parameters(net), 1
    while parameters(twin := plain(width)) < wanted:
        width += 1
    return twin
