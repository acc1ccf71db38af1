"""The weight that the points are multiplied by, as a `Sampling` holds it."""

from __future__ import annotations

from torch import Tensor

from .layer import Layer
from .weights import Tensors, tensor_of


def main_weight(layer: Layer, tensors: Tensors) -> Tensor | None:
    """[O, C / groups, kh, kw] over the layer's taps, or None where the mask is the weight.

    DSCNet keeps a weight for either direction, turned by 90 degrees; DetectoRS standardises its
    weight, and adds a difference for the large branch.
    """
    if "weight.x" in layer.tensors:
        along_x = layer.kernel_size[0] == 1
        weight = tensor_of(layer, tensors, "weight.x" if along_x else "weight.y")
        return None if weight is None else weight.transpose(2, 3)
    weight = tensor_of(layer, tensors, "weight")
    if weight is None or tuple(weight.shape[2:]) != layer.kernel_size:
        return None  # the scope of Deformable Kernels, the bank of DRConv
    if "gamma.weight" in layer.tensors:
        return _standardised(layer, tensors, weight)
    return weight


def main_bias(layer: Layer, tensors: Tensors) -> Tensor | None:
    """[O] or None; DetectoRS does not add its bias."""
    if "weight.x" in layer.tensors:
        role = "bias.x" if layer.kernel_size[0] == 1 else "bias.y"
        return tensor_of(layer, tensors, role)
    if "gamma.weight" in layer.tensors or "weight" not in layer.tensors:
        return None
    return tensor_of(layer, tensors, "bias")


def _standardised(layer: Layer, tensors: Tensors, weight: Tensor) -> Tensor:
    gamma, beta, difference = (
        tensor_of(layer, tensors, f"{part}.weight") for part in ("gamma", "beta", "other")
    )
    assert gamma is not None
    assert beta is not None
    assert difference is not None
    flat = weight.flatten(1)
    spread = (flat.var(dim=1) + 1e-5).sqrt()[:, None, None, None]
    centred = weight - flat.mean(dim=1)[:, None, None, None]
    standard = gamma * centred / spread + beta
    return standard + difference if layer.relative_to == "tap, atrous" else standard
