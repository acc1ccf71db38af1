"""Findings about a layer's mask: whether it says anything, and whether it can still learn."""

from __future__ import annotations

import torch
from torch import Tensor

from .by_group import groups_of, percent, pick, said
from .finding import Finding
from .measures import Measures
from .strips import count_taps, row_strips


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
    ends = _at_ends(m, mask)
    shares = ends[2].flatten(1).sum(1) / (m.sampling.taps * m.positions)
    return [
        _saturated(m, ends, group)
        for group in groups_of((shares > m.limits.mask_saturated) & ~m.mask_constant)
    ]


def _saturated(m: Measures, ends: Tensor, group: int | None) -> Finding:
    shut, open_, either = (pick(counts, group) for counts in ends)  # [g, h, w]
    low, high = (int(end.sum()) / (m.sampling.taps * end.numel()) for end in (shut, open_))
    limit = m.limits.mask_saturated
    sentence = (
        f"{percent(low + high)} of the mask, more than {percent(limit)}, are at an end: "
        f"{percent(low)} at 0 and {percent(high)} at {m.mask_max:g}."
    )
    where = either.sum(0) / (m.sampling.taps * len(either))
    return Finding(
        "mask saturated", "warning", low + high, limit, "share", said(group, sentence), where, group
    )


def _at_ends(m: Measures, mask: Tensor) -> Tensor:
    """How many taps of each position are at 0, at their largest value, at either: [3, G, h, w]."""
    strips = []
    for rows in row_strips(m.sampling):
        shut, open_ = _ends(m, mask[..., rows, :])
        strips.append(torch.stack([count_taps(end) for end in (shut, open_, shut | open_)]))
    return torch.cat(strips, dim=2)


def _ends(m: Measures, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Which values [G, K, r, w] of a mask are at 0, and which at their largest possible value."""
    margin = m.limits.mask_end * m.mask_max
    shut, open_ = mask < margin, mask > m.mask_max - margin
    if m.mask_is_shared_out:
        # Many taps have little where all of them share 1; it is over once one of them has it all.
        shut = shut & open_.any(dim=1, keepdim=True)
    return shut, open_
