"""What a run settles of a layer that was found by names and shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..analysis import LayerInfo, LayerReport
from ..checkpoints import FAMILIES, Layer, Verified
from ..sampling import Sampling
from .rereading import Reread
from .weights import layer_info

_SHOWN = {"kernel_size", "offset_groups", "points", "levels", "relative_to", "scale"}
"""Of the record there is nothing to assume in these: it holds the points themselves."""

_OUTSIDE = 0.05
"""Share of taps outside the map from which on a recomputed output tells what those read."""


@dataclass(frozen=True)
class ReadLayer:
    """A record's layer as the run shows it, or None; `note` says where file and run disagree."""

    layer: Layer | None
    note: str = ""
    reread: Reread | None = None


def read_by_run(layer: Layer | None, sampling: Sampling) -> ReadLayer:
    """Read a layer with as many groups as the run had, and with a mask if the run had one.

    54 channels are three groups of nine offsets, or two with masks: names do not tell, a run does.

    Example:
        >>> from deformviz import Kernel
        >>> from deformviz.checkpoints import find_layers
        >>> shapes = {"a.weight": (8, 12, 3, 3), "a.conv_offset.weight": (54, 12, 3, 3)}
        >>> (layer,) = find_layers(shapes)
        >>> run = Sampling("a", (8, 8), (8, 8), Kernel.of(3, padding=1), torch.zeros(3, 9, 2, 8, 8))
        >>> layer.family, read_by_run(layer, run).layer.family
        ('mmcv DCNv2', 'mmcv DCNv1')
    """
    if layer is None:
        return ReadLayer(None, "The file has no layer of this name.")
    siblings = [row.name for row in FAMILIES if row.keys == layer.row.keys]
    if _fits(layer, sampling) and not layer.assumed & {"offset_groups", "points"}:
        return ReadLayer(layer)
    for family in dict.fromkeys([layer.family, *siblings]):
        for asked in ({"points": sampling.taps}, {}):
            try:
                other = layer.override(family=family, offset_groups=sampling.groups, **asked)
            except ValueError:
                continue
            if _fits(other, sampling):
                return ReadLayer(other)
    if _fits(layer, sampling):
        return ReadLayer(layer)
    return ReadLayer(layer, _disagreement(layer, sampling))


def _fits(layer: Layer, sampling: Sampling) -> bool:
    masked = layer.mask_activation is not None
    return layer.offset_groups == sampling.groups and masked == (sampling.mask is not None)


def _disagreement(layer: Layer, sampling: Sampling) -> str:
    def said(groups: int, masked: bool) -> str:
        return f"{groups} offset group{'s' * (groups != 1)} {'with' if masked else 'without'} masks"

    file = said(layer.offset_groups, layer.mask_activation is not None)
    return (
        f"The file reads as {file}, the run had {said(sampling.groups, sampling.mask is not None)}."
    )


def infos_of(
    layers: Sequence[Layer | None], samplings: Sequence[Sampling]
) -> tuple[list[LayerInfo | None], list[str]]:
    """What each layer's reading says about the range of its mask, and where a mask is beyond it."""
    infos: list[LayerInfo | None] = []
    doubts = []
    for layer, sampling in zip(layers, samplings, strict=True):
        info = None if layer is None else layer_info(layer)
        top = None if info is None else info.mask_max
        beyond = top is not None and _beyond(sampling, top)
        infos.append(None if beyond else info)
        activation = "" if layer is None else layer.mask_activation
        doubts.append(
            f"Its mask goes beyond {top:g}, so it is no {activation} of anything." if beyond else ""
        )
    return infos, doubts


def _beyond(sampling: Sampling, top: float) -> bool:
    mask = sampling.mask
    if mask is None:
        return False
    finite = torch.where(mask.isfinite(), mask, 0)
    return bool((finite > top * 1.001).any() or (finite < -0.001).any())


def settled(
    layer: Layer, verified: Verified | None, numbers: LayerReport, *, reread: bool
) -> Layer:
    """The layer without the assumptions that the run has settled.

    The record holds the points and masks that were used, so nothing is assumed in how many there
    are. An output that was recomputed from them settles what a point outside reads, if there were
    enough of them, and their order, if the file's own weights did not have a say (`reread`).
    """
    known = set(_SHOWN)
    if verified is not None and verified.ok:
        if not reread:
            known.add("order")
        if numbers.statistics.outside >= _OUTSIDE:
            known.add("outside")
            layer = replace(layer, outside="zero")
    return replace(layer, assumed=layer.assumed - known)
