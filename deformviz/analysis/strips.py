"""A record's points in strips of rows: a large map is measured without ever being held in float64.

Every measure of this package walks over these strips, so that beside the record it needs little
more than its result.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..sampling import Sampling

_NUMBERS = 2**18
"""So many coordinates a strip has at most, but at least one row: 2 MiB in float64, which stay in
the processor's cache. Measured: 2**17 to 2**21 differ by half at most, 2**23 takes three times as
long."""


def exact_dtype(device: torch.device) -> torch.dtype:
    """float64, or float32 on Apple's GPUs, which have no other."""
    return torch.float32 if device.type == "mps" else torch.float64


def row_strips(sampling: Sampling, numbers: int = _NUMBERS) -> Iterator[slice]:
    """The output's rows from top to bottom, in strips that hold about `numbers` coordinates.

    Example:
        >>> from deformviz import Kernel
        >>> s = Sampling.regular("convolution", Kernel.of(3, padding=1), (8, 8))
        >>> list(row_strips(s, numbers=3 * 8 * 9 * 2))
        [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    """
    height, width = sampling.output_size
    rows = max(1, numbers // max(1, sampling.groups * sampling.taps * 2 * width))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def offsets(sampling: Sampling, rows: slice) -> Tensor:
    """The offsets of some rows: [G, K, 2, r, w], (dy, dx) in pixels of the input map."""
    offset = sampling.offset[..., rows, :]
    return offset.to(exact_dtype(offset.device))


def centred_base(sampling: Sampling, rows: slice) -> Tensor:
    """The undeformed taps around their own centre: [G, K, 2, r, w], or broadcasting to it.

    Where a kernel lies on the map adds nothing to its shape, and would cost digits.
    """
    like = _like(sampling)
    if sampling.reference is None:
        return sampling.kernel.centred_taps(like)[None, :, :, None, None]
    base = sampling.reference[..., rows, :].to(like)
    return base - base.mean(dim=1, keepdim=True)


def base_points(sampling: Sampling, rows: slice) -> Tensor:
    """The undeformed taps on the input map: [G, K, 2, r, w], or broadcasting to it; in pixels."""
    like = _like(sampling)
    if sampling.reference is not None:
        return sampling.reference[..., rows, :].to(like)
    kernel = sampling.kernel
    grid = kernel.regular_grid((rows.stop - rows.start, sampling.output_size[1]), like)
    return (grid + like.new_tensor([rows.start * kernel.stride[0], 0])[:, None, None])[None]


def _like(sampling: Sampling) -> Tensor:
    """Of the device and dtype that is computed in."""
    device = sampling.offset.device
    return torch.empty(0, device=device, dtype=exact_dtype(device))
