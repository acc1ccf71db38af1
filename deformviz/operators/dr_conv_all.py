"""DRConv by computing every region's convolution at every position, and choosing.

m times the work of one convolution: the way for few channels, where a convolution costs less than
to sort positions, and for a guide that learns, whose gradient asks what the others would have been.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..geometry import Kernel


def convolve(input: Tensor, weight: Tensor, guide: Tensor, kernel: Kernel) -> Tensor:
    """[B, O, h, w], from [B, C, H, W], [B, m, O, C / groups, kh, kw] and [B, m, h, w]."""
    if torch.compiler.is_compiling():
        return _traceable(all_convolutions(input, weight, kernel), guide)
    output: Tensor = _All.apply(input, weight, guide, kernel)
    return output


class _All(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        input: Tensor,
        weight: Tensor,
        guide: Tensor,
        kernel: Kernel,
    ) -> Tensor:
        full, region = all_convolutions(input, weight, kernel), choose_region(guide)
        ctx.kernel = kernel
        ctx.save_for_backward(
            input, weight, guide, region, full if ctx.needs_input_grad[2] else None
        )
        return pick(full, region)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        input, weight, guide, region, full = ctx.saved_tensors
        grad_full = grad.new_zeros(len(grad), guide.shape[1], *grad.shape[1:])
        there = region[:, None, None].expand(-1, 1, grad.shape[1], -1, -1)
        grad_full.scatter_(1, there, grad[:, None])
        with torch.autocast(grad.device.type, enabled=False):
            found = _gradients(input, weight, ctx.kernel, grad_full, ctx.needs_input_grad[:2])
            return *found, None if full is None else guide_gradient(full, guide, grad), None


def all_convolutions(input: Tensor, weight: Tensor, kernel: Kernel) -> Tensor:
    """Every region's convolution at every position, in one call: [B, m, O, h, w]."""
    x, filters, groups = _side_by_side(input, weight)
    full = F.conv2d(x, filters, None, kernel.stride, kernel.padding, kernel.dilation, groups)
    shape = (len(input), groups // len(input), weight.shape[1], -1, *full.shape[2:])
    return full.reshape(shape).transpose(1, 2).flatten(2, 3)


def choose_region(guide: Tensor) -> Tensor:
    """Of scores [B, m, h, w] the first of the largest, [B, h, w].

    As `argmax` has it, which takes ten times as long.
    """
    return guide.max(dim=1).indices


def pick(full: Tensor, region: Tensor) -> Tensor:
    """Of [B, m, O, h, w] each position's region: [B, O, h, w]."""
    output = full[:, 0].clone()
    for t in range(1, full.shape[1]):  # m passes over what is in the cache; `gather` takes longer
        torch.where((region == t)[:, None], full[:, t], output, out=output)
    return output


def guide_gradient(full: Tensor, guide: Tensor, grad: Tensor) -> Tensor:
    """The gradient of the scores [B, m, h, w], had the output been mixed by their softmax.

    Args:
        full: [B, m, O, h, w]; every region's and not only the chosen one's.
        guide: the scores.
        grad: of the output, [B, O, h, w].
    """
    grad_choice = torch.stack([(one * grad).sum(dim=1) for one in full.unbind(1)], dim=1)
    soft = guide.softmax(dim=1)
    weighed = soft * grad_choice
    return weighed.addcmul_(soft, weighed.sum(dim=1, keepdim=True), value=-1)


def _traceable(full: Tensor, guide: Tensor) -> Tensor:
    """The same in plain operators, whose gradients autograd finds."""
    region = choose_region(guide)[:, None, None].expand(-1, 1, full.shape[2], -1, -1)
    soft = guide.softmax(dim=1)
    straight_through = (full.detach() * (soft - soft.detach())[:, :, None]).sum(dim=1)
    return full.gather(1, region).squeeze(1) + straight_through


def _gradients(
    input: Tensor, weight: Tensor, kernel: Kernel, grad_full: Tensor, wanted: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """Of input and weight, as far as wanted, from that of all convolutions."""
    x, filters, groups = _side_by_side(input, weight)
    shape = (len(input), weight.shape[1], groups // len(input), -1, *grad_full.shape[3:])
    above = grad_full.view(shape).transpose(1, 2).reshape(1, -1, *grad_full.shape[3:])
    around = [
        d * (k - 1) - p
        for k, p, d in zip(kernel.size, kernel.padding, kernel.dilation, strict=True)
    ]
    # The input's is a convolution too, and for one image of few channels faster if called one.
    turned = wanted[0] and groups == 1 and kernel.stride == (1, 1) and min(around) >= 0
    grad_x, grad_filters, _ = torch.ops.aten.convolution_backward(
        above, x, filters, None, kernel.stride, kernel.padding, kernel.dilation, False, (0, 0),
        groups, (wanted[0] and not turned, wanted[1], False),
    )  # fmt: skip
    if turned:
        mirrored = filters.flip(2, 3).transpose(0, 1)
        grad_x = F.conv2d(above, mirrored, None, 1, around, kernel.dilation)
    if grad_filters is not None:
        shape = (len(input), groups // len(input), weight.shape[1], -1, *filters.shape[1:])
        grad_filters = grad_filters.reshape(shape).transpose(1, 2).reshape(weight.shape)
    return None if grad_x is None else grad_x.view(input.shape), grad_filters


def _side_by_side(input: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, int]:
    """Images and groups as groups of one convolution.

    [1, B * C, H, W], [B * g * m * O / g, C / g, kh, kw], and their number B * g.
    """
    groups = input.shape[1] // weight.shape[3]
    by_group = weight.reshape(*weight.shape[:2], groups, -1, *weight.shape[3:]).transpose(1, 2)
    return input.reshape(1, -1, *input.shape[2:]), by_group.flatten(0, 3), len(input) * groups
