"""Channels to axes: a raw tensor, in the order of its code base, as (dy, dx) of each tap."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..geometry import Pair
from ..operators import activate_mask
from .canonical import unflatten
from .family import Activation, Layout, Order
from .layer import Layer


class Split(NamedTuple):
    """Raw offsets [B, G, L * P, 2, h, w] and raw masks [B, G, L * P, h, w], or None."""

    offset: Tensor
    mask: Tensor | None


def split(layer: Layer, raw_offset: Tensor, raw_mask: Tensor | None = None) -> Split:
    """Take a raw tensor apart by the packing and order of a layer.

    Args:
        layer: whose tensor it is.
        raw_offset: [B, R, h, w], offsets and, where the layer packs them together, masks.
        raw_mask: [B, G * K, h, w] of a mask convolution of its own, or None.

    Raises:
        ValueError: a number of channels other than the layer's rows.
    """
    groups, points = layer.offset_groups, layer.points * layer.levels
    expected = _rows(layer, raw_offset)
    if raw_offset.dim() != 4 or raw_offset.shape[1] not in expected:
        raise ValueError(
            f"raw offsets of {layer.name} must be [B, {' or '.join(map(str, expected))}, h, w], "
            f"got {list(raw_offset.shape)}"
        )
    offset, mask = _unpack(layer, raw_offset, raw_mask)
    if mask is not None:
        shape = [offset.shape[0], groups * points, *offset.shape[2:]]
        if list(mask.shape) != shape:
            raise ValueError(f"raw masks of {layer.name} must be {shape}, got {list(mask.shape)}")
        mask = unflatten(mask, 1, (groups, points))
    taps = unflatten(offset, 1, (groups, 2 * points))  # [B, G, 2 * P, h, w]
    return Split(*_in_order(taps, mask, layer.order, layer.kernel_size))


def _rows(layer: Layer, raw: Tensor) -> tuple[int, ...]:
    """How many channels a raw tensor may have."""
    offsets = 2 * layer.offset_groups * layer.points * layer.levels
    joint = layer.mask_activation is not None and "mask.weight" not in layer.tensors
    if layer.row.packing == "per group":
        rows = 3 * offsets // 2
        return (rows, -(-rows // 8) * 8)  # padded at the end to a multiple of 8, or not
    return (3 * offsets // 2,) if joint else (offsets,)


def _unpack(layer: Layer, raw: Tensor, raw_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Offsets [B, 2 * G * P, h, w] and masks [B, G * P, h, w], groups outermost."""
    groups, points = layer.offset_groups, layer.points * layer.levels
    if layer.mask_activation is None:
        return raw, None
    if "mask.weight" in layer.tensors:
        if raw_mask is None:
            raise ValueError(f"{layer.name} has masks of their own: give raw_mask")
        return raw, raw_mask
    if layer.row.packing == "per group":
        blocks = unflatten(raw[:, : 3 * groups * points], 1, (groups, 3 * points))
        return blocks[:, :, : 2 * points].flatten(1, 2), blocks[:, :, 2 * points :].flatten(1, 2)
    return raw[:, : 2 * groups * points], raw[:, 2 * groups * points :]


def _in_order(
    taps: Tensor, mask: Tensor | None, order: Order, kernel_size: Pair
) -> tuple[Tensor, Tensor | None]:
    """[B, G, 2 * P, h, w] as [B, G, P, 2, h, w], (dy, dx) and row-major."""
    points = taps.shape[2] // 2
    if order.startswith("blocked"):
        offset = unflatten(taps, 2, (2, points)).transpose(2, 3)
    else:
        offset = unflatten(taps, 2, (points, 2))
    if order.endswith("-xy"):
        offset = offset.flip(3)
    if order.startswith("columns"):
        rows_first = row_major(kernel_size, points)
        offset = offset[:, :, rows_first]
        mask = None if mask is None else mask[:, :, rows_first]
    return offset, mask


def row_major(kernel_size: Pair, points: int) -> list[int]:
    """Where the taps, row by row, stand among taps stored column by column.

    With a point less than the kernel has taps, its centre is left out.

    Example:
        >>> row_major((2, 3), 6)
        [0, 2, 4, 1, 3, 5]
    """
    kh, kw = kernel_size
    stored = [tap for tap in ((i, j) for j in range(kw) for i in range(kh))
              if tap in kept_taps(kernel_size, points)]  # fmt: skip
    return [stored.index(tap) for tap in kept_taps(kernel_size, points)]


def kept_taps(kernel_size: Pair, points: int) -> list[Pair]:
    """The taps (i, j), row by row; without the centre where there is a point less.

    Example:
        >>> kept_taps((1, 3), 2)
        [(0, 0), (0, 2)]
    """
    kh, kw = kernel_size
    taps = [(i, j) for i in range(kh) for j in range(kw)]
    return taps if points == len(taps) else [tap for tap in taps if tap != (kh // 2, kw // 2)]


def activate(mask: Tensor, activation: Activation) -> Tensor:
    """The mask [B, G, P, h, w] of raw numbers; softmax is over P.

    Raises:
        ValueError: an unknown activation.
    """
    if activation == "unbounded":
        return mask
    return activate_mask(mask.flatten(1, 2), mask.shape[2], activation).reshape(mask.shape)


def as_map(raw: Tensor, layout: Layout, groups: int) -> Tensor:
    """A raw tensor as its code base hands it on, as channels of a map: [B, R, h, w].

    Raises:
        ValueError: axes that are not the layout's.
    """
    axes = {"map": 4, "map, channels last": 4, "queries": 3, "groups as images": 4, "vector": 2}
    if raw.dim() != axes[layout]:
        raise ValueError(
            f"a raw tensor laid out as {layout!r} has {axes[layout]} axes, got {list(raw.shape)}"
        )
    if layout == "map, channels last":
        return raw.permute(0, 3, 1, 2)
    if layout == "queries":
        return raw.transpose(1, 2)[..., None]
    if layout == "vector":
        return raw[:, :, None, None]
    if layout == "groups as images":
        if raw.shape[0] % groups:
            raise ValueError(f"{raw.shape[0]} images are no multiple of {groups} groups")
        return unflatten(raw, 0, (raw.shape[0] // groups, groups)).flatten(1, 2)
    return raw
