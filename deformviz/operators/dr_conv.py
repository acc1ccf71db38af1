"""Dynamic region-aware convolution, DRConv (Chen et al., arXiv 2003.12243).

A guide map sorts the output positions into m regions; each region is convolved with a filter of
its own, and the filters are generated from the input:

    Y(u, v) = X * W_t   for (u, v) in region t,   t(u, v) = argmax_c guide_c(u, v)
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..geometry import Kernel, Pair, as_pair, check_batch, one_image
from ..sampling import Sampling

_FEW_REGIONS = 8
"""Below so many regions, all their convolutions are computed: measured faster on two cores, by
1.0 to 2.5 times at four regions; from sixteen on, twice as slow (`benchmarks/operators.py`)."""


def dr_conv2d(
    input: Tensor,
    weight: Tensor,
    guide: Tensor,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Tensor:
    """Convolve each position with the filter of its region.

    Forward takes the region of the largest score; backward treats the choice as if it had been a
    softmax over the scores (straight-through), so that the guide learns, in training and in
    evaluation alike. Of many regions, each position is multiplied by its own region's filter alone:
    the work of one convolution, not of m. Of few, m convolutions are faster than sorting positions.

    Args:
        input: [B, C, H, W].
        weight: [B, m, O, C / groups, kh, kw], one set of filters for each image.
        guide: [B, m, h, w], scores for the output positions.
        stride, padding, dilation: integers or (y, x) pairs.

    Returns:
        [B, O, h, w], in the dtype of `input`.

    Raises:
        ValueError: shapes that do not fit each other; the message gives both.

    Example:
        >>> x, g = torch.rand(1, 3, 8, 8), torch.rand(1, 2, 8, 8)
        >>> dr_conv2d(x, torch.rand(1, 2, 4, 3, 3, 3), g, padding=1).shape
        torch.Size([1, 4, 8, 8])
    """
    kernel = Kernel.of(tuple(weight.shape[-2:]), stride, padding, dilation)
    _check(input, weight, guide, kernel)
    convolve = _convolve_all if weight.shape[1] < _FEW_REGIONS else _convolve_chosen
    with torch.autocast(input.device.type, enabled=False):
        dtype = torch.promote_types(input.dtype, torch.float32)
        output = convolve(input.to(dtype), weight.to(dtype), guide.to(dtype), kernel)
    return output.to(input.dtype)


def _convolve_all(input: Tensor, weight: Tensor, guide: Tensor, kernel: Kernel) -> Tensor:
    """Every region's convolution at every position, in one call; then each position's choice."""
    batch, regions, out, per_group = weight.shape[:4]
    groups = input.shape[1] // per_group
    # Images and groups side by side as groups of one convolution: [B * g * m * O / g, I, kh, kw].
    side_by_side = weight.reshape(batch, regions, groups, out // groups, per_group, *kernel.size)
    full = F.conv2d(
        input.reshape(1, -1, *input.shape[2:]),
        side_by_side.transpose(1, 2).flatten(0, 3),
        None,
        kernel.stride,
        kernel.padding,
        kernel.dilation,
        batch * groups,
    )
    h, w = guide.shape[2:]
    full = full.reshape(batch, groups, regions, out // groups, h, w).transpose(1, 2)
    output: Tensor = _Choose.apply(full.reshape(batch, regions, out, h, w), guide)
    return output


class _Choose(torch.autograd.Function):
    """full [B, m, O, h, w], of which each position keeps the one of the largest score."""

    @staticmethod
    def forward(ctx: Any, full: Tensor, scores: Tensor) -> Tensor:  # noqa: ANN401
        region = scores.argmax(dim=1)[:, None, None].expand(-1, -1, full.shape[2], -1, -1)
        ctx.save_for_backward(full, scores, region)
        return full.gather(1, region).squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:  # noqa: ANN401
        full, scores, region = ctx.saved_tensors
        grad_full = torch.zeros_like(full).scatter_(1, region, grad[:, None])
        if not ctx.needs_input_grad[1]:
            return grad_full, None
        return grad_full, _softmax_gradient(scores, (full * grad[:, None]).sum(dim=2))


def _convolve_chosen(input: Tensor, weight: Tensor, guide: Tensor, kernel: Kernel) -> Tensor:
    """Each position times its own region's filter alone: the work of one convolution."""
    batch, regions, out, per_group = weight.shape[:4]
    h, w = guide.shape[2:]
    groups = input.shape[1] // per_group
    columns = _unfold(input, kernel)  # [B, C * K, N]
    columns = columns.reshape(batch, groups, -1, h * w).permute(0, 3, 1, 2)
    filters = weight.reshape(batch, regions, groups, out // groups, -1)
    output = _RegionMatmul.apply(columns, filters, guide.flatten(2))  # [B, N, O]
    return output.transpose(1, 2).reshape(batch, out, h, w)  # type: ignore[no-any-return]


def _unfold(input: Tensor, kernel: Kernel) -> Tensor:
    """im2col: [B, C * K, N]; a 1 x 1 kernel that reads every pixel needs no copy."""
    if kernel == Kernel((1, 1)):
        return input.flatten(2)
    return F.unfold(input, kernel.size, kernel.dilation, kernel.padding, kernel.stride)


class _RegionMatmul(torch.autograd.Function):
    """columns [B, N, g, I] x filters [B, m, g, O / g, I], chosen by scores [B, m, N]: [B, N, O]."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, filters: Tensor, scores: Tensor) -> Tensor:  # noqa: ANN401
        region = scores.argmax(dim=1)  # [B, N]
        ctx.save_for_backward(columns, filters, scores, region)
        batch, positions, groups, _ = columns.shape
        output = columns.new_empty(batch, positions, groups, filters.shape[3])
        for b, t, where in _regions(region, filters.shape[1]):
            output[b, where] = torch.einsum("ngi,goi->ngo", columns[b, where], filters[b, t])
        return output.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:  # noqa: ANN401
        columns, filters, scores, region = ctx.saved_tensors
        with torch.autocast(grad.device.type, enabled=False):
            return _RegionMatmul._gradients(
                columns, filters, scores, region, grad, ctx.needs_input_grad[2]
            )

    @staticmethod
    def _gradients(
        columns: Tensor,
        filters: Tensor,
        scores: Tensor,
        region: Tensor,
        grad: Tensor,
        guided: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        grad = grad.reshape(*columns.shape[:3], -1)  # [B, N, g, O / g]
        grad_columns, grad_filters = torch.zeros_like(columns), torch.zeros_like(filters)
        for b, t, where in _regions(region, filters.shape[1]):
            here = grad[b, where]
            grad_columns[b, where] = torch.einsum("ngo,goi->ngi", here, filters[b, t])
            grad_filters[b, t] = torch.einsum("ngo,ngi->goi", here, columns[b, where])
        grad_scores = _guide_gradient(columns, filters, scores, grad) if guided else None
        return grad_columns, grad_filters, grad_scores


def _guide_gradient(columns: Tensor, filters: Tensor, scores: Tensor, grad: Tensor) -> Tensor:
    """The gradient of the scores [B, m, N], had the output been mixed by their softmax.

    d loss / d choice_t is grad . (columns W_t) at each position, for every t and not only for the
    chosen one: this, and nothing before it, takes m products.
    """
    per_region = [
        torch.einsum("bngi,bgoi->bngo", columns, filters[:, t]).mul_(grad).sum(dim=(2, 3))
        for t in range(filters.shape[1])
    ]
    grad_choice = torch.stack(per_region, dim=1)  # [B, m, N]
    return _softmax_gradient(scores, grad_choice)


def _softmax_gradient(scores: Tensor, grad_choice: Tensor) -> Tensor:
    """From the gradient of a softmax over the regions (dimension 1) to that of its scores."""
    soft = scores.softmax(dim=1)
    return soft * (grad_choice - (soft * grad_choice).sum(dim=1, keepdim=True))


def _regions(region: Tensor, count: int) -> list[tuple[int, int, Tensor]]:
    """(image, region, its positions) for each region that is not empty."""
    found = (
        (b, t, (region[b] == t).nonzero().squeeze(1))
        for b in range(region.shape[0])
        for t in range(count)
    )
    return [(b, t, where) for b, t, where in found if where.numel()]


def _check(input: Tensor, weight: Tensor, guide: Tensor, kernel: Kernel) -> Pair:
    """The output's (h, w); ValueError where the arguments do not fit each other."""
    check_batch(input)
    if weight.dim() != 6 or weight.shape[0] != input.shape[0]:
        raise ValueError(
            "input must be [B, C, H, W] and weight [B, m, O, C / groups, kh, kw], "
            f"got {list(input.shape)} and {list(weight.shape)}"
        )
    channels, out, per_group = input.shape[1], weight.shape[2], weight.shape[3]
    if channels % per_group or out % (channels // per_group):
        raise ValueError(
            f"weight {list(weight.shape)} does not fit an input of {channels} channels: expected "
            "[B, m, O, C / groups, kh, kw] with groups that divide both C and O"
        )
    h, w = kernel.output_size((input.shape[2], input.shape[3]))
    expected = [input.shape[0], weight.shape[1], h, w]
    if list(guide.shape) != expected:
        raise ValueError(f"guide must be {expected}, got {list(guide.shape)}")
    return (h, w)


def dr_conv2d_sampling(
    input: Tensor,
    weight: Tensor,
    guide: Tensor,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    *,
    index: int = 0,
    name: str = "DRConv",
) -> Sampling:
    """Run `dr_conv2d` on image `index` of the batch and record where it read, by which filter."""
    x, w, g = (one_image(tensor, index) for tensor in (input, weight, guide))
    output = dr_conv2d(x, w, g, stride, padding, dilation)
    return Sampling.regular(
        name,
        Kernel.of(tuple(weight.shape[-2:]), stride, padding, dilation),
        (input.shape[2], input.shape[3]),
        region=g[0].argmax(dim=0).detach(),
        guide=g[0].detach(),
        input=x[0].detach(),
        output=output[0].detach(),
        weight=w[0].detach(),
    )


class DRConv2d(nn.Module):
    """DRConv with its filter generator and its guide, as the paper draws them.

    Filters: the input pooled to kernel size, a 1 x 1 convolution to m² channels with a sigmoid,
    and a 1 x 1 convolution in m groups, one group for each region's filter. Guide: a convolution
    of the same geometry to m channels.

    Args:
        regions: m.
        others: as in `torch.nn.Conv2d`; there is no bias in the paper.

    Example:
        >>> DRConv2d(3, 8, 3, regions=4, padding=1)(torch.rand(2, 3, 6, 6)).shape
        torch.Size([2, 8, 6, 6])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        regions: int = 8,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        if regions < 1 or groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                "regions must be at least 1 and groups must divide in_channels and out_channels, "
                f"got {regions=}, {groups=}, {in_channels=}, {out_channels=}"
            )
        self.kernel = Kernel.of(kernel_size, stride, padding, dilation)
        self.regions, self.out_channels = regions, out_channels
        k, per_filter = self.kernel, out_channels * (in_channels // groups)
        self.filter_generator = nn.Sequential(
            nn.AdaptiveAvgPool2d(as_pair(kernel_size)),
            nn.Conv2d(in_channels, regions**2, 1),
            nn.Sigmoid(),
            nn.Conv2d(regions**2, regions * per_filter, 1, groups=regions),
        )
        self.guide_conv = nn.Conv2d(in_channels, regions, k.size, k.stride, k.padding, k.dilation)

    def filters(self, input: Tensor) -> Tensor:
        """[B, m, O, C / groups, kh, kw], generated from each image of the batch."""
        shape = (input.shape[0], self.regions, self.out_channels, -1, *self.kernel.size)
        filters: Tensor = self.filter_generator(input)
        return filters.reshape(shape)

    def _arguments(self, input: Tensor) -> tuple[Tensor, Tensor, Tensor, Pair, Pair, Pair]:
        k = self.kernel
        k.output_size((input.shape[2], input.shape[3]))
        return (
            input, self.filters(input), self.guide_conv(input), k.stride, k.padding, k.dilation
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] to [B, O, h, w]."""
        return dr_conv2d(*self._arguments(input))

    @torch.no_grad()
    def sampling(self, input: Tensor, index: int = 0) -> Sampling:
        """Run on image `index` of the batch and record where it read, by which filter."""
        return dr_conv2d_sampling(*self._arguments(one_image(input, index)))
