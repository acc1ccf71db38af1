"""What is measured of a layer on a batch of images: sums, counts and extremes, no map is kept.

In float64, as the package's own measures are, which these agree with: they only take the steps
together, so that each number is read once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..analysis.strips import exact_dtype
from .bins import LENGTH_BINS, MASK_BINS, length_index, mask_index
from .stacks import Stack


@dataclass(eq=False)
class Measured:
    """Numbers of each of B images, float64 on the CPU unless said otherwise.

    Attributes:
        moved: [B, G, K, 2] sum of the offsets over the map.
        squares: [B, G, K] sum of their squared lengths.
        length: [B, G] sum of their lengths.
        longest: [B, G].
        shortest: [B].
        outside, moved_outside: [B, G] how many taps read nothing, or were moved there; int64.
        close: [B, G] at how many positions the taps fall together; int64.
        dilation: [B, 4] sum over the positions, sum of squares, least, largest.
        dilations: [B] how many positions have one; int64.
        lengths, spacings, masks: counts of all images together, see `bins`; int64.
        mask: [B, 2] sum and sum of squares of the finite values, or None.
        mask_low, mask_high: [B, G, K] extremes over the map, or None.
        shared_out: [B] whether the taps of each position share out a mask of 1; bool.
    """

    moved: Tensor
    squares: Tensor
    length: Tensor
    longest: Tensor
    shortest: Tensor
    outside: Tensor
    moved_outside: Tensor
    close: Tensor
    dilation: Tensor
    dilations: Tensor
    lengths: Tensor
    spacings: Tensor
    masks: Tensor = field(default_factory=lambda: torch.zeros(MASK_BINS, dtype=torch.int64))
    mask: Tensor | None = None
    mask_low: Tensor | None = None
    mask_high: Tensor | None = None
    shared_out: Tensor | None = None


_LEAST = {"shortest", "mask_low", "shared_out"}
_MOST = {"longest", "mask_high"}


def measure(stack: Stack, collapsed: float) -> Measured:
    """Measure a batch, strip after strip of its rows.

    Args:
        stack: of one layer.
        collapsed: taps are close where they lie at less than this of the kernel's own distances.
    """
    whole: dict[str, Tensor] = {}
    for rows in stack.strips():
        for name, value in _strip(stack, rows, collapsed).items():
            whole[name] = _joined(name, whole[name], value) if name in whole else value
    return Measured(**{name: value.cpu() for name, value in whole.items()})


def _joined(name: str, a: Tensor, b: Tensor) -> Tensor:
    """Of two strips; the dilation's extremes stand beside its sums."""
    if name == "dilation":
        low, high = torch.minimum(a[:, 2], b[:, 2]), torch.maximum(a[:, 3], b[:, 3])
        return torch.cat([a[:, :2] + b[:, :2], torch.stack([low, high], dim=1)], dim=1)
    if name in _LEAST:
        return torch.minimum(a, b)
    return torch.maximum(a, b) if name in _MOST else a + b


def _strip(stack: Stack, rows: slice, collapsed: float) -> dict[str, Tensor]:
    offset = stack.offset[..., rows, :].to(exact_dtype(stack.offset.device))
    there = None if stack.there is None else stack.there[..., rows, :]
    if there is not None:
        offset = torch.where(there[:, :, :, None], offset, 0)
    told = _lengths(offset, there)
    told |= _outside(stack, rows, offset, there)
    base = _base(stack, rows, offset)
    base = base - base.mean(dim=-4, keepdim=True)
    taps = base + offset  # [B, G, K, 2, r, w]
    told["close"] = _close(taps, base, collapsed)
    told |= _dilation(stack, taps, there)
    if stack.mask is not None:
        told |= _mask(stack.mask[..., rows, :])
    return told


def _lengths(offset: Tensor, there: Tensor | None) -> dict[str, Tensor]:
    squares = offset[:, :, :, 0].square() + offset[:, :, :, 1].square()  # [B, G, K, r, w]
    length = squares.sqrt()
    counts = _counts(length_index(length), LENGTH_BINS)
    shortest = length
    if there is not None:  # what is not finite was made zero, and is in the first bin
        counts[0] -= (~there).sum()
        shortest = torch.where(there, length, torch.inf)
    return {
        "moved": offset.sum(dim=(-2, -1)),
        "squares": squares.sum(dim=(-2, -1)),
        "length": length.sum(dim=(2, 3, 4)),
        "longest": length.amax(dim=(2, 3, 4)),
        "shortest": shortest.flatten(1).amin(1),
        "lengths": counts,
    }


