"""How the Explore page runs one operator: the row of a table, and the check that goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..geometry import Kernel
from ..sampling import Sampling
from .settings import Settings

COLORS = ("red", "green", "blue")
"""The image's channels."""


TOLERANCE = 1e-5
"""What float32 sums of colours in [0, 1] may differ by."""


@dataclass(frozen=True)
class Check:
    """A comparison that a run made of itself.

    Attributes:
        claim: what is compared, in words.
        difference: the largest absolute difference found.
        tolerance: what float32 sums of this length and size may differ by.
    """

    claim: str
    difference: float
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Operator:
    """A row of `OPERATORS`.

    Attributes:
        paper: where it was published.
        controls: the fields of `Settings` that it can depend on, beside the kernel's size and seed.
        reads: settings to the regular grid and in how many groups it is read, which is what a run
            takes memory for.
        prepare: (settings, image [1, 3, H, W]) to the call, which gives its Sampling: what is made
            up is made before, so that the call alone can be timed.
        check: (settings, image) to how far a second implementation is from it.
    """

    paper: str
    controls: tuple[str, ...]
    reads: Callable[[Settings], tuple[Kernel, int]]
    prepare: Callable[[Settings, Tensor], Callable[[], Sampling]]
    check: Callable[[Settings, Tensor], Check]


def gap(ours: Tensor | None, other: Tensor) -> float:
    """The largest absolute difference between an output [O, h, w] and [1, O, h, w]."""
    assert ours is not None
    return (ours.cpu() - other[0].cpu()).abs().max().item()


def feature_unit(sampling: Sampling) -> float:
    """What a difference of features is measured in: they are no colours and may be much larger."""
    assert sampling.output is not None
    return max(1.0, sampling.output.abs().max().item())
