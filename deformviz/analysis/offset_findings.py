"""Findings about where a layer's taps go."""

from __future__ import annotations

import torch
from torch import Tensor

from .by_group import groups_of, percent, pick, said
from .finding import Finding
from .measures import Measures
from .strips import exact_dtype, offsets, row_strips


def exploded(m: Measures) -> list[Finding]:
    """The mean offset is so large that the layer no longer looks where it stands."""
    limit, (height, width) = m.exploded_limit, m.sampling.input_size
    found = []
    for group in groups_of(m.exploded):
        lengths = pick(m.mean_length, group)
        mean, off = float(lengths.nanmean()), float(pick(m.moved_outside, group).mean())
        sentence = (
            f"The mean offset is {mean:.3g} px, more than {limit:.3g} px, on a map of "
            f"{height} x {width}: the offsets exploded, and move {percent(off)} of the taps off."
        )
        where = lengths.nanmean(0)
        found.append(
            Finding("exploded", "error", mean, limit, "px", said(group, sentence), where, group)
        )
    return found


def outside(m: Measures) -> list[Finding]:
    """Offsets move taps off the map. Where they exploded, that they do goes without saying."""
    limit = m.limits.outside
    found = []
    for group in groups_of((m.moved_outside.flatten(1).mean(1) > limit) & ~m.exploded):
        moved = pick(m.moved_outside, group)
        share = float(moved.mean())
        sentence = (
            f"The offsets move {percent(share)} of the taps off the map, more than "
            f"{percent(limit)}: what those read is zero."
        )
        where = moved.mean(0)
        found.append(
            Finding(
                "outside", "warning", share, limit, "share", said(group, sentence), where, group
            )
        )
    return found


def clamp_binds(m: Measures) -> list[Finding]:
    """Many offsets are at the extreme value exactly: they were cut there."""
    limit, extreme = m.limits.clamp, _extremes(m)
    count, counted = _at_extremes(m, extreme)
    shares = count / (2 * m.sampling.taps * m.positions)  # [G]
    groups = groups_of(shares > limit)
    at_extreme = _where_extreme(m, extreme, counted) if groups else None
    found = []
    for group in groups:
        share = float(pick(shares, group).mean())
        sentence = (
            f"{percent(share)} of the offsets, more than {percent(limit)}, are exactly "
            f"{_plus_minus(extreme)}: they are clamped, and the clamp binds."
        )
        assert at_extreme is not None
        where = pick(at_extreme, group).mean(0)
        found.append(
            Finding(
                "clamp binds", "warning", share, limit, "share", said(group, sentence), where, group
            )
        )
    return found


def _extremes(m: Measures) -> Tensor:
    """The clamp of dy and dx [2], or where it is not known the largest of them."""
    offset = m.sampling.offset
    if m.info.clamp is not None:
        return torch.full((2,), m.info.clamp, dtype=exact_dtype(offset.device)).to(offset.device)
    return m.strip_tops.amax(0)


def _at_extremes(m: Measures, extreme: Tensor) -> tuple[Tensor, Tensor]:
    """How many of each group's offsets are at an extreme [G], and which channels count [G, K, 2].

    Where the clamp is not known, two things are no sign of one: the single largest value, which
    every field has, and a channel that is the same everywhere, as those of made-up fields are.
    """
    shape = (m.sampling.groups, m.sampling.taps, 2)
    count = torch.zeros(shape, dtype=torch.int64, device=m.sampling.offset.device)
    for rows, top in zip(row_strips(m.sampling), m.strip_tops, strict=True):
        if bool((top >= _nearly(extreme)).any()):  # most strips do not reach it
            count += _extreme(m, extreme, rows).sum(dim=(3, 4))
    if m.info.clamp is not None:
        return count.sum(dim=(1, 2)), torch.ones_like(count, dtype=torch.bool)
    counted = count < m.positions
    total = (count * counted).sum(dim=1)  # [G, 2]
    return (total - 1).clamp(min=0).sum(1), counted


def _where_extreme(m: Measures, extreme: Tensor, counted: Tensor) -> Tensor:
    """The share of each position's offsets that are at an extreme: [G, h, w]."""
    strips = []
    for rows in row_strips(m.sampling):
        at = _extreme(m, extreme, rows) & counted[..., None, None]
        strips.append(at.to(extreme.dtype).mean(dim=(1, 2)))
    return torch.cat(strips, dim=1)


def _extreme(m: Measures, extreme: Tensor, rows: slice) -> Tensor:
    """Which offsets of some rows are at an extreme, but for rounding: [G, K, 2, r, w]."""
    size = offsets(m.sampling, rows).abs()
    reach = extreme[:, None, None]
    return (size >= _nearly(reach)) & (size < torch.inf) & (reach > 0)


def _nearly(extreme: Tensor) -> Tensor:
    return extreme * (1 - 1e-6)


def _plus_minus(extreme: Tensor) -> str:
    dy, dx = extreme.tolist()
    return f"±{dy:.4g} px" if dy == dx else f"±{dy:.4g} px along y or ±{dx:.4g} px along x"


def static(m: Measures) -> list[Finding]:
    """The taps are moved, but the same way everywhere: whatever the image, it is one kernel."""
    if m.positions < 2:
        return []
    limit, parts = m.limits.static, m.parts
    found = []
    for group in groups_of((parts.adaptive / parts.norm < limit) & ~m.still):
        adaptive, norm = (_rms(pick(part, group)) for part in (parts.adaptive, parts.norm))
        share = adaptive / norm
        sentence = (
            f"The taps are moved by {norm:.3g} px, but the same way everywhere: what varies is "
            f"{percent(share)} of that, less than {percent(limit)}."
        )
        where = pick(parts.deviation, group).square().mean(0).sqrt()
        found.append(
            Finding("static", "info", share, limit, "share", said(group, sentence), where, group)
        )
    return found


def collapsed(m: Measures) -> list[Finding]:
    """The taps of a position fall together, and read one and the same value."""
    if m.sampling.taps < 2:
        return []
    limit, close = m.limits.collapsed_share, m.closeness < m.limits.collapsed  # [G, h, w]
    shares = close.flatten(1).mean(1, dtype=m.closeness.dtype)
    found = []
    for group in groups_of(shares > limit):
        share = float(pick(shares, group).mean())
        sentence = (
            f"The taps fall together at {percent(share)} of the positions, more than "
            f"{percent(limit)}: they lie at less than {m.limits.collapsed:g} of the regular "
            "kernel's distances there."
        )
        where = pick(close, group).any(0)
        found.append(
            Finding(
                "collapsed", "warning", share, limit, "share", said(group, sentence), where, group
            )
        )
    return found


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
