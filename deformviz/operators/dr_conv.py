"""Dynamic region-aware convolution, DRConv (Chen et al., arXiv 2003.12243).

A guide map sorts the output positions into m regions; each region is convolved with a filter of
its own, and the filters are generated from the input:

    Y(u, v) = X * W_t   for (u, v) in region t,   t(u, v) = argmax_c guide_c(u, v)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..geometry import Kernel, Pair, as_pair, check_batch, one_image
from ..sampling import Sampling
from . import dr_conv_all, dr_conv_sorted

_FEW_CHANNELS = 12
"""Of fewer input channels per group, all regions' convolutions are computed. Milliseconds of one
core of a 2.6 GHz EPYC (Zen 4), kernel 3, C channels to C, with the gradients of input and weight:

    ================  ===========  ======
    C, map, m         all regions  sorted
    ================  ===========  ======
    3, 256², 4                8.5    21.8
    3, 256², 8               19.4    21.5
    8, 128², 4                6.0     6.7
    16, 64², 4                3.5     2.9
    16, 64², 8                6.6     3.2
    64, 56², 8               55.6    13.8
    ================  ===========  ======
"""


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
    evaluation alike. Each position is multiplied by its own region's filter alone, the work of one
    convolution and not of m, in its backward pass too; but the gradient of the guide asks what each
    filter would have given, and takes all m. Of few channels, m convolutions are always computed.

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
    if not len(input):
        return input.new_zeros(0, weight.shape[2], *guide.shape[2:])
    few = weight.shape[3] < _FEW_CHANNELS or torch.compiler.is_compiling()
    way = dr_conv_all if few else dr_conv_sorted
    with torch.autocast(input.device.type, enabled=False):
        dtype = torch.promote_types(input.dtype, torch.float32)
        output: Tensor = way.convolve(input.to(dtype), weight.to(dtype), guide.to(dtype), kernel)
    return output.to(input.dtype)


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
