"""`to_canonical`: a layer's raw offsets and masks, as its code base computes them, in one form.

The steps are the same for every family, and each is written once: axes and channels (`orders`),
the mask's activation, what offsets are relative to (`rules`), what lies outside (`outside`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import Pair, as_pair
from .canonical import Canonical, Frame, unflatten
from .family import Outside
from .layer import Layer
from .orders import Split, activate, as_map, split
from .outside import confine
from .rules import RULES


def to_canonical(
    layer: Layer,
    raw_offset: Tensor | None,
    raw_mask: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    size: Pair | None = None,
    base: Tensor | None = None,
    level: int = 0,
) -> Canonical:
    """Convert what an offset convolution gave, before any activation of it, exactly.

    Args:
        layer: from `find_layers`, corrected by `Layer.override` where it was wrong.
        raw_offset: the output of the offset convolution or linear layer, masks included where the
            layer packs them together: [B, R, h, w]; [B, h, w, R] for DCNv3 and DCNv4; [B, Q, R]
            for deformable attention; [B * G, 2, h, w] for DAT and lucidrains; [B, R] for global
            Deformable Kernels; after its normalisation for DSCNet; the buffer [1, 2C, 1, 1] for
            CycleMLP. None where nothing is predicted: VFNet, DRConv, CoordConv.
        raw_mask: the output of a mask convolution of its own, likewise, or None.
        stride, padding, dilation: of the main convolution, which the file does not hold.
        size: (H, W) of the map that is read; needed where points are parts of it, or clamped to
            it. A level's own size, for several.
        base: what the offsets are added to: reference points [B, Q, L, 2 or 4] in (x, y(, w, h))
            as parts of the map (attention), flows [B, 2, 2, h, w] in (x, y) (BasicVSR++), a match
            [B, K, h, w, 2] in (x, y) (C2-Matching), boxes [B, 4, h, w] as left, top, right, bottom
            in pixels of the map (VFNet), the buffer p_n (LDConv). None stands for zero flows, and
            for queries that are the map's own pixels.
        level: which map of several; the record of each is its own.

    Returns:
        Offsets in pixels of the map that is read, (dy, dx), taps row-major.

    Raises:
        ValueError: a tensor that does not fit the layer, or something missing; the message says
            what.

    Example:
        >>> from deformviz.checkpoints import find_layers
        >>> shapes = {"a.weight": (8, 8, 3, 3), "a.conv_offset.weight": (27, 8, 3, 3)}
        >>> (layer,) = find_layers(shapes)
        >>> canonical = to_canonical(layer, torch.zeros(1, 27, 5, 5), padding=1)
        >>> canonical.offset.shape, canonical.mask[0, 0, 0, 0, 0]
        (torch.Size([1, 1, 9, 2, 5, 5]), tensor(0.5000))
    """
    frame = Frame(
        as_pair(stride, "stride"),
        as_pair(padding, "padding"),
        as_pair(dilation, "dilation"),
        size,
        base,
        level,
    )
    offset, mask = _split(layer, raw_offset, raw_mask, frame)
    canonical = RULES[layer.relative_to](layer, offset, frame)
    if mask is not None and layer.mask_activation is not None:
        mask = _of_level(layer, activate(mask, layer.mask_activation), frame)
        canonical = Canonical(canonical.kernel, canonical.offset, mask, canonical.reference)
    if layer.relative_to == "kernel scope":  # the map that is read is the kernel
        scope = layer.shapes["weight"][2:]
        return confine(canonical, layer.outside, (scope[0], scope[1]))
    return confine(canonical, _outside(layer, frame), size)


def _split(layer: Layer, raw_offset: Tensor | None, raw_mask: Tensor | None, frame: Frame) -> Split:
    """Raw tensors by groups and taps, in at least float32: half precision loses pixels."""
    if layer.row.packing == "none":
        like = raw_offset if frame.base is None else frame.base
        return Split(torch.zeros(0) if like is None else like.new_zeros(0), None)
    if raw_offset is None:
        raise ValueError(f"{layer.name} has offsets: give raw_offset")
    offset = as_map(_exact(raw_offset), layer.row.layout, layer.offset_groups)
    if layer.row.packing == "constant" and frame.size is not None:
        h, w = frame.kernel(layer.kernel_size).output_size(frame.size)
        offset = offset.expand(-1, -1, h, w)
    mask = None
    if raw_mask is not None:
        mask = as_map(_exact(raw_mask), layer.row.layout, layer.offset_groups)
    if layer.row.layout == "queries" and frame.base is None:
        offset = _queries_as_pixels(offset, frame)
        mask = None if mask is None else _queries_as_pixels(mask, frame)
    return split(layer, offset, mask)


def _queries_as_pixels(raw: Tensor, frame: Frame) -> Tensor:
    """[B, R, Q, 1] as [B, R, H, W], where there is a query for each pixel."""
    h, w = frame.known_size("reference points are parts of the map")
    if raw.shape[2] != h * w:
        raise ValueError(
            f"{raw.shape[2]} queries are not the pixels of a {h} x {w} map: give their reference "
            "points as base=[B, Q, L, 2 or 4]"
        )
    return raw.reshape(*raw.shape[:2], h, w)


def _exact(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _of_level(layer: Layer, mask: Tensor, frame: Frame) -> Tensor:
    """The masks of one level, after an activation over all of them."""
    if layer.levels == 1:
        return mask
    return unflatten(mask, 2, (layer.levels, layer.points))[:, :, frame.level]


def _outside(layer: Layer, frame: Frame) -> Outside:
    """The layer's rule; the blogs' version has a ring of zeros only where it pads."""
    if layer.relative_to == "tap, from 1" and 0 in frame.padding:
        return "clamp-double"
    return layer.outside
