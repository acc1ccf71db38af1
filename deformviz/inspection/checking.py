"""Every record of a network checked against its layer's own output, in bounded time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..checkpoints import Verified, verify, verify_sum
from ..sampling import Sampling
from .matching import module_path

_PRODUCTS = 2**28
"""So many products are recomputed for a whole network: some seconds of one core."""

_CHANNELS = 32
"""Output channels that are compared; a wrong order shows in each of them."""

_POSITIONS = (4, 64)
"""At fewest and at most, for each layer."""


@dataclass(frozen=True)
class Check:
    """What came of checking one record; where it could not be, `note` says why."""

    verified: Verified | None
    note: str = ""


def check_layers(
    samplings: Sequence[Sampling], totals: Mapping[tuple[str, ...], Tensor]
) -> list[Check]:
    """Recompute each layer's output from its record.

    Args:
        samplings: of one network.
        totals: by the names of records, in their order, the output that they add up to, as the
            levels of an attention do.

    Example:
        >>> import torch
        >>> from deformviz.operators import conv2d_sampling
        >>> s = conv2d_sampling(torch.rand(1, 2, 5, 5), torch.rand(4, 2, 3, 3))
        >>> [check.verified.ok for check in check_layers([s], {})]
        [True]
    """
    budget = _PRODUCTS // max(1, len(samplings))
    by_name = {s.name: s for s in samplings}
    sums = {
        name: _check_sum([by_name[part] for part in names], total, budget)
        for names, total in totals.items()
        if by_name.keys() >= set(names)
        for name in names
    }
    return [sums.get(s.name) or _check_one(s, budget) for s in samplings]


def _check_one(sampling: Sampling, budget: int) -> Check:
    if sampling.output is None:
        return Check(None, _NO_OUTPUT if module_path(sampling.name) else "")
    try:
        found = verify(sampling, positions=_positions([sampling], budget), channels=_CHANNELS)
    except (ValueError, RuntimeError, IndexError) as error:
        return Check(None, f"Not verified: {error}.")
    return _of(found)


_NO_OUTPUT = "Not verified: the record does not hold the layer's output."


def _check_sum(parts: Sequence[Sampling], total: Tensor, budget: int) -> Check:
    try:
        return _of(verify_sum(parts, total, positions=_positions(parts, budget)))
    except (ValueError, RuntimeError, IndexError) as error:
        return Check(None, f"Not verified: {error}.")


def _of(found: Verified) -> Check:
    """A NaN is neither right nor wrong."""
    if math.isfinite(found.difference) and math.isfinite(found.tolerance):
        return Check(found)
    return Check(None, "Not verified: what the layer read or made is not finite.")


def _positions(samplings: Sequence[Sampling], budget: int) -> int:
    """How many positions the budget allows for; each is computed twice."""
    products = sum(_products(one) for one in samplings)
    fewest, most = _POSITIONS
    return max(fewest, min(most, budget // (2 * products)))


def _products(sampling: Sampling) -> int:
    """How many products are added up at one position, for the channels that are compared."""
    if sampling.weight is None:
        return sampling.taps * (1 if sampling.input is None else sampling.input.shape[0])
    outputs, *rest = sampling.weight.shape[-4:]
    return min(outputs, _CHANNELS) * rest[0] * rest[1] * rest[2]
