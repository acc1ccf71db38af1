"""Deformable convolution, v1 (Dai et al., arXiv 1703.06211) and v2 (Zhu et al., arXiv 1811.11168).

    y(p0) = sum_k w_k * m_k(p0) * x(p0 + p_k + offset_k(p0))

v1 moves each tap by a learned offset; v2 also weighs it by a learned mask m.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..geometry import ImageMap, Kernel, Pair, one_image
from ..sampling import Sampling
from .deform_conv_backends import Backend, run
from .deform_conv_call import Call


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = (1, 1),
    padding: int | Pair = (0, 0),
    dilation: int | Pair = (1, 1),
    mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
    compile: bool = False,
) -> Tensor:
    """Convolve with taps that are moved by `offset` and weighed by `mask`.

    Takes `torchvision.ops.deform_conv2d`'s arguments in its order. Under autocast it computes in
    float32, as coordinates in half precision would be off by half a pixel at 512.

    Args:
        input: [B, C, H, W].
        offset: [B, 2 * G * K, h, w] in pixels of the input. Channel g * 2K + 2k is **dy** of tap k
            in offset group g, channel g * 2K + 2k + 1 is **dx**; k = i * kw + j, row-major. An
            offset is relative to the tap's own place in the regular grid.
        weight: [O, C / groups, kh, kw]; the groups follow from its shape.
        bias: [O] or None.
        stride, padding, dilation: integers or (y, x) pairs.
        mask: [B, G * K, h, w], a factor for each tap (v2), or None (v1).
        backend: by which means it is computed: "grid_sample", "embedding_bag", "torchvision", or
            "auto", the fastest by shape and device, see `deform_conv_backends`.
        compile: sample by a gather that `torch.compile` has fused, on a CPU. The first call of a
            kind takes seconds to compile; where that fails it warns once and goes on without.

    Returns:
        [B, O, h, w], in the dtype of `input`.

    Raises:
        ValueError: shapes that do not fit each other, of which the message gives both; an unknown
            backend, or one by name and `compile`.

    Example:
        >>> x, w = torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3)
        >>> deform_conv2d(x, torch.zeros(1, 18, 8, 8), w, padding=1).shape
        torch.Size([1, 4, 8, 8])
    """
    kernel = Kernel.of(tuple(weight.shape[2:]), stride, padding, dilation)
    _check(input, offset, weight, bias, mask, kernel)
    with torch.autocast(input.device.type, enabled=False):
        dtype = torch.promote_types(input.dtype, torch.float32)
        call = Call(
            input.to(dtype),
            split_offset(offset.to(dtype), kernel.taps),
            weight.to(dtype),
            None if mask is None else split_mask(mask.to(dtype), kernel.taps),
            kernel,
        )
        output = run(call, backend, compile)
        if bias is not None:
            output = output + bias.to(dtype)[:, None, None]
    return output.to(input.dtype)


def deform_conv2d_sampling(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = (1, 1),
    padding: int | Pair = (0, 0),
    dilation: int | Pair = (1, 1),
    mask: Tensor | None = None,
    *,
    index: int = 0,
    name: str | None = None,
    image_map: ImageMap = ImageMap(),  # noqa: B008  (frozen)
) -> Sampling:
    """Run `deform_conv2d` on image `index` of the batch and record where it read.

    Takes the same arguments, and how the map lies on the image, such as `ImageMap.of_stride(8)`;
    returns the `Sampling`, its output included.
    """
    x, delta = one_image(input, index), one_image(offset, index)
    m = None if mask is None else one_image(mask, index)
    output = deform_conv2d(x, delta, weight, bias, stride, padding, dilation, m)
    kernel = Kernel.of(tuple(weight.shape[2:]), stride, padding, dilation)
    return Sampling(
        name=name or f"Deformable Conv v{1 if mask is None else 2}",
        input_size=(input.shape[2], input.shape[3]),
        output_size=(output.shape[2], output.shape[3]),
        kernel=kernel,
        offset=split_offset(delta, kernel.taps)[0].detach(),
        mask=None if m is None else split_mask(m, kernel.taps)[0].detach(),
        input=x[0].detach(),
        output=output[0].detach(),
        weight=weight.detach(),
        bias=None if bias is None else bias.detach(),
        image_map=image_map,
    )


def split_offset(offset: Tensor, taps: int) -> Tensor:
    """[B, 2 * G * K, h, w] in torchvision's channel order, as [B, G, K, 2, h, w]."""
    batch, channels, h, w = offset.shape
    return offset.reshape(batch, channels // (2 * taps), taps, 2, h, w)


def split_mask(mask: Tensor, taps: int) -> Tensor:
    """[B, G * K, h, w] in torchvision's channel order, as [B, G, K, h, w]."""
    batch, channels, h, w = mask.shape
    return mask.reshape(batch, channels // taps, taps, h, w)


def _check(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    kernel: Kernel,
) -> None:
    """ValueError where the arguments do not fit each other."""
    if not (input.is_floating_point() and offset.is_floating_point()):
        raise ValueError(
            f"input and offset must be of floating point, got {input.dtype} and {offset.dtype}"
        )
    if input.dim() != 4 or offset.dim() != 4:
        raise ValueError(
            "input and offset must be [B, channels, rows, columns], "
            f"got {list(input.shape)} and {list(offset.shape)}"
        )
    channels, taps = input.shape[1], kernel.taps
    if channels % weight.shape[1] or weight.shape[0] % (channels // weight.shape[1]):
        raise ValueError(
            f"weight {list(weight.shape)} does not fit an input of {channels} channels: expected "
            "[O, C / groups, kh, kw] with groups that divide both C and O"
        )
    groups = offset.shape[1] // (2 * taps)
    if groups < 1 or offset.shape[1] % (2 * taps) or channels % groups:
        raise ValueError(
            f"offset has {offset.shape[1]} channels: expected 2 * G * {taps} for a "
            f"{kernel.size[0]} x {kernel.size[1]} kernel, with G offset groups that divide the "
            f"input's {channels} channels"
        )
    h, w = kernel.output_size((input.shape[2], input.shape[3]))
    expected = [input.shape[0], offset.shape[1], h, w]
    if list(offset.shape) != expected:
        raise ValueError(f"offset must be {expected}, got {list(offset.shape)}")
    if bias is not None and list(bias.shape) != [weight.shape[0]]:
        raise ValueError(f"bias must be {[weight.shape[0]]}, got {list(bias.shape)}")
    if mask is not None and list(mask.shape) != [input.shape[0], groups * taps, h, w]:
        raise ValueError(
            f"mask must be {[input.shape[0], groups * taps, h, w]}, got {list(mask.shape)}"
        )
