"""What offsets are relative to, for convolutions: each rule of `family.RelativeTo`, written once.

A rule takes offsets [B, G, K, 2, h, w], (dy, dx) and row-major, in the code base's own terms, and
gives them in pixels relative to a regular tap or to a reference. Sources are in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..geometry import Kernel
from .canonical import Canonical, Frame, along_taps, pixel_pair
from .layer import Layer
from .orders import kept_taps
from .references import REFERENCES

Rule = Callable[[Layer, Tensor, Frame], Canonical]


def tap(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """Relative to the tap, in pixels: the published operators."""
    return Canonical(frame.kernel(layer.kernel_size), offset)


def tap_clamped(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """ALIKED: clamped to `scale` times the longer side of the map."""
    h, w = frame.size or offset.shape[-2:]
    limit = layer.scale * max(h, w)
    return tap(layer, offset.clamp(-limit, limit), frame)


def tap_atrous(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """DetectoRS, the large branch: `scale` times the padding and the dilation."""
    return Canonical(frame.kernel(layer.kernel_size, times=round(layer.scale)), offset)


def tap_from_one(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """The blogs' version: position 0 is pixel 1 of the padded map, whatever the padding.

    Against a convolution with padding k // 2, all taps are off by 1 - padding.
    """
    kh, kw = layer.kernel_size
    anchor = offset.new_tensor([1 - pad for pad in frame.padding])[:, None, None]
    kernel = Kernel.of((kh, kw), frame.stride, (kh // 2, kw // 2))
    reference = None
    if kh % 2 == 0 or kw % 2 == 0:
        # Such a kernel, so padded, has a row more of output than the offset convolution has.
        h, w = offset.shape[-2:]
        reference = kernel.regular_grid((h, w), offset)[None, None]
    return Canonical(kernel, offset + anchor, reference=reference)


def grid_centre(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """DCNv3, DCNv4: a scale stretches taps and offsets alike, about the kernel's centre."""
    kernel = frame.kernel(layer.kernel_size)
    kept = [i * kernel.size[1] + j for i, j in kept_taps(kernel.size, layer.points)]
    half = offset.new_tensor(
        [d * (k - 1) // 2 for d, k in zip(kernel.dilation, kernel.size, strict=True)]
    )
    taps = kernel.tap_positions(offset)[kept] - half  # [P, 2], the centre rounded down
    reference = None
    if len(kept) < kernel.taps:
        h, w = offset.shape[-2:]
        reference = kernel.regular_grid((h, w), offset)[kept][None, None]
    moved = offset * layer.scale + along_taps(taps) * (layer.scale - 1)
    return Canonical(kernel, moved, reference=reference)


def centre(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """RepPoints: points relative to the position; the taps are taken off again."""
    kernel = frame.kernel(layer.kernel_size)
    return Canonical(kernel, offset - along_taps(kernel.centred_taps(offset)))


def top_left(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """LDConv: base points in rows of round(sqrt(N)), from the position down and to the right."""
    count = layer.points
    width = round(count**0.5)
    if frame.base is None:
        shape = offset.new_tensor([divmod(n, width) for n in range(count)])  # [N, 2]
    else:
        shape = frame.base.to(offset).reshape(2, count).T  # the buffer p_n, blocked
    h, w = offset.shape[-2:]
    anchors = Kernel.of(1, frame.stride).anchors((h, w), offset)  # [2, h, w]
    reference = anchors[None, None, None] + along_taps(shape)
    return Canonical(Kernel.of((count, 1), frame.stride), offset, reference=reference)


def chain(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """DSCNet: each tap adds to the one nearer to the centre."""
    return _line(layer, _from_centre(offset.tanh()), frame)


def chain_free_ends(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """DSCNet's first release: the loop stops before the last tap on either side."""
    steps = offset.tanh()
    summed = _from_centre(steps)
    if layer.points > 1:
        summed[:, :, [0, -1]] = steps[:, :, [0, -1]]
    return _line(layer, summed, frame)


def _from_centre(steps: Tensor) -> Tensor:
    """Sums outward from the centre, whose own step is left out: [B, G, K, 2, h, w]."""
    middle = steps.shape[2] // 2
    before = steps[:, :, :middle].flip(2).cumsum(2).flip(2)
    after = steps[:, :, middle + 1 :].cumsum(2)
    return torch.cat([before, torch.zeros_like(steps[:, :, :1]), after], dim=2)


def _line(layer: Layer, moves: Tensor, frame: Frame) -> Canonical:
    """A line of taps that moves across itself alone, on a map of the same size."""
    kh, kw = layer.kernel_size
    across = moves.new_tensor([1.0, 0.0] if kh == 1 else [0.0, 1.0])[:, None, None]
    kernel = Kernel.of((kh, kw), 1, (kh // 2, kw // 2))
    return Canonical(kernel, moves * across * layer.scale)


def flow(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """BasicVSR++: a bounded residue upon two flows, base [B, 2, 2, h, w] in (x, y)."""
    moved = layer.scale * offset.tanh()
    if frame.base is not None:
        half = layer.offset_groups // 2
        flows = frame.base.to(offset).flip(2).repeat_interleave(half, dim=1)  # [B, G, 2, h, w]
        moved = moved + flows[:, :, None]
    return tap(layer, moved, frame)


def pre_offset(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """C2-Matching: a bounded residue upon a match of each tap, base [B, K, h, w, 2] in (x, y)."""
    moved = layer.scale * offset.tanh()
    if frame.base is not None:
        match = frame.base.to(offset).flip(-1).permute(0, 1, 4, 2, 3)  # [B, K, 2, h, w]
        moved = moved + match[:, None]
    return tap(layer, moved, frame)


def kernel_scope(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """Deformable Kernels: points of the kernel's own scope, S x S, about whose centre they lie."""
    scope = layer.shapes["weight"][2:]
    kernel = Kernel.of(layer.kernel_size)
    start = (pixel_pair((scope[0], scope[1]), offset) - pixel_pair(kernel.size, offset)) / 2
    h, w = offset.shape[-2:]
    taps = along_taps(kernel.tap_positions(offset)) + start
    return Canonical(kernel, offset, reference=taps.expand(1, 1, -1, -1, h, w))


def box(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """VFNet: the corners, edge centres and middle of a box; `base` is [B, 4, h, w].

    Distances (left, top, right, bottom) in pixels of the map; the taps are taken off again.
    """
    if frame.base is None:
        raise ValueError(f"the offsets of {layer.name} follow from boxes: give base=[B, 4, h, w]")
    left, top, right, bottom = frame.base.unbind(1)  # each [B, h, w]
    zero = torch.zeros_like(left)
    points = [
        torch.stack([y, x], dim=1) for y in (-top, zero, bottom) for x in (-left, zero, right)
    ]
    return centre(layer, torch.stack(points, dim=1)[:, None], frame)


def nothing(layer: Layer, offset: Tensor, frame: Frame) -> Canonical:
    """The regular grid, on which every tap stays."""
    kernel = frame.kernel(layer.kernel_size)
    h, w = kernel.output_size(frame.known_size("the taps do not move, on a map of any size"))
    return Canonical(kernel, offset.new_zeros(1).expand(1, 1, kernel.taps, 2, h, w))


RULES: dict[str, Rule] = {
    "tap": tap,
    "tap, clamped": tap_clamped,
    "tap, atrous": tap_atrous,
    "tap, from 1": tap_from_one,
    "grid centre": grid_centre,
    "centre": centre,
    "top left": top_left,
    "chain": chain,
    "chain, free ends": chain_free_ends,
    "flow": flow,
    "pre-offset": pre_offset,
    "kernel scope": kernel_scope,
    "box": box,
    "nothing": nothing,
    **REFERENCES,
}
"""By the word of `family.RelativeTo`."""
