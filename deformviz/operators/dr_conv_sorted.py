"""DRConv by sorting: the positions of a region side by side, and one matrix product for each.

What the kernel covers at a position is a few runs of a channels-last map, so that to gather them in
the order of the regions costs no more than to unfold them where they are. Each position is then
multiplied by its own filter alone: the work of one convolution, not of m.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..geometry import Kernel
from .dr_conv_all import all_convolutions, choose_region, guide_gradient, pick
from .dr_conv_strips import Strip, strips

STRIP_ELEMENTS = 2**22
"""So many numbers are gathered at once, 16 MiB."""


def convolve(input: Tensor, weight: Tensor, guide: Tensor, kernel: Kernel) -> Tensor:
    """[B, O, h, w], from [B, C, H, W], [B, m, O, C / groups, kh, kw] and [B, m, h, w]."""
    batch, _, out, per_group = weight.shape[:4]
    groups = input.shape[1] // per_group
    if groups > 1:  # each group as an image of its own, with the guide of its image
        input = input.reshape(-1, per_group, *input.shape[2:])
        parted = weight.view(*weight.shape[:2], groups, -1, *weight.shape[3:])
        weight = parted.transpose(1, 2).flatten(0, 1)
        guide = guide[:, None].expand(-1, groups, -1, -1, -1).flatten(0, 1)
    output: Tensor = _Sorted.apply(input, weight, guide, kernel)
    return output.reshape(batch, out, *guide.shape[2:])


class _Sorted(torch.autograd.Function):
    """input [B, C, H, W] x weight [B, m, O, C, kh, kw], chosen by guide [B, m, h, w]."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        input: Tensor,
        weight: Tensor,
        guide: Tensor,
        kernel: Kernel,
    ) -> Tensor:
        ctx.kernel, full = kernel, None
        if ctx.needs_input_grad[2]:  # its gradient needs them all, and to sort would come on top
            full = all_convolutions(input, weight, kernel)
        ctx.save_for_backward(input, weight, guide, full)
        return (
            _forward(input, weight, guide, kernel)
            if full is None
            else pick(full, choose_region(guide))
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        input, weight, guide, full = ctx.saved_tensors
        with torch.autocast(grad.device.type, enabled=False):
            found = _gradients(input, weight, guide, ctx.kernel, grad, ctx.needs_input_grad[:2])
            return *found, None if full is None else guide_gradient(full, guide, grad), None


def _forward(input: Tensor, weight: Tensor, guide: Tensor, kernel: Kernel) -> Tensor:
    windows, filters = _Windows(input, guide, kernel), _Filters(weight, guide)
    output = input.new_empty(len(windows.corners), weight.shape[2])  # [B * N, O]
    for strip in strips(guide, STRIP_ELEMENTS // filters.matrices.shape[2]):
        product = strip.times(filters.ordered(windows.read(strip)), filters.matrices.mT)
        torch.index_select(product, 0, strip.back, out=output[strip.span])
    by_image = output.view(len(input), -1, weight.shape[2])  # [B, N, O]
    return by_image.mT.reshape(len(input), -1, *guide.shape[2:])


def _gradients(
    input: Tensor,
    weight: Tensor,
    guide: Tensor,
    kernel: Kernel,
    grad: Tensor,
    wanted: tuple[bool, ...],
) -> tuple[Tensor | None, Tensor | None]:
    """Of input and weight, as far as wanted; what was read is read again, and never kept."""
    windows, filters = _Windows(input, guide, kernel), _Filters(weight, guide)
    upstream = grad.flatten(2).mT.reshape(-1, grad.shape[1])  # [B * N, O]
    grad_runs = windows.zeros() if wanted[0] else None
    grad_matrices = torch.zeros_like(filters.matrices) if wanted[1] else None
    for strip in strips(guide, STRIP_ELEMENTS // filters.matrices.shape[2]):
        above = strip.once(upstream.index_select(0, strip.order))  # [s, O]
        if grad_matrices is not None:
            strip.add_outer(grad_matrices, above, filters.ordered(windows.read(strip)))
        if grad_runs is not None:
            windows.add(grad_runs, filters.restored(strip.times(above, filters.matrices)), strip)
    return (
        None if grad_runs is None else windows.fold(grad_runs),
        None if grad_matrices is None else filters.as_weight(grad_matrices),
    )


class _Windows:
    """What the kernel covers at each position, read as runs of a channels-last map.

    With a dilation of 1 along x, the taps of one kernel row lie side by side and are one run.
    """

    def __init__(self, input: Tensor, guide: Tensor, kernel: Kernel) -> None:
        (top, left), (step_y, step_x), (kh, kw) = kernel.padding, kernel.dilation, kernel.size
        map = F.pad(input, (left, left, top, top)).permute(0, 2, 3, 1).contiguous()
        self.kernel, self.size = kernel, map.shape  # B, H', W', C
        self.taps = kw if step_x == 1 else 1  # in a run
        pixels, channels = map.numel() // map.shape[3], map.shape[3]
        self.table = map.view(-1).as_strided(
            (pixels - self.taps + 1, self.taps * channels), (channels, 1)
        )  # overlapping rows, which nothing writes to
        width = map.shape[2]
        y = torch.arange(kh, device=input.device) * step_y * width
        x = torch.arange(0, kw, self.taps, device=input.device) * step_x
        self.runs = (y[:, None] + x).flatten()
        h, w = guide.shape[2:]
        corner_y = torch.arange(h, device=input.device) * kernel.stride[0] * width
        corner_x = torch.arange(w, device=input.device) * kernel.stride[1]
        image = torch.arange(len(input), device=input.device) * (map.shape[1] * width)
        self.corners = (image[:, None, None] + corner_y[:, None] + corner_x).flatten()  # [B * N]

    def rows(self, strip: Strip) -> Tensor:
        """The runs of each slot, [s * R]."""
        return (self.corners[strip.order][:, None] + self.runs).flatten()

    def read(self, strip: Strip) -> Tensor:
        """[s, K, C]."""
        read = self.table.index_select(0, self.rows(strip))
        return read.view(len(strip.order), self.kernel.taps, self.size[3])

    def zeros(self) -> Tensor:
        """For `add`: as many runs as the map has pixels, [B * H' * W', taps * C]."""
        return self.table.new_zeros(self.size[:3].numel(), self.table.shape[1])

    def add(self, total: Tensor, grad: Tensor, strip: Strip) -> None:
        """Add the gradient [s, K, C] of what was read."""
        total.index_add_(0, self.rows(strip), grad.view(-1, total.shape[1]))

    def fold(self, total: Tensor) -> Tensor:
        """The gradient of the input, [B, C, H, W], from that of the runs."""
        of_tap = total.view(len(total), self.taps, self.size[3])
        for tap in range(1, self.taps):
            of_tap[tap:, 0] += of_tap[:-tap, tap]
        top, left = self.kernel.padding
        height, width = self.size[1:3]
        grad = of_tap[:, 0].view(self.size)[:, top : height - top, left : width - left]
        return grad.permute(0, 3, 1, 2).contiguous()


class _Filters:
    """The filters as matrices [B * m, O, K * C], or [B * m, O, C * K] where that is less to copy.

    What is read is ordered by taps, a weight by channels: one of them must be reordered.
    """

    def __init__(self, weight: Tensor, guide: Tensor) -> None:
        batch, regions, out, channels = weight.shape[:4]
        self.by_channel = regions * out > guide.shape[2] * guide.shape[3]
        by_channel = weight.reshape(batch * regions, out, channels, -1)
        self.matrices = (by_channel if self.by_channel else by_channel.mT).flatten(2)
        self.shape = weight.shape

    def ordered(self, columns: Tensor) -> Tensor:
        """[s, K, C] in the order of the matrices."""
        return (columns.mT if self.by_channel else columns).flatten(1)

    def restored(self, columns: Tensor) -> Tensor:
        """The way back, [s, K, C]."""
        channels = self.shape[3]
        if self.by_channel:
            return columns.view(len(columns), channels, -1).mT.contiguous()
        return columns.view(len(columns), -1, channels)

    def as_weight(self, matrices: Tensor) -> Tensor:
        """A gradient of the matrices as one of the weight, [B, m, O, C, kh, kw]."""
        if not self.by_channel:
            matrices = matrices.view(*matrices.shape[:2], -1, self.shape[3]).mT
        return matrices.reshape(self.shape)
