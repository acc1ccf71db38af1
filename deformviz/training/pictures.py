"""What else is to be seen at a moment, beside where the layers read: small pictures by name."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import torch
from torch import Tensor

from . import coordinates, regions
from .loop import Moment
from .task import Knobs

Pictures = dict[str, Tensor]
"""[h, w]: whole numbers are labels, others are drawn from black to white."""


def pictures(task: str, knobs: Knobs, moment: Moment) -> Pictures:
    """Of a task's moment; none, where the layers show all there is.

    Example:
        >>> from .loop import Score
        >>> pictures("scale", {}, Moment(0, 9, 0.0, 0.0, {"plain": Score(1, 0)}, ()))
        {}
    """
    make = _PICTURES.get(task)
    return {} if make is None else make(knobs, moment)


def _of_regions(knobs: Knobs, moment: Moment) -> Pictures:
    """The true regions, and the guide map with the numbers that fit them best."""
    kind = regions.probe_batch().about["kind"][0]
    found = [sampling.region for sampling in moment.samplings if sampling.region is not None]
    if not found or found[0].shape != kind.shape:
        return {"true regions": kind}
    return {"true regions": kind, "guide map": fitted(found[0].long().cpu(), kind)}


def fitted(region: Tensor, kind: Tensor) -> Tensor:
    """The same regions, numbered so that as many positions as can be have their kind's number.

    Example:
        >>> fitted(torch.tensor([[2, 2, 0, 1]]), torch.tensor([[0, 0, 1, 1]]))
        tensor([[0, 0, 1, 2]])
    """
    n = int(max(region.max(), kind.max())) + 1
    both = torch.zeros(n, n).index_put_(
        (region.flatten(), kind.flatten()), torch.ones(region.numel()), accumulate=True
    )
    best = max(permutations(range(n)), key=lambda order: sum(both[i, order[i]] for i in range(n)))
    return torch.tensor(best)[region]


def _of_coordinates(knobs: Knobs, moment: Moment) -> Pictures:
    """Where the square is, and where the network says that it is."""
    picture = torch.from_numpy(coordinates.probe(knobs)).float().mean(2) / 255  # [64, 64]
    asked = {"the square": picture}
    if moment.answer is None:
        return asked
    side = picture.shape[0]
    if moment.answer.shape[1] == side * side:
        chance = moment.answer[0].softmax(0).reshape(side, side)
        return asked | {"probability of each pixel": chance / chance.max()}
    y, x = ((moment.answer[0] + 1) / 2 * (side - 1)).round().long().clamp(0, side - 1).tolist()
    found = picture / 3
    found[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 1
    return asked | {"the place that is found": found}


_PICTURES: dict[str, Callable[[Knobs, Moment], Pictures]] = {
    "regions": _of_regions,
    "coordinates": _of_coordinates,
}
