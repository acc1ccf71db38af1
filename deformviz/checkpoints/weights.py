"""What the weights alone say of a layer: its mean pattern, and how far that follows the input."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..geometry import Kernel, Pair, as_pair
from ..sampling import Sampling
from .convert import to_canonical
from .layer import Layer
from .orders import split

Tensors = Mapping[str, Tensor]
"""By key of the file."""


def tensor_of(layer: Layer, tensors: Tensors, role: str) -> Tensor | None:
    """The tensor of a role in float32 or better, or None where the layer has none.

    Raises:
        ValueError: a key that the layer was found by is not among the tensors.
    """
    key = layer.tensors.get(role)
    if key is None:
        return None
    if key not in tensors:
        raise ValueError(f"{layer.name} needs the tensor {key!r}, which is not given")
    tensor = tensors[key].detach()
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def static_sampling(
    layer: Layer,
    tensors: Tensors,
    map_size: Pair,
    *,
    stride: int | Pair = 1,
    padding: int | Pair | None = None,
    dilation: int | Pair = 1,
    level: int = 0,
) -> Sampling:
    """Where a layer reads on an input of nothing: its offset convolution's bias, everywhere alike.

    Of a trained layer this is its mean pattern as far as the file alone tells it; what it adds for
    each input is `dependence`. Flows, matches and reference points count as zero, queries as the
    map's own pixels. Behind a normalisation (DSCNet), its bias stands for the convolution's.

    Args:
        layer: from `find_layers`.
        tensors: of the file, by key.
        map_size: (H, W) of the map that is read.
        stride, padding, dilation: of the main convolution, which the file does not hold; without
            a padding, the one that keeps the map's size at stride 1. The stride is that of the
            key grid for DAT and lucidrains.
        level: which map, of several.

    Raises:
        ValueError: a layer whose points follow from its input alone (VFNet), or tensors or
            settings that do not fit.

    Example:
        >>> from deformviz.checkpoints import find_layers
        >>> tensors = {
        ...     "a.weight": torch.rand(8, 8, 3, 3),
        ...     "a.conv_offset.weight": torch.zeros(18, 8, 3, 3),
        ...     "a.conv_offset.bias": torch.full((18,), 0.25),
        ... }
        >>> (layer,) = find_layers({key: tuple(t.shape) for key, t in tensors.items()})
        >>> static_sampling(layer, tensors, (8, 8)).points_at(4, 4)[0, 4]
        tensor([4.2500, 4.2500])
    """
    kernel = Kernel.of(layer.kernel_size, stride, same_padding(layer, padding, dilation), dilation)
    size = _output_size(layer, map_size, kernel)
    canonical = to_canonical(
        layer,
        None if layer.row.packing == "none" else _in_layout(layer, _constant(layer, tensors), size),
        _mask_bias(layer, tensors, size),
        stride=kernel.stride,
        padding=kernel.padding,
        dilation=kernel.dilation,
        size=map_size,
        base=tensor_of(layer, tensors, "base"),
        level=level,
    )
    return canonical.sampling(layer.name, read_size(layer, map_size))


def same_padding(layer: Layer, padding: int | Pair | None, dilation: int | Pair) -> Pair:
    """The padding, or the one under which the output is as large as the map."""
    if padding is not None:
        return as_pair(padding, "padding")
    dy, dx = as_pair(dilation, "dilation")
    kh, kw = layer.kernel_size
    return (dy * (kh - 1) // 2, dx * (kw - 1) // 2)


def read_size(layer: Layer, map_size: Pair) -> Pair:
    """(H, W) of what is read: the map, or the kernel's scope in Deformable Kernels."""
    if layer.relative_to != "kernel scope":
        return map_size
    scope = layer.shapes["weight"][2:]
    return (scope[0], scope[1])


