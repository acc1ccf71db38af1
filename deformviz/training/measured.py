"""What a trained network did with what it could learn: its taps, its regions, its shifts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..analysis import effective_dilation
from ..operators import ActiveShift2d, DRConv2d
from .loop import watch
from .regions import agreement, filtered
from .scale import GROUND, SIZE_NAMES, scenes
from .task import Batch, Knobs

_SCENES = 96


def by_object(values: list[Tensor], batch: Batch) -> dict[str, float]:
    """The mean of a value a cell over small, medium and large glyphs, and over ground.

    Args:
        values: for each scene of `batch`, [h, w].
        batch: of `scenes`.
    """
    each = torch.stack(values)  # [B, h, w]
    on_glyph = (batch.target >= 0) & (batch.target != GROUND)
    of_size = {
        name: on_glyph & (batch.about["size"] == i)[:, None, None]
        for i, name in enumerate(SIZE_NAMES)
    }
    where = of_size | {"ground": batch.target == GROUND}
    return {name: float(each[cells].mean()) for name, cells in where.items()}


def of_scale(net: nn.Module, knobs: Knobs) -> dict[str, float]:
    """Effective dilation and mask of each layer, by what lies below."""
    batch = scenes(torch.Generator().manual_seed(1_000_033), _SCENES)
    recorded = [watch(net, image[None]) for image in batch.input]
    found: dict[str, float] = {}
    for i, layers in enumerate(zip(*recorded, strict=True)):
        dilation = by_object([effective_dilation(layer)[0] for layer in layers], batch)
        found |= {f"dilation, layer {i + 1}, {name}": d for name, d in dilation.items()}
        if layers[0].mask is not None:
            mask = by_object([layer.mask[0].mean(0) for layer in layers], batch)
            found |= {f"mask, layer {i + 1}, {name}": m for name, m in mask.items()}
    return found


def of_coordinates(net: nn.Module, knobs: Knobs) -> dict[str, float]:
    """Nothing beside how well it does."""
    return {}


@torch.no_grad()
def of_regions(net: nn.Module, knobs: Knobs) -> dict[str, float]:
    """How far the guide's regions are the picture's own."""
    batch = filtered(torch.Generator().manual_seed(1_000_033), _SCENES)
    recorded = [watch(net, image[None])[0].region for image in batch.input]
    assert any(isinstance(module, DRConv2d) for module in net.modules())
    regions = torch.stack([region for region in recorded if region is not None])
    return {"guide, agreement with regions": agreement(regions, batch.about["kind"])}


def of_shifts(net: nn.Module, knobs: Knobs) -> dict[str, float]:
    """How far the shifts have spread, in pixels of their map."""
    layers = [module for module in net.modules() if isinstance(module, ActiveShift2d)]
    return {
        f"shift, layer {i + 1}, standard deviation": float(layer.shift.detach().std())
        for i, layer in enumerate(layers)
    }


MEASURES: dict[str, Callable[[nn.Module, Knobs], dict[str, float]]] = {
    "scale": of_scale,
    "coordinates": of_coordinates,
    "regions": of_regions,
    "shifts": of_shifts,
}
