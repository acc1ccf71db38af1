"""What points outside the map read, said in the words of a `Sampling`: other points, and masks.

A `Sampling` knows one rule, zeros that fade over a pixel. A code base that clamps reads the pixels
at the clamped points, and one that counts the border twice weighs them by two.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import Pair
from .canonical import Canonical, pixel_pair
from .family import Outside


def confine(canonical: Canonical, rule: Outside, size: Pair | None) -> Canonical:
    """The same reading under the rule of a `Sampling`.

    Args:
        canonical: points as the code base computes them.
        rule: what it does with those outside the map.
        size: (H, W) of the map.

    Raises:
        ValueError: a rule that needs the map's size, without it.
    """
    if rule == "zero":
        return canonical
    if size is None:
        raise ValueError(f"size=(H, W) of the map that is read is needed: outside is {rule!r}")
    base = canonical.base()
    points = base + canonical.offset
    last = pixel_pair(size, points) - 1
    landed = torch.minimum(points.clamp(min=0), last)
    weight = _weight(points, last, rule)
    mask = canonical.mask
    if weight is not None:
        mask = weight if mask is None else mask * weight
    return Canonical(canonical.kernel, landed - base, mask, canonical.reference)


def _weight(points: Tensor, last: Tensor, rule: Outside) -> Tensor | None:
    """A factor for each point [B, G, K, h, w]: the product of what either axis says."""
    if rule == "clamp":
        return None
    if rule == "clamp-double":
        # Both neighbours of a clamped point are the border's pixel, with weight 1 each.
        return (1 + ((points < 0) | (points >= last)).to(points.dtype)).prod(dim=3)
    return ((points >= 0) & (points < last + 1)).all(dim=3).to(points.dtype)
