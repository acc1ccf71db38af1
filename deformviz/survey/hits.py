"""Which findings each image has: the conditions of `analysis.findings`, for a batch at once.

Only whether something is found is asked, of each offset group; no map and no sentence is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from ..analysis import LayerInfo, OffsetWeights, Thresholds, findings
from ..analysis.finding import Kind
from ..sampling import Sampling
from .measuring import Measured
from .stacks import Known, Stack

KINDS: tuple[Kind, ...] = get_args(Kind)
"""What there is to find; a row each in what is counted."""

_BEYOND = 0.001
"""A mask that goes so far beyond what its activation allows has another one."""


def hits(stack: Stack, m: Measured, known: Known, limits: Thresholds) -> Tensor:
    """Which groups of which images have which finding.

    Args:
        stack: of finite numbers.
        m: of the stack.
        known: of the layer.
        limits: as of `analysis.findings`.

    Returns:
        [B, KINDS, G] bool.
    """
    batch, groups = m.length.shape
    told = torch.zeros(batch, len(KINDS), groups, dtype=torch.bool)

    def tell(kind: Kind, where: Tensor) -> None:
        told[:, KINDS.index(kind)] = where

    numbers = stack.offset.shape[2] * stack.positions
    exploded = m.length / numbers > _exploded_limit(stack, limits)
    still = m.longest < limits.still
    tell("exploded", exploded)
    tell("outside", (m.moved_outside / numbers > limits.outside) & ~exploded)
    tell("clamp binds", _clamp_binds(stack, limits))
    if stack.offset.shape[2] > 1:
        tell("collapsed", m.close / stack.positions > limits.collapsed_share)
    constant, saturated = _of_masks(stack, m, known, limits)
    tell("mask saturated", saturated & ~constant)
    if known.unlearned is not None:
        tell(known.unlearned, torch.ones(batch, groups, dtype=torch.bool))
        return told
    tell("dead", still & constant)
    tell("still", still & ~constant)
    if stack.positions > 1:
        tell("static", _static(stack, m, limits) & ~still)
        if stack.mask is not None:
            tell("mask equal", constant & ~still)
    return told


def hits_one_by_one(samplings: Sequence[Sampling], known: Known, limits: Thresholds) -> Tensor:
    """The same by `analysis.findings` itself, for what is rare: NaN and infinity, regions."""
    groups = samplings[0].groups
    told = torch.zeros(len(samplings), len(KINDS), groups, dtype=torch.bool)
    for image, sampling in enumerate(samplings):
        info = LayerInfo(mask_max=_mask_max_of(sampling, known))
        for found in findings(
            sampling, layer_info=info, weights=_weights_like(known), thresholds=limits
        ):
            of = slice(None) if found.group is None else slice(found.group, found.group + 1)
            told[image, KINDS.index(found.kind), of] = True
    return told


def _exploded_limit(stack: Stack, limits: Thresholds) -> float:
    floor = limits.exploded_kernel * max(stack.kernel.extent)
    return min(limits.exploded, max(limits.exploded_map * max(stack.input_size), floor))


def _static(stack: Stack, m: Measured, limits: Thresholds) -> Tensor:
    """What deviates from each tap's mean is little of the whole: [B, G]."""
    taps = stack.offset.shape[2]
    mean = m.moved / stack.positions  # [B, G, K, 2]
    fixed = mean.square().sum(dim=(2, 3)) / taps
    whole = m.squares.sum(2) / (taps * stack.positions)
    return (whole - fixed).clamp(min=0) < limits.static**2 * whole


def _clamp_binds(stack: Stack, limits: Thresholds) -> Tensor:
    """Many offsets are at the extreme value exactly: [B, G]."""
    size = stack.offset.abs()
    extreme = size.amax(dim=(1, 2, 4, 5)).double()  # [B, 2]
    reach = (extreme * (1 - 1e-6))[:, None, None, :, None, None]
    count = (size >= reach).sum(dim=(4, 5))  # [B, G, K, 2]
    count *= (extreme > 0)[:, None, None]
    # Every field has a largest value, and a channel that is the same everywhere is no clamp's.
    total = (count * (count < stack.positions)).sum(dim=2)  # [B, G, 2]
    bound = (total - 1).clamp(min=0).sum(2).cpu()
    return bound / (2 * stack.offset.shape[2] * stack.positions) > limits.clamp


def _of_masks(stack: Stack, m: Measured, known: Known, limits: Thresholds) -> tuple[Tensor, Tensor]:
    """Where the mask is the same everywhere, and where it is mostly at its ends: [B, G] each."""
    if stack.mask is None or m.mask_low is None or m.mask_high is None or m.shared_out is None:
        constant = torch.ones(m.length.shape, dtype=torch.bool)
        return constant, ~constant
    top = _mask_max(m.mask_low.flatten(1).amin(1), m.mask_high.flatten(1).amax(1), known)  # [B]
    ends = torch.where(top.isfinite(), top, 1.0)
    spread = (m.mask_high - m.mask_low).amax(2)
    constant = spread < (limits.mask_range * ends).to(spread)[:, None]
    margin = limits.mask_end * ends
    low, high = (end.to(stack.mask)[:, None, None, None, None] for end in (margin, ends - margin))
    shut, open_ = stack.mask < low, stack.mask > high
    if stack.mask.shape[2] > 1:
        alone = (~m.shared_out).to(stack.mask.device)[:, None, None, None, None]
        shut = shut & (open_.any(dim=2, keepdim=True) | alone)
    count = (shut | open_).sum(dim=(2, 3, 4)).cpu()
    share = count / (stack.mask.shape[2] * stack.positions)
    return constant, (share > limits.mask_saturated) & top.isfinite()[:, None]


def _mask_max(low: Tensor, high: Tensor, known: Known) -> Tensor:
    """The mask's largest possible value on each image [B], infinite where it has none."""
    low, high = low.double(), high.double()
    guess = torch.where(high <= 1, 1.0, torch.where(high <= 2, 2.0, torch.inf)).double()
    guess = torch.where(low < 0, torch.inf, guess)
    if known.mask_max is None:
        return guess
    beyond = (high > known.mask_max * (1 + _BEYOND)) | (low < -_BEYOND)
    return torch.where(beyond, guess, known.mask_max)


def _mask_max_of(sampling: Sampling, known: Known) -> float | None:
    """As of `inspection`: what is known, unless this mask goes beyond it."""
    if sampling.mask is None or known.mask_max is None:
        return known.mask_max
    finite = torch.where(sampling.mask.isfinite(), sampling.mask, 0).flatten()[None].double()
    beyond = (finite > known.mask_max * (1 + _BEYOND)) | (finite < -_BEYOND)
    return None if bool(beyond.any()) else known.mask_max


def _weights_like(known: Known) -> OffsetWeights | None:
    """Weights that lead to what is known of the layer's own."""
    if known.unlearned is None:
        return None
    bias = math.inf if known.unlearned == "bias only" else 0.0
    return torch.zeros(1), torch.full((1,), bias)