def _output_size(layer: Layer, map_size: Pair, kernel: Kernel) -> Pair:
    """How many positions the offsets have."""
    if layer.row.layout == "vector":
        return (1, 1)
    if layer.relative_to in ("top left", "tap, from 1"):
        # Their offset convolution is 3 x 3 with padding 1.
        return Kernel.of(3, kernel.stride, 1).output_size(map_size)
    if layer.row.layout == "groups as images":
        return (map_size[0] // kernel.stride[0], map_size[1] // kernel.stride[1])
    return kernel.output_size(map_size)


def _constant(layer: Layer, tensors: Tensors) -> Tensor:
    """What the offset convolution gives for an input of zeros: [R]."""
    buffer = tensor_of(layer, tensors, "offset")
    if buffer is not None:
        return buffer.flatten()
    norm, bias = (tensor_of(layer, tensors, role) for role in ("norm.bias", "offset.bias"))
    if layer.row.run == "normalised" and norm is not None:
        return norm
    rows = layer.shapes["offset.weight"][0]
    return torch.zeros(rows) if bias is None else bias


def _mask_bias(layer: Layer, tensors: Tensors, size: Pair) -> Tensor | None:
    if "mask.weight" not in layer.tensors:
        return None
    bias = tensor_of(layer, tensors, "mask.bias")
    rows = layer.shapes["mask.weight"][0]
    return _in_layout(layer, torch.zeros(rows) if bias is None else bias, size)


def _in_layout(layer: Layer, rows: Tensor, size: Pair) -> Tensor:
    """Numbers of each row [R], everywhere alike, with the axes that the code base has."""
    h, w = size
    layout = layer.row.layout
    if layout == "map, channels last":
        return rows.expand(1, h, w, -1)
    if layout == "vector":
        return rows[None]
    if layout == "groups as images":
        return rows[None, :, None, None].expand(layer.offset_groups, -1, h, w)
    if layout == "queries":
        return rows.expand(1, h * w, -1)
    return rows[None, :, None, None].expand(1, -1, h, w)


def dependence(layer: Layer, tensors: Tensors) -> Tensor:
    """How strongly each tap's offset follows the input: the L2 norm of its rows.

    Of the offset convolution's weight itself, before any scale, tanh, normalisation or chain, so
    that layers of one family compare, and zero says that the offset is the same for every input.

    Returns:
        [G, K, 2], (dy, dx); with levels, K is their points one level after another.

    Raises:
        ValueError: a layer without an offset convolution.

    Example:
        >>> from deformviz.checkpoints import find_layers
        >>> tensors = {
        ...     "a.weight": torch.rand(8, 1, 1, 1),
        ...     "a.conv_offset.weight": torch.tensor([3.0, 4.0]).reshape(2, 1, 1, 1),
        ... }
        >>> (layer,) = find_layers({key: tuple(t.shape) for key, t in tensors.items()})
        >>> dependence(layer, tensors)
        tensor([[[3., 4.]]])
    """
    weight = tensor_of(layer, tensors, "offset.weight")
    if weight is None:
        raise ValueError(f"{layer.name} has no offset convolution: {layer.row.note}")
    norms = weight.flatten(1).norm(dim=1)  # [R]
    masks = None
    if "mask.weight" in layer.tensors:
        masks = torch.zeros(1, layer.shapes["mask.weight"][0], 1, 1)
    if layer.row.layout == "groups as images":
        norms = norms.repeat(layer.offset_groups)  # one small network for every group
    return split(layer, norms[None, :, None, None], masks).offset[0, ..., 0, 0]


def is_untrained(layer: Layer, tensors: Tensors) -> bool:
    """Whether the offset convolution, and a mask's, are all zero, as new layers are.

    Example:
        >>> from deformviz.checkpoints import find_layers
        >>> shapes = {"a.weight": (8, 8, 3, 3), "a.conv_offset.weight": (18, 8, 3, 3)}
        >>> (layer,) = find_layers(shapes)
        >>> is_untrained(layer, {key: torch.zeros(shape) for key, shape in shapes.items()})
        True
    """
    return _all_zero(layer, tensors, ("offset.weight", "mask.weight", "offset.bias", "mask.bias"))


def is_constant(layer: Layer, tensors: Tensors) -> bool:
    """Whether the offsets are the same for every input: a weight of zeros, whatever the bias.

    So are those of an untrained layer, of blog versions at their start (their bias is random),
    and of attention at its start (its bias is a star).
    """
    return _all_zero(layer, tensors, ("offset.weight",))


def _all_zero(layer: Layer, tensors: Tensors, roles: tuple[str, ...]) -> bool:
    if "offset.weight" not in layer.tensors:
        return False
    held = [tensor_of(layer, tensors, role) for role in roles]
    return all(not bool(tensor.any()) for tensor in held if tensor is not None)
