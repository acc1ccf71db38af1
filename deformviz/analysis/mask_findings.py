"""Findings about a layer's mask: whether it says anything, and whether it can still learn."""

from __future__ import annotations

import torch
from torch import Tensor

from .by_group import groups_of, percent, pick, said
from .finding import Finding
from .measures import Measures


def equal(m: Measures) -> list[Finding]:
    """Each tap's mask is the same everywhere. Of a layer whose taps do not move, see `dead`."""
    mask = m.sampling.mask
    if mask is None or m.positions < 2:
        return []
    found = []
    for group in groups_of(m.mask_constant & ~m.still & m.sound):
        spread, mean = float(pick(m.mask_spread, group).max()), float(pick(mask, group).mean())
        sentence = (
            f"Each tap's mask varies by at most {spread:.2g} over the map, less than "
            f"{m.mask_limit:.2g}: a constant, {mean:.3g} on average, that could be part of the "
            "kernel."
        )
        where = torch.ones(m.sampling.output_size, dtype=torch.bool, device=mask.device)
        found.append(
            Finding(
                "mask equal", "info", spread, m.mask_limit, "", said(group, sentence), where, group
            )
        )
    return found


def saturated(m: Measures) -> list[Finding]:
    """Most of the mask is fully shut or fully open, where a sigmoid hardly learns any more.

    Where it is the same everywhere as well, that says it all; see `equal`.
    """
    mask = m.sampling.mask
    if mask is None or m.mask_max == torch.inf:
        return []
    shut, open_ = _ends(m, mask)  # [G, K, h, w]
    shares = (shut | open_).flatten(1).mean(1, dtype=torch.float32)
    found = []
    for group in groups_of((shares > m.limits.mask_saturated) & ~m.mask_constant):
        found.append(_saturated(m, pick(shut, group), pick(open_, group), group))
    return found


def _saturated(m: Measures, shut: Tensor, open_: Tensor, group: int | None) -> Finding:
    low, high = (float(end.mean(dtype=torch.float32)) for end in (shut, open_))
    limit = m.limits.mask_saturated
    sentence = (
        f"{percent(low + high)} of the mask, more than {percent(limit)}, are at an end: "
        f"{percent(low)} at 0 and {percent(high)} at {m.mask_max:g}."
    )
    where = (shut | open_).mean(dim=(0, 1), dtype=torch.float32)
    return Finding(
        "mask saturated", "warning", low + high, limit, "share", said(group, sentence), where, group
    )


def _ends(m: Measures, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Which mask values are at 0 and which at their largest possible value: [G, K, h, w] each."""
    margin = m.limits.mask_end * m.mask_max
    shut, open_ = mask < margin, mask > m.mask_max - margin
    if m.mask_is_shared_out:
        # Many taps have little where all of them share 1; it is over once one of them has it all.
        shut = shut & open_.any(dim=1, keepdim=True)
    return shut, open_
