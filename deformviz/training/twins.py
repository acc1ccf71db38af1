"""A plain twin for a network, of as many parameters: kinds are compared, not sizes.

Where a step of the network takes several times as long, as many steps alone would flatter it: then
a second twin may train for as much time.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from .task import Knob, Knobs

EQUAL_TIME = "plain, equal time"
"""A plain network that was trained for as long as the first, not for as many steps."""

_STEPS, _TIME = "equal steps", "equal time"
TWIN = Knob("plain twin", (_STEPS, _TIME), _STEPS)
"""The knob `twin` of a task whose first network may be much slower than its twin."""


def trains_longer(knobs: Knobs) -> bool:
    """Whether a second twin, `EQUAL_TIME`, is asked for.

    Example:
        >>> trains_longer({"twin": "equal time"}), trains_longer({})
        (True, False)
    """
    return knobs.get("twin") == _TIME


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
