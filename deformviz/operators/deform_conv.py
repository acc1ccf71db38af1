"""Deformable convolution, v1 (Dai et al., arXiv 1703.06211) and v2 (Zhu et al., arXiv 1811.11168).

    y(p0) = sum_k w_k * m_k(p0) * x(p0 + p_k + offset_k(p0))

v1 moves each tap by a learned offset; v2 also weighs it by a learned mask m.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ..geometry import ImageMap, Kernel, Pair, as_pair, one_image
from ..sampling import Sampling
from .bilinear import as_table, sample_table

MaskActivation = Literal["sigmoid", "2sigmoid", "softmax"]

_STRIP_ELEMENTS = 2**21
"""So many numbers are worked on at once: 8 MiB, which stay in the processor's cache. Measured:
larger strips are up to twice as slow, as each then waits for fresh memory."""


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = (1, 1),
    padding: int | Pair = (0, 0),
    dilation: int | Pair = (1, 1),
    mask: Tensor | None = None,
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

    Returns:
        [B, O, h, w], in the dtype of `input`.

    Raises:
        ValueError: shapes that do not fit each other; the message gives both.

    Example:
        >>> x, w = torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3)
        >>> deform_conv2d(x, torch.zeros(1, 18, 8, 8), w, padding=1).shape
        torch.Size([1, 4, 8, 8])
    """
    kernel = Kernel.of(tuple(weight.shape[2:]), stride, padding, dilation)
    output_size = _check(input, offset, weight, bias, mask, kernel)
    with torch.autocast(input.device.type, enabled=False):
        dtype = torch.promote_types(input.dtype, torch.float32)
        x, delta, w = input.to(dtype), split_offset(offset.to(dtype), kernel.taps), weight.to(dtype)
        m = None if mask is None else split_mask(mask.to(dtype), kernel.taps)
        table = as_table(x, delta.shape[1])
        rows = _strip_rows(input, output_size, kernel)
        # `split`, as its gradient is put together once; a slice's is a map of zeros for each.
        deltas = torch.split(delta, rows, dim=-2)
        masks = [None] * len(deltas) if m is None else torch.split(m, rows, dim=-2)
        strips = [
            _strip(table, x.shape, part, w, kernel, index * rows, part_mask)
            for index, (part, part_mask) in enumerate(zip(deltas, masks, strict=True))
        ]
        output = torch.cat(strips, dim=2)  # [B, O, h, w]
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


def _strip(
    table: Tensor,
    shape: tuple[int, ...],
    delta: Tensor,
    weight: Tensor,
    kernel: Kernel,
    top: int,
    mask: Tensor | None,
) -> Tensor:
    """The output rows from `top` on, as many as `delta` [B, G, K, 2, rows, w] holds."""
    rows, width = delta.shape[-2:]
    grid = kernel.regular_grid((rows, width), delta)  # [K, 2, rows, w]
    grid = grid + grid.new_tensor([top * kernel.stride[0], 0])[:, None, None]
    points = (grid + delta).permute(0, 4, 5, 1, 2, 3)  # [B, rows, w, G, K, 2]
    if mask is not None:
        mask = mask.permute(0, 3, 4, 1, 2)  # [B, rows, w, G, K]
    columns = sample_table(table, shape, points, mask)  # [B, rows, w, G, K, C / G]
    return _contract(columns, weight)


