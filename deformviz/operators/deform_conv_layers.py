"""Deformable convolution as layers, whose offsets and masks come from convolutions beside them."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ..geometry import Kernel, Pair, as_pair, one_image
from ..sampling import Sampling
from .deform_conv import deform_conv2d, deform_conv2d_sampling, split_mask
from .deform_conv_backends import Backend, check_choice

MaskActivation = Literal["sigmoid", "2sigmoid", "softmax"]


class DeformConv2d(nn.Module):
    """Deformable Conv v1: a convolution whose offsets come from a convolution beside it.

    The offset convolution has the kernel, stride, padding and dilation of the main one. Its
    weight **and bias** start at zero, so that a new layer is exactly a convolution.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: as in
            `torch.nn.Conv2d`.
        offset_groups: G; each group of input channels is moved by offsets of its own.
        backend, compile: by which means, as in `deform_conv2d`.

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
        *,
        backend: Backend = "auto",
        compile: bool = False,
    ) -> None:
        super().__init__()
        check_choice(backend, compile)
        self.backend: Backend = backend
        self.compiled = compile
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
        return deform_conv2d(*self._arguments(input), backend=self.backend, compile=self.compiled)

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
        *,
        backend: Backend = "auto",
        compile: bool = False,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            offset_groups, backend=backend, compile=compile,
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
