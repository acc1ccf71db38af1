"""Whether a file's layer, read as it is, gives the taps that the run had.

A record is what the operator was given. How the file's channels became that is the network's own
code, and a guess where names do not settle it. Running the file's own offset convolution on the map
that was read tells: under the right order, and the right activation of the mask, it gives the very
taps and masks of the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor

from ..checkpoints import Canonical, Layer, raw_offsets, to_canonical
from ..checkpoints.family import Activation, Order
from ..checkpoints.running import Raw
from ..sampling import Sampling
from .weights import predicting

ReadTensors = Callable[[Sequence[str]], Mapping[str, Tensor]]
"""Tensors of a file by their keys."""

_TOLERANCE = 1e-3
"""Of a pixel, or of the longest offset where that is more; of 1 for masks. Single precision is off
by 1e-5 where a run adds up in another order, a wrong reading by the offsets' own size."""


@dataclass(frozen=True)
class Reread:
    """What the file's own offset weights gave on the map that the layer read.

    Attributes:
        difference: px, the largest between their taps and the record's.
        mask_difference: likewise of the masks, or None without masks.
        matches: whether both are rounding.
    """

    difference: float
    mask_difference: float | None
    matches: bool


def reread(
    layer: Layer, sampling: Sampling, read_tensors: ReadTensors
) -> tuple[Layer, Reread | None, str]:
    """Read a layer by its weights again, on the map that the run read.

    Args:
        layer: as it is read.
        sampling: of a call of it.
        read_tensors: such as `Checkpoint.tensors`.

    Returns:
        The layer, without what this proves among its assumptions, in another order or with another
        activation where that alone gives the record; the comparison, or None where the offsets are
        made of more than an offset convolution and the map; and what a person should be told.

    Example:
        >>> from deformviz.checkpoints import find_layers, run_layer
        >>> tensors = {"deform_conv.weight": torch.rand(4, 4, 3, 3),
        ...            "offset_conv.weight": torch.randn(18, 4, 3, 3)}
        >>> (layer,) = find_layers({key: tuple(t.shape) for key, t in tensors.items()})
        >>> sorted(layer.assumed)
        ['family', 'order']
        >>> s = run_layer(layer.override(order="blocked"), tensors, torch.rand(1, 4, 8, 8))
        >>> found, comparison, note = reread(layer, s, lambda keys: tensors)
        >>> found.order, comparison.matches, sorted(found.assumed)
        ('blocked', True, ['family'])
    """
    if not layer.row.own_input or sampling.input is None:
        return layer, None, ""
    raw = _raw(layer, sampling, read_tensors(predicting(layer)))
    orders = {} if raw is None else _orders(layer, sampling, raw)
    if raw is None or not orders:
        return layer, None, ""
    fitting = [order for order, gap in orders.items() if gap <= _limit(sampling)]
    note = ""
    if layer.order in fitting:
        if fitting == [layer.order]:
            layer = replace(layer, assumed=layer.assumed - {"order"})
    elif len(fitting) == 1:
        note = f"The file reads as {layer.order}, but what ran is {fitting[0]}: it is read so."
        layer = layer.override(order=fitting[0])
    masks = _masks(layer, sampling, raw) if fitting else {}
    if masks:
        activation = min(masks, key=lambda one: masks[one])
        if masks[activation] <= _TOLERANCE:
            if activation != layer.mask_activation:
                note = f"{note} Its masks are {activation}, not {layer.mask_activation}.".strip()
            layer = layer.override(mask_activation=activation)
    found = _comparison(layer, sampling, orders, masks)
    if not found.matches and not note:
        note = (
            f"The file's own offset weights give other taps on this map, by {found.difference:.2g} "
            "px: they read another map, or the model does more with them."
        )
    return layer, found, note


def _comparison(
    layer: Layer, sampling: Sampling, orders: Mapping[str, float], masks: Mapping[str, float]
) -> Reread:
    difference = orders[layer.order]
    mask = masks.get(layer.mask_activation or "")
    matches = difference <= _limit(sampling) and (mask is None or mask <= _TOLERANCE)
    return Reread(difference, mask, matches)


def _limit(sampling: Sampling) -> float:
    finite = torch.where(sampling.offset.isfinite(), sampling.offset, 0)
    return _TOLERANCE * max(1.0, float(finite.abs().max()))


def _orders(layer: Layer, sampling: Sampling, raw: Raw) -> dict[str, float]:
    """How far the taps are off in the layer's own order; in every one, where that may be wrong."""
    points = sampling.points().cpu().float()

    def gap(read: Layer) -> float | None:
        canonical = _read(read, sampling, raw)
        if canonical is None:
            return None
        taps = canonical.base() + canonical.offset
        return _gap(taps[0].float(), points)

    own = gap(layer)
    if own is None:
        return {}
    found: dict[str, float] = {layer.order: own}
    if "order" not in layer.assumed and own <= _limit(sampling):
        return found
    for order in get_args(Order):
        try:
            other = None if order in found else gap(layer.override(order=order))
        except ValueError:  # an order that such a kernel cannot have
            continue
        if other is not None:
            found[order] = other
    return found


def _masks(layer: Layer, sampling: Sampling, raw: Raw) -> dict[str, float]:
    """How far the masks are off under each activation."""
    if sampling.mask is None or layer.mask_activation is None:
        return {}
    found = {}
    for activation in get_args(Activation):
        canonical = _read(layer.override(mask_activation=activation), sampling, raw)
        if canonical is not None and canonical.mask is not None:
            gap = _gap(canonical.mask[0].float(), sampling.mask.cpu().float())
            if gap is not None:
                found[activation] = gap
    return found


def _raw(layer: Layer, sampling: Sampling, tensors: Mapping[str, Tensor]) -> Raw | None:
    """What the weights give, or None where they take more than this map."""
    kernel = sampling.kernel
    assert sampling.input is not None
    feature = sampling.input[None].cpu()
    try:
        return raw_offsets(
            layer, tensors, feature, kernel.stride, kernel.padding, kernel.dilation
        )  # fmt: skip
    except (ValueError, RuntimeError):
        return None


def _read(layer: Layer, sampling: Sampling, raw: Raw) -> Canonical | None:
    kernel = sampling.kernel
    try:
        return to_canonical(
            layer, *raw, stride=kernel.stride, padding=kernel.padding, dilation=kernel.dilation,
            size=sampling.input_size,
        )  # fmt: skip
    except ValueError:
        return None


def _gap(a: Tensor, b: Tensor) -> float | None:
    """The largest difference; None of other shapes, or of numbers that are not finite."""
    if a.shape != b.shape:
        return None
    gap = float((a - b).abs().max())
    return gap if gap < float("inf") else None