def _contract(columns: Tensor, weight: Tensor) -> Tensor:
    """Multiply sampled values [B, h, w, G, K, C / G] by the kernel: [B, O, h, w]."""
    batch, height, width, offset_groups, taps, per_offset_group = columns.shape
    out, per_group = weight.shape[:2]
    groups = offset_groups * per_offset_group // per_group
    columns = columns.transpose(-1, -2)
    columns = columns.reshape(batch, height * width, groups, per_group * taps)
    kernels = weight.reshape(groups, out // groups, per_group * taps)
    output = torch.einsum("bngi,goi->bgon", columns, kernels)
    return output.reshape(batch, out, height, width)


def _strip_rows(input: Tensor, output_size: Pair, kernel: Kernel) -> int:
    """How many output rows are worked on at once, to keep to `_STRIP_ELEMENTS`."""
    # A point costs its channels and about sixteen numbers more: coordinates, indices, weights.
    per_row = input.shape[0] * (input.shape[1] + 16) * kernel.taps * output_size[1]
    return max(1, _STRIP_ELEMENTS // max(1, per_row))


def _check(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    kernel: Kernel,
) -> Pair:
    """The output's (h, w); ValueError where the arguments do not fit each other."""
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
    return (h, w)


class DeformConv2d(nn.Module):
    """Deformable Conv v1: a convolution whose offsets come from a convolution beside it.

    The offset convolution has the kernel, stride, padding and dilation of the main one. Its
    weight **and bias** start at zero, so that a new layer is exactly a convolution.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: as in
            `torch.nn.Conv2d`.
        offset_groups: G; each group of input channels is moved by offsets of its own.

    Example:
        >>> layer = DeformConv2d(8, 16, 3, padding=1)
        >>> layer(torch.rand(2, 8, 10, 10)).shape
        torch.Size([2, 16, 10, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        offset_groups: int = 1,
    ) -> None:
        super().__init__()
        if in_channels % offset_groups:
            raise ValueError(
                f"offset_groups must divide in_channels, got {offset_groups} and {in_channels}"
            )
        self.kernel = Kernel.of(kernel_size, stride, padding, dilation)
        # A plain Conv2d checks the arguments and draws the usual initial weights.
        plain = nn.Conv2d(in_channels, out_channels, as_pair(kernel_size), groups=groups, bias=bias)
        self.weight, self.bias = plain.weight, plain.bias
        self.offset_groups = offset_groups
        self.offset_conv = self._zero_conv(in_channels, 2 * offset_groups * self.kernel.taps)

    def _zero_conv(self, in_channels: int, out_channels: int) -> nn.Conv2d:
        k = self.kernel
        conv = nn.Conv2d(in_channels, out_channels, k.size, k.stride, k.padding, k.dilation)
        nn.init.zeros_(conv.weight)
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
        return conv

    def mask(self, input: Tensor) -> Tensor | None:
        """v1 has none."""
        return None

    def _arguments(
        self, input: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Pair, Pair, Pair, Tensor | None]:
        k = self.kernel
        k.output_size((input.shape[2], input.shape[3]))  # says what to do where none is left
        return (
            input, self.offset_conv(input), self.weight, self.bias,
            k.stride, k.padding, k.dilation, self.mask(input),
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] to [B, O, h, w]."""
        return deform_conv2d(*self._arguments(input))

    @torch.no_grad()
    def sampling(self, input: Tensor, index: int = 0) -> Sampling:
        """Run on image `index` of the batch and record where it read."""
        return deform_conv2d_sampling(*self._arguments(one_image(input, index)))


class ModulatedDeformConv2d(DeformConv2d):
    """Deformable Conv v2: v1 with a learned mask, which starts at sigmoid(0) = 0.5.

    Args:
        mask_activation: "sigmoid" (the paper), "2sigmoid" (starts at 1, so a new layer is exactly
            a convolution), or "softmax" over the K taps of a group (DCNv3).
        others: as in `DeformConv2d`.

    Example:
        >>> layer = ModulatedDeformConv2d(8, 16, 3, padding=1, mask_activation="2sigmoid")
        >>> layer(torch.rand(2, 8, 10, 10)).shape
        torch.Size([2, 16, 10, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        offset_groups: int = 1,
        mask_activation: MaskActivation = "sigmoid",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            offset_groups,
        )  # fmt: skip
        self.mask_activation = mask_activation
        self.mask_conv = self._zero_conv(in_channels, offset_groups * self.kernel.taps)
        activate_mask(torch.zeros(1, self.kernel.taps, 1, 1), self.kernel.taps, mask_activation)

    def mask(self, input: Tensor) -> Tensor:
        """[B, G * K, h, w], after its activation."""
        return activate_mask(self.mask_conv(input), self.kernel.taps, self.mask_activation)


def activate_mask(raw: Tensor, taps: int, activation: MaskActivation) -> Tensor:
    """Turn a mask convolution's output [B, G * K, h, w] into the mask.

    Raises:
        ValueError: an activation that is none of "sigmoid", "2sigmoid", "softmax".
    """
    if activation == "sigmoid":
        return raw.sigmoid()
    if activation == "2sigmoid":
        return 2 * raw.sigmoid()
    if activation == "softmax":
        return split_mask(raw, taps).softmax(dim=2).reshape(raw.shape)
    raise ValueError(
        f"mask_activation must be one of {get_args(MaskActivation)}, got {activation!r}"
    )


def parameter_groups(
    model: nn.Module, lr: float, offset_factor: float = 0.1
) -> list[dict[str, object]]:
    """Optimizer parameter groups in which offsets and masks learn more slowly.

    Deformable Conv v2 trains its offset and mask convolutions at a tenth of the rate. A backward
    hook on the module cannot do it: it changes gradients of inputs, not of parameters.

    Example:
        >>> model = nn.Sequential(DeformConv2d(3, 8, 3), nn.ReLU())
        >>> [g["lr"] for g in parameter_groups(model, lr=1e-3)]
        [0.001, 0.0001]
    """
    slow = {
        parameter
        for module in model.modules()
        if isinstance(module, DeformConv2d)
        for name, parameter in module.named_parameters()
        if name.startswith(("offset_conv.", "mask_conv."))
    }
    both = list(model.parameters())  # each once, and in a fixed order
    return [
        {"params": [p for p in both if p not in slow], "lr": lr},
        {"params": [p for p in both if p in slow], "lr": lr * offset_factor},
    ]
