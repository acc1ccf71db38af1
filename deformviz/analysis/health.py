"""What may be wrong with a deformable layer: `findings`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..sampling import Sampling
from . import mask_findings, offset_findings
from .by_group import groups_of, said
from .finding import Finding, LayerInfo, Thresholds
from .measures import Measures
from .strips import measuring

OffsetWeights = tuple[Tensor, Tensor | None]
"""Weight and bias of the layer that predicts the offsets, without the mask's rows if it has any."""


def findings(
    sampling: Sampling,
    *,
    layer_info: LayerInfo | None = None,
    weights: OffsetWeights | None = None,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  (frozen)
) -> list[Finding]:
    """Look for what commonly goes wrong with learned offsets, the worst first.

    Each is found in one kind, the most telling: a layer that was never trained is not also said
    to be static.

    ============== ======== ==================================================== ==================
    kind           severity what it means                                        map
    ============== ======== ==================================================== ==================
    nonfinite      error    NaN or infinity in offsets, mask                     which positions
    exploded       error    the mean offset is too large for the map             mean length, px
    untrained      warning  the weights that predict the offsets are all zero    everywhere
    bias only      warning  only their bias is not: the same for every image     everywhere
    dead           warning  no tap moves, the mask is constant: a plain          longest offset, px
                            convolution
    outside        warning  taps were moved off the map                          share of the taps
    clamp binds    warning  many offsets are exactly at the extreme value        share of dy and dx
    collapsed      warning  the taps of a position fall together                 which positions
    mask saturated warning  the mask is 0 or fully open                          share of the taps
    still          info     no tap moves, the mask alone does something          longest offset, px
    static         info     the taps move, but the same way everywhere           deviation, px
    mask equal     info     the mask is the same everywhere                      everywhere
    ============== ======== ==================================================== ==================

    Takes 0.5 s of one core and less than 100 MB beside the record for 7 x 7 taps at 512 x 512
    positions.

    Args:
        sampling: of one layer on one image; "static" is as good as that image is varied.
        layer_info: what is known about the layer. Without it a clamp is taken to be at the largest
            offset, and a mask to end at 1, or at 2 where it goes beyond 1.
        weights: of the layer that predicts the offsets, for "untrained" and "bias only".
        thresholds: the limits.

    Returns:
        A finding for each offset group that has it, or one where all groups do. Empty for a layer
        in good health.

    Example:
        >>> from deformviz import Kernel
        >>> s = Sampling.regular("a plain convolution", Kernel.of(3, padding=1), (8, 8))
        >>> for found in findings(s):
        ...     print(found.kind, "-", found.sentence)
        dead - No tap moves by 0.05 px or more, the longest offset is 0 px: a plain convolution.
    """
    return findings_of(Measures(sampling, layer_info or LayerInfo(), thresholds), weights)


@measuring()
def findings_of(m: Measures, weights: OffsetWeights | None = None) -> list[Finding]:
    """`findings` of a layer of which some numbers may have been measured."""
    m.make_for(findings=True, facts=False)
    unlearned = [] if weights is None else _unlearned(m, *weights)
    found = [*_nonfinite(m), *offset_findings.exploded(m), *unlearned]
    found += [] if unlearned else _still(m)
    found += offset_findings.outside(m)
    found += offset_findings.clamp_binds(m)
    found += offset_findings.collapsed(m)
    found += mask_findings.saturated(m)
    if not unlearned:
        found += [*offset_findings.static(m), *mask_findings.equal(m)]
    order = ("error", "warning", "info")
    return sorted(found, key=lambda one: order.index(one.severity))


def _nonfinite(m: Measures) -> list[Finding]:
    """One finding for the layer, as NaN in one group comes from, or goes to, all of them."""
    if m.whole:
        return []
    count = int(m.bad.sum(dtype=torch.int64))
    if not count:
        return []
    where = m.bad.flatten(0, 1).any(0)  # [h, w]
    groups = m.bad.flatten(1).any(1).nonzero().flatten().tolist()
    taps = m.bad.transpose(0, 1).flatten(1).any(1).nonzero().flatten().tolist()
    group = groups[0] if len(groups) == 1 and m.sampling.groups > 1 else None
    tap = taps[0] if len(taps) == 1 and m.sampling.taps > 1 else None
    verb = "is" if count == 1 else "are"
    sentence = (
        f"{count} of the offsets and mask values {verb} NaN or infinite, "
        f"at {int(where.sum())} of {m.positions} positions."
    )
    return [Finding("nonfinite", "error", count, 0, "values", sentence, where, group, tap)]


def _unlearned(m: Measures, weight: Tensor, bias: Tensor | None) -> list[Finding]:
    """The offsets do not depend on the input, by the weights that make them."""
    if bool((weight != 0).any()):  # NaN is not zero either
        return []
    where = torch.ones(m.sampling.output_size, dtype=torch.bool, device=m.sampling.offset.device)
    largest = 0.0 if bias is None else float(bias.abs().max())
    if largest == 0:
        sentence = (
            "The weights and the bias that predict the offsets are all 0: they were never trained, "
            "or not loaded."
        )
        return [Finding("untrained", "warning", 0, 0, "", sentence, where)]
    sentence = (
        f"The weights that predict the offsets are all 0, and their bias of up to {largest:.3g} "
        "alone moves the taps: the same way for every image."
    )
    return [Finding("bias only", "warning", largest, 0, "", sentence, where)]


def _still(m: Measures) -> list[Finding]:
    """No tap moves. Of operators that choose their kernel by region, none is meant to."""
    if m.sampling.region is not None:
        return []
    found = []
    for dead in (True, False):
        for group in groups_of(m.still & (m.mask_constant == dead)):
            found.append(_stays(m, group, dead))
    return found


def _stays(m: Measures, group: int | None, dead: bool) -> Finding:
    longest = (m.longest if group is None else m.longest[group : group + 1]).amax(0)  # [h, w]
    number, limit = float(longest.max()), m.limits.still
    what = "a plain convolution" if dead else "the mask alone does something"
    if dead and m.sampling.mask is not None:
        what = f"with its constant mask, {what}"
    sentence = (
        f"No tap moves by {limit:g} px or more, the longest offset is {number:.2g} px: {what}."
    )
    text = said(group, sentence)
    if dead:
        return Finding("dead", "warning", number, limit, "px", text, longest, group)
    return Finding("still", "info", number, limit, "px", text, longest, group)