def _outside(stack: Stack, rows: slice, offset: Tensor, there: Tensor | None) -> dict[str, Tensor]:
    """How many taps have no pixel of the map within reach, see `analysis.outside_share`."""
    beyond = torch.zeros((), dtype=torch.bool, device=offset.device)
    home = beyond
    for axis, base in enumerate(_axes(stack, rows, offset)):
        size = stack.input_size[axis]
        points = base + offset[:, :, :, axis]
        beyond = beyond | (points <= -1) | (points >= size)
        home = home | (base <= -1) | (base >= size)
    if there is not None:
        beyond = beyond & there
    over = (2, 3, 4)
    return {"outside": beyond.sum(over), "moved_outside": (beyond & ~home).sum(over)}


def _axes(stack: Stack, rows: slice, like: Tensor) -> tuple[Tensor, Tensor]:
    """The undeformed taps by axis, y then x, broadcasting to [B, G, K, r, w]."""
    if stack.reference is not None:
        y, x = stack.reference[..., rows, :].to(like).unbind(3)
        return y, x
    kernel = stack.kernel
    y, x = kernel.tap_positions(like)[:, :, None, None].unbind(1)  # [K, 1, 1] each
    down = torch.arange(rows.start, rows.stop, device=like.device) * kernel.stride[0]
    right = torch.arange(like.shape[-1], device=like.device) * kernel.stride[1]
    return y + (down - kernel.padding[0])[:, None], x + (right - kernel.padding[1])


def _base(stack: Stack, rows: slice, like: Tensor) -> Tensor:
    """The undeformed taps but for where the kernel lies, broadcasting to [B, G, K, 2, r, w]."""
    if stack.reference is not None:
        return stack.reference[..., rows, :].to(like)
    return stack.kernel.tap_positions(like)[:, :, None, None]


def _close(taps: Tensor, base: Tensor, collapsed: float) -> Tensor:
    """At how many positions the taps lie close together: [B, G]."""
    around = taps - taps.mean(dim=2, keepdim=True)
    energy, regular = (t.square().sum(dim=(-4, -3)) for t in (around, base))
    return (energy < collapsed**2 * regular).sum(dim=(2, 3))


def _dilation(stack: Stack, taps: Tensor, there: Tensor | None) -> dict[str, Tensor]:
    """Of all groups and positions of each image, see `analysis.effective_dilation`."""
    batch = taps.shape[0]
    if not stack.is_grid:
        none = taps.new_tensor([0.0, 0.0, torch.inf, -torch.inf]).repeat(batch, 1)
        zeros = torch.zeros(batch + LENGTH_BINS, dtype=torch.int64, device=taps.device)
        return {"dilation": none, "dilations": zeros[:batch], "spacings": zeros[batch:]}
    grid = taps.reshape(batch, -1, *stack.kernel.size, *taps.shape[3:])  # [B, G, kh, kw, 2, r, w]
    down, right = grid[:, :, 1:] - grid[:, :, :-1], grid[:, :, :, 1:] - grid[:, :, :, :-1]
    steps = [step.square().sum(4).sqrt().sum((2, 3)) for step in (down, right)]
    kh, kw = stack.kernel.size
    mean = ((steps[0] + steps[1]) / ((kh - 1) * kw + kh * (kw - 1))).flatten(1)  # [B, G * r * w]
    if there is None:
        valid = torch.ones_like(mean, dtype=torch.bool)
    else:
        valid = there.all(dim=2).flatten(1)
    zeroed = torch.where(valid, mean, 0)
    counts = _counts(length_index(zeroed), LENGTH_BINS)
    counts[0] -= (~valid).sum()
    low = torch.where(valid, mean, torch.inf).amin(1)
    high = torch.where(valid, mean, -torch.inf).amax(1)
    told = torch.stack([zeroed.sum(1), zeroed.square().sum(1), low, high], dim=1)
    return {"dilation": told, "dilations": valid.sum(1), "spacings": counts}


def _mask(mask: Tensor) -> dict[str, Tensor]:
    """Of [B, G, K, r, w]."""
    finite = mask.isfinite()
    exact = torch.where(finite, mask, 0).to(exact_dtype(mask.device))
    # A bin below all others for what is not finite, which is left out again.
    index = torch.where(finite, mask_index(exact) + 1, 0)
    total = mask.sum(dim=2, dtype=torch.float32)
    return {
        "masks": _counts(index, MASK_BINS + 1)[1:],
        "mask": torch.stack([exact.flatten(1).sum(1), exact.square().flatten(1).sum(1)], dim=1),
        "mask_low": torch.where(finite, mask, torch.inf).amin(dim=(3, 4)),
        "mask_high": torch.where(finite, mask, -torch.inf).amax(dim=(3, 4)),
        "shared_out": ((total - 1).abs() < 0.01).flatten(1).all(1),
    }


def _counts(index: Tensor, bins: int) -> Tensor:
    return torch.bincount(index.flatten(), minlength=bins)
