"""`run_layer`: offset convolution and main convolution of a file, run on a feature map at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import ImageMap, Kernel, Pair, check_batch
from ..operators.bilinear import sample
from ..sampling import Sampling
from .convert import to_canonical
from .layer import Layer
from .main_weight import main_bias, main_weight
from .weights import Tensors, same_padding, tensor_of

Raw = tuple[Tensor, Tensor | None]
"""What the offset convolution and, where there is one, the mask convolution gave."""


@torch.no_grad()
def run_layer(
    layer: Layer,
    tensors: Tensors,
    feature: Tensor,
    stride: int | Pair = 1,
    padding: int | Pair | None = None,
    dilation: int | Pair = 1,
    *,
    offset_feature: Tensor | None = None,
    image_map: ImageMap = ImageMap(),  # noqa: B008  (frozen)
) -> Sampling:
    """Run a layer of a file on the feature map that it reads, and record where it read.

    Args:
        layer: a convolution from `find_layers` whose offset convolution is in the file.
        tensors: of the file, by key.
        feature: [1, C, H, W], the input of the main convolution.
        stride, padding, dilation: of the main convolution, which the file does not hold; without
            a padding, the one that keeps the map's size at stride 1.
        offset_feature: [1, C', H', W'], the input of the offset convolution where it is another
            one (EDVR, DyHead, RepPoints, GA-RPN).
        image_map: how the map lies on the image.

    Returns:
        The record with its output: of the branch alone in DetectoRS, before normalisation and
        activation everywhere.

    Raises:
        ValueError: a family that takes more than its offset convolution, a feature map that does
            not fit, or one that is missing; the message says what to do.

    Example:
        >>> from deformviz.checkpoints import find_layers
        >>> shapes = {"a.weight": (4, 8, 3, 3), "a.conv_offset.weight": (27, 8, 3, 3)}
        >>> (layer,) = find_layers(shapes)
        >>> tensors = {key: torch.rand(shape) for key, shape in shapes.items()}
        >>> s = run_layer(layer, tensors, torch.rand(1, 8, 6, 6))
        >>> s.output.shape, s.mask.shape
        (torch.Size([4, 6, 6]), torch.Size([1, 9, 6, 6]))
    """
    raw_offset, raw_mask = raw_offsets(
        layer, tensors, feature, stride, padding, dilation, offset_feature=offset_feature
    )
    x = _in_context(layer, tensors, _exact(feature))
    canonical = to_canonical(
        layer,
        raw_offset,
        raw_mask,
        stride=stride,
        padding=same_padding(layer, padding, dilation),
        dilation=dilation,
        size=(x.shape[2], x.shape[3]),
        base=tensor_of(layer, tensors, "base"),
    )
    record = canonical.sampling(
        layer.name,
        (x.shape[2], x.shape[3]),
        input=x[0],
        weight=main_weight(layer, tensors),
        bias=main_bias(layer, tensors),
        image_map=image_map,
    )
    return read(record)


@torch.no_grad()
def raw_offsets(
    layer: Layer,
    tensors: Tensors,
    feature: Tensor,
    stride: int | Pair = 1,
    padding: int | Pair | None = None,
    dilation: int | Pair = 1,
    *,
    offset_feature: Tensor | None = None,
) -> Raw:
    """What a layer's offset and mask convolutions give on a feature map, for `to_canonical`.

    Of the tensors, those of the main convolution are not needed. Arguments as for `run_layer`.

    Raises:
        ValueError: as for `run_layer`.
    """
    _check(layer, feature, offset_feature)
    kernel = Kernel.of(layer.kernel_size, stride, same_padding(layer, padding, dilation), dilation)
    x = _in_context(layer, tensors, _exact(feature))
    source = x if offset_feature is None else offset_feature.to(x)
    return _RUNS[layer.row.run](layer, tensors, source, kernel)


def _exact(feature: Tensor) -> Tensor:
    """In single precision at least."""
    return feature.detach().to(torch.promote_types(feature.dtype, torch.float32))


def read(record: Sampling) -> Sampling:
    """The record with the output that its own points, masks and weight give.

    Args:
        record: with its input [C, H, W] and its weight [O, C / groups, kh, kw].
    """
    if record.input is None or record.weight is None:
        raise ValueError(f"the Sampling {record.name!r} lacks its input or its weight")
    points = record.points().permute(3, 4, 0, 1, 2)[None]  # [1, h, w, G, K, 2]
    mask = None if record.mask is None else record.mask.permute(2, 3, 0, 1)[None]
    columns = sample(record.input[None], points, mask)[0]  # [h, w, G, K, C / G]
    columns = columns.transpose(-1, -2).flatten(2, 3)  # [h, w, C, K]
    out, per_group = record.weight.shape[:2]
    groups = columns.shape[2] // per_group
    columns = columns.reshape(*columns.shape[:2], groups, -1)
    weight = record.weight.reshape(groups, out // groups, -1)
    output = torch.einsum("hwgi,goi->gohw", columns, weight).flatten(0, 1)
    if record.bias is not None:
        output = output + record.bias[:, None, None]
    return replace(record, output=output)


def _check(layer: Layer, feature: Tensor, offset_feature: Tensor | None) -> None:
    check_batch(feature)
    if layer.row.run not in _RUNS:
        raise ValueError(
            f"{layer.family} takes more than an offset convolution and a feature map: run the "
            "network and give what its offset layers return to to_canonical"
        )
    if feature.shape[0] != 1 or feature.shape[1] != layer.in_channels:
        raise ValueError(
            f"{layer.name} reads a map [1, {layer.in_channels}, H, W], got {list(feature.shape)}"
        )
    if "offset.weight" not in layer.tensors:
        return
    first = layer.shapes.get("hidden.weight", layer.shapes["offset.weight"])
    source = feature if offset_feature is None else offset_feature
    if source.dim() != 4 or source.shape[1] != first[1]:
        raise ValueError(
            f"the offsets of {layer.name} are made of a map [1, {first[1]}, H, W], "
            f"got {list(source.shape)}: give it as offset_feature"
        )
    if offset_feature is None and not layer.row.own_input:
        raise ValueError(
            f"the offsets of {layer.name} are made of another feature map than the one it reads: "
            "give it as offset_feature, be it the same"
        )


def _conv(
    layer: Layer,
    tensors: Tensors,
    x: Tensor,
    role: str,
    stride: Pair,
    padding: Pair,
    dilation: Pair = (1, 1),
) -> Tensor:
    weight, bias = (tensor_of(layer, tensors, f"{role}.{part}") for part in ("weight", "bias"))
    assert weight is not None, role
    return F.conv2d(
        x, weight.to(x), None if bias is None else bias.to(x), stride, padding, dilation
    )


_Run = Callable[[Layer, Tensors, Tensor, Kernel], Raw]


def _both(layer: Layer, run: Callable[[str], Tensor]) -> Raw:
    """The offset convolution, and a mask convolution beside it where there is one."""
    return run("offset"), run("mask") if "mask.weight" in layer.tensors else None


def _like_main(layer: Layer, tensors: Tensors, x: Tensor, kernel: Kernel) -> Raw:
    """With the stride, padding and dilation of the main convolution, if it is of its size."""
    if layer.shapes["offset.weight"][2:] != kernel.size:
        return _own_kernel(layer, tensors, x, kernel)
    # A lone offset map of a middle level is as large as the output, whatever the main stride.
    stride = kernel.stride if layer.row.own_input else (1, 1)
    return _both(
        layer,
        lambda role: _conv(layer, tensors, x, role, stride, kernel.padding, kernel.dilation),
    )


def _undilated(layer: Layer, tensors: Tensors, x: Tensor, kernel: Kernel) -> Raw:
    """With the stride and the padding, but never a dilation."""
    return _both(layer, lambda role: _conv(layer, tensors, x, role, kernel.stride, kernel.padding))


def _own_kernel(layer: Layer, tensors: Tensors, x: Tensor, kernel: Kernel) -> Raw:
    """With a kernel of its own and the padding that keeps the map's size at stride 1."""
    kh, kw = layer.shapes["offset.weight"][2:]
    return _both(
        layer, lambda role: _conv(layer, tensors, x, role, kernel.stride, (kh // 2, kw // 2))
    )


def _pooled(layer: Layer, tensors: Tensors, x: Tensor, kernel: Kernel) -> Raw:
    """DetectoRS: of the map averaged over 5 x 5, mirrored at the border."""
    pooled = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, stride=1)
    return _own_kernel(layer, tensors, pooled, kernel)


def _two_steps(layer: Layer, tensors: Tensors, x: Tensor, kernel: Kernel) -> Raw:
    """RepPoints: a 3 x 3 convolution, ReLU, a 1 x 1 convolution."""
    hidden = _conv(layer, tensors, x, "hidden", (1, 1), (1, 1)).relu()
    return _conv(layer, tensors, hidden, "offset", (1, 1), (0, 0)), None


def _normalised(layer: Layer, tensors: Tensors, x: Tensor, kernel: Kernel) -> Raw:
    """DSCNet: normalised by groups of two channels; in its first release by running statistics."""
    raw = _conv(layer, tensors, x, "offset", (1, 1), (1, 1))
    weight, bias, mean, var = (
        tensor_of(layer, tensors, f"norm.{part}") for part in ("weight", "bias", "mean", "var")
    )
    if mean is None or var is None:
        return F.group_norm(raw, layer.points, weight, bias), None
    return F.batch_norm(raw, mean, var, weight, bias), None


def _constant(layer: Layer, tensors: Tensors, x: Tensor, kernel: Kernel) -> Raw:
    """CycleMLP: a buffer."""
    offset = tensor_of(layer, tensors, "offset")
    assert offset is not None
    return offset.to(x), None


_RUNS: dict[str, _Run] = {
    "like main": _like_main,
    "undilated": _undilated,
    "own kernel": _own_kernel,
    "pooled": _pooled,
    "two steps": _two_steps,
    "normalised": _normalised,
    "constant": _constant,
}
"""By the word of `family.Run`."""


def _in_context(layer: Layer, tensors: Tensors, x: Tensor) -> Tensor:
    """DetectoRS: what is read is the map and a 1 x 1 convolution of its mean."""
    if "context.weight" not in layer.tensors:
        return x
    mean = x.mean(dim=(2, 3), keepdim=True)
    return x + _conv(layer, tensors, mean, "context", (1, 1), (0, 0))
