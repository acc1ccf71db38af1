"""`find_layers`: the deformable layers of a state dict, from its names and shapes alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from .families import FAMILIES
from .family import Family, Shapes
from .layer import Layer, build, readings
from .names import Match, matches


def find_layers(shapes: Shapes) -> list[Layer]:
    """Find every deformable layer that a known code base could have written.

    Names and shapes must both fit: a plain layer that is called "offset" is none. What neither
    settles is listed in `Layer.assumed`, to be shown to a person and corrected by
    `Layer.override`.

    Args:
        shapes: each tensor's shape, by its key; wrappers such as "module." may stand before it.

    Returns:
        In the order of the file; of the same shapes, the same layers.

    Example:
        >>> layers = find_layers(
        ...     {
        ...         "conv1.weight": (64, 3, 7, 7),
        ...         "res4.0.conv2.weight": (64, 64, 3, 3),
        ...         "res4.0.conv2_offset.weight": (27, 64, 3, 3),
        ...         "res4.0.conv2_offset.bias": (27,),
        ...     }
        ... )
        >>> [(layer.name, layer.family, layer.mask_activation) for layer in layers]
        [('res4.0.conv2', 'detectron2 DCNv2', 'sigmoid')]
    """
    place = {key: index for index, key in enumerate(shapes)}
    found: dict[tuple[str, str], tuple[int, Layer]] = {}
    mains: set[str] = set()
    for family in FAMILIES:
        for match in matches(family, shapes):
            claim = _claim(match)
            if claim in found or (not claim[1] and claim[0] in mains):
                continue
            layer = _read(family, match, shapes)
            if layer is not None:
                found[claim] = (place[match.anchor], layer)
                mains.add(claim[0])
    ordered = [layer for _, layer in sorted(found.values(), key=lambda one: one[0])]
    return _named_apart(ordered)


def _claim(match: Match) -> tuple[str, str]:
    """What only one family can have: a main weight, or what stands for it, with its offsets."""
    offset = match.tensors.get("offset.weight", match.tensors.get("offset", ""))
    return match.tensors.get("weight", match.anchor), offset


def _read(family: Family, match: Match, shapes: Shapes) -> Layer | None:
    of_roles = {role: tuple(shapes[key]) for role, key in match.tensors.items()}
    found = readings(family, of_roles)
    return build(family, match.name, match.tensors, of_roles, found[0]) if found else None


def _named_apart(layers: list[Layer]) -> list[Layer]:
    """Two layers of one main convolution bear the names of their offset convolutions."""
    count = Counter(layer.name for layer in layers)
    return [
        replace(layer, name=layer.tensors["offset.weight"].removesuffix(".weight"))
        if count[layer.name] > 1 and "offset.weight" in layer.tensors
        else layer
        for layer in layers
    ]
