"""A live module's own layer: found by the names and shapes of its parameters, as in a file."""

from __future__ import annotations

from torch import nn

from ..layer import Layer
from ..layers import find_layers


def layer_in(module: nn.Module, path: str) -> Layer | None:
    """The deformable layer that a module is, or None.

    Args:
        module: with an offset convolution or linear layer inside.
        path: its name in the model, which tells some code bases apart.
    """
    before = f"{path}." if path else ""
    held = (*module.named_parameters(), *module.named_buffers())
    layers = find_layers({before + name: tuple(tensor.shape) for name, tensor in held})
    return layers[0] if len(layers) == 1 else None


def part_of(module: nn.Module, path: str, layer: Layer, role: str) -> nn.Module:
    """The module inside that bears a role, e.g. "offset"."""
    key = layer.tensors[f"{role}.weight"].removesuffix(".weight")
    return module.get_submodule(key.removeprefix(f"{path}.") if path else key)


def number(module: nn.Module, *names: str) -> int | None:
    """The attribute that bears one of these names, where it is a whole number."""
    found = (getattr(module, name, None) for name in names)
    return next((value for value in found if isinstance(value, int)), None)
