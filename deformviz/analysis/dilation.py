"""Effective dilation: how far apart the taps of a kernel lie after their offsets moved them.

Dai et al., Deformable Convolutional Networks (arXiv 1703.06211), section 4.2: "the mean of the
distances between all adjacent pairs of sampling locations in the filter".
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..sampling import Sampling
from .strips import Strip, measuring, over_strips


@measuring()
def effective_dilation(sampling: Sampling) -> Tensor:
    """The mean distance between adjacent taps, for each offset group and output position.

    Adjacent are a tap and the next one in its row or in its column of the kernel: 12 pairs in a
    3 x 3 kernel, 4 in a 1 x 5 one. So a regular kernel of dilation d gives exactly d; one whose
    dilation differs along y and x gives the mean over its pairs, for square kernels (dy + dx) / 2.
    Diagonal pairs are left out, as they would give 1.2 for a dilation of 1.

    It says how far taps are apart, not that the kernel grew: taps that move at random, each by
    itself, are further apart too (a kernel of dilation 2 with a jitter of 1 pixel gives 2.6).
    `affine_fit` tells the two apart by its scale and residual.

    Takes 0.2 s of one core and less than 100 MB beside the record for 7 x 7 taps at 512 x 512
    positions.

    Args:
        sampling: with as many taps as its kernel's grid has.

    Returns:
        [G, h, w], in pixels of the input map, float64. NaN where a tap of the position is not
        finite, and everywhere for a single tap, which has no neighbour to be distant from.

    Raises:
        ValueError: taps that are no grid, so that none is adjacent to another.

    Example:
        >>> from deformviz import Kernel
        >>> kernel = Kernel.of(3, padding=2, dilation=2)
        >>> effective_dilation(Sampling.regular("convolution", kernel, (8, 8)))[0, 3, 3].item()
        2.0
    """
    kernel = sampling.kernel
    if sampling.taps != kernel.taps:
        raise ValueError(
            f"{sampling.name!r} has {sampling.taps} taps, which are no "
            f"{kernel.size[0]} x {kernel.size[1]} grid: none is adjacent to another"
        )
    return over_strips(sampling, dilation_of)[0][0]


def dilation_of(strip: Strip) -> tuple[Tensor]:
    """`effective_dilation` of a strip: [G, r, w]."""
    taps = strip.base + strip.offset  # [G, K, 2, r, w]
    size = strip.sampling.kernel.size
    grid = taps.reshape(taps.shape[0], *size, *taps.shape[2:])  # [G, kh, kw, 2, r, w]
    steps = (grid[:, 1:] - grid[:, :-1], grid[:, :, 1:] - grid[:, :, :-1])
    down, right = (step.flatten(1, 2) for step in steps)  # [G, pairs, 2, r, w]
    distances = taps.new_empty(taps.shape[0], down.shape[1] + right.shape[1], *taps.shape[3:])
    torch.hypot(down[:, :, 0], down[:, :, 1], out=distances[:, : down.shape[1]])
    torch.hypot(right[:, :, 0], right[:, :, 1], out=distances[:, down.shape[1] :])
    mean = distances.mean(dim=1)  # of no pair at all it is NaN
    # A tap at infinity is as far away as one that is nowhere: no distance at all.
    return (torch.where(mean.isfinite(), mean, torch.nan),)
