"""A record's points in strips of rows: a large map is measured without ever being held in float64.

Every measure of this package walks over these strips, so that beside the record it needs little
more than its result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..sampling import Sampling

_NUMBERS = 2**18
"""So many coordinates a strip has at most, but at least one row: 2 MiB in float64, which stay in
the processor's cache. Measured: 2**17 to 2**21 differ by half at most, 2**23 takes three times as
long."""


@contextmanager
def measuring() -> Iterator[None]:
    """While a record is measured: no gradients, and no threads of torch but this one.

    A strip takes many steps of some ten microseconds. If each were shared out, it would end with
    the slowest thread, and where the cores have other work, as a browser next door, that one waits
    for its turn: half a second has become 50.
    """
    threads = torch.get_num_threads()
    with torch.no_grad():
        if threads == 1:  # as within another measure: whoever set it sets it back
            yield
            return
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


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


@dataclass(frozen=True, eq=False)
class Strip:
    """Some rows of a record as they are measured; what several measures need is made once."""

    sampling: Sampling
    rows: slice

    @cached_property
    def offset(self) -> Tensor:
        """[G, K, 2, r, w], see `offsets`."""
        return offsets(self.sampling, self.rows)

    @cached_property
    def there(self) -> Tensor | None:
        """[G, K, r, w] or None, see `finite_taps`."""
        return finite_taps(self.offset)

    @cached_property
    def base(self) -> Tensor:
        """[G, K, 2, r, w], or broadcasting to it, see `centred_base`."""
        return centred_base(self.sampling, self.rows)

    def zeroed(self, values: Tensor) -> Tensor:
        """Some values [G, K, r, w] of the offsets, 0 where those are not finite."""
        return values if self.there is None else torch.where(self.there, values, 0)

    @property
    def taps_there(self) -> Tensor | int:
        """[G, r, w] how many taps of each position are finite, or the one number of all."""
        return self.sampling.taps if self.there is None else self.there.sum(1)


StripMeasure = Callable[[Strip], tuple[Tensor, ...]]
"""What is measured of a strip, rows and columns last: [..., r, w], or [..., 1, 1] of all of it."""


def over_strips(sampling: Sampling, *measures: StripMeasure) -> list[tuple[Tensor, ...]]:
    """Measures of the whole map: those of its strips, joined along the rows.

    All are made in one walk, which reads each number once: reading takes as long as measuring.
    """
    found: list[list[tuple[Tensor, ...]]] = [[] for _ in measures]
    for rows in row_strips(sampling):
        strip = Strip(sampling, rows)
        for each, measure in zip(found, measures, strict=True):
            each.append(measure(strip))
    return [tuple(torch.cat(part, dim=-2) for part in zip(*each, strict=True)) for each in found]


def all_finite(values: Tensor) -> bool:
    """Whether it is certain that all of them are finite: in a sum, NaN and infinity would stay.

    Asking so takes a tenth of the time of asking each. It is not certain of values whose sum is too
    large, nor of those on an accelerator, as it would have to be waited for.
    """
    if values.device.type != "cpu":
        return False
    return math.isfinite(values.sum(dtype=torch.promote_types(values.dtype, torch.float32)))


def finite(values: Tensor) -> Tensor:
    """Those of some values that are finite, in one row."""
    return values.flatten() if all_finite(values) else values[values.isfinite()]


def finite_taps(offset: Tensor) -> Tensor | None:
    """At which taps both of some offsets [G, K, 2, r, w] are finite: [G, K, r, w], or None for all.

    Nearly always it is all, and nothing has to be left out.
    """
    if all_finite(offset):
        return None
    dy, dx = offset.unbind(2)
    return dy.isfinite() & dx.isfinite()


def count_taps(found: Tensor) -> Tensor:
    """How many taps of each position [G, K, r, w] bool: [G, r, w], integers."""
    taps = found.shape[1]
    # As bytes, many times as fast: torch would first make a long integer of each.
    return found.view(torch.uint8).sum(1, dtype=torch.uint8) if taps < 256 else found.sum(1)


def centred_base(sampling: Sampling, rows: slice) -> Tensor:
    """The undeformed taps around their own centre: [G, K, 2, r, w], or broadcasting to it.

    Where a kernel lies on the map adds nothing to its shape, and would cost digits.
    """
    like = _like(sampling)
    if sampling.reference is None:
        return sampling.kernel.centred_taps(like)[None, :, :, None, None]
    base = sampling.reference[..., rows, :].to(like)
    return base - base.mean(dim=1, keepdim=True)


def base_axes(sampling: Sampling, rows: slice) -> tuple[Tensor, Tensor]:
    """The undeformed taps on the input map, y and x, in pixels; broadcasting to [G, K, r, w] each.

    On a regular grid, y is the same along a row, and x along a column: both are small.
    """
    like = _like(sampling)
    if sampling.reference is not None:
        y, x = sampling.reference[..., rows, :].to(like).unbind(2)
        return y, x
    kernel = sampling.kernel
    y, x = kernel.tap_positions(like)[:, :, None, None].unbind(1)  # [K, 1, 1] each
    down = torch.arange(rows.start, rows.stop).to(like) * kernel.stride[0] - kernel.padding[0]
    right = torch.arange(sampling.output_size[1]).to(like) * kernel.stride[1] - kernel.padding[1]
    return (y + down[:, None])[None], (x + right)[None]


def _like(sampling: Sampling) -> Tensor:
    """Of the device and dtype that is computed in."""
    device = sampling.offset.device
    return torch.empty(0, device=device, dtype=exact_dtype(device))
