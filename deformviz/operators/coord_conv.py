"""CoordConv (Liu et al., arXiv 1807.03247): a convolution that is told where it is."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from ..geometry import Kernel, Pair, check_batch
from ..sampling import Sampling
from .conv import Conv2d

COORDINATES = ("x", "y", "radius")
"""What the appended channels are called, in their order."""


def coordinate_channels(
    size: Pair,
    radius: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The channels that CoordConv appends, in the paper's order: x, y and, if asked, the radius.

    x runs from -1 in the first column to 1 in the last, y likewise over the rows; a map one pixel
    wide is all centre, 0. The radius is sqrt(x² + y²), 0 at the centre and sqrt(2) in the corners,
    as in the authors' code, so that their weights fit.

    Returns:
        [2 or 3, H, W].

    Example:
        >>> coordinate_channels((3, 1))[1, :, 0]
        tensor([-1.,  0.,  1.])
    """
    y, x = (_axis(n, device, dtype) for n in size)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    channels = [columns, rows]
    if radius:
        channels.append(torch.hypot(columns, rows))
    return torch.stack(channels)


def _axis(size: int, device: torch.device | str | None, dtype: torch.dtype) -> Tensor:
    if size == 1:  # the end points -1 and 1 fall together: halfway, not 0 / 0
        return torch.zeros(1, device=device, dtype=dtype)
    return torch.linspace(-1, 1, size, device=device, dtype=dtype)


def add_coordinates(input: Tensor, radius: bool = False) -> Tensor:
    """Append the coordinate channels: [B, C, H, W] to [B, C + 2 (+ 1), H, W]."""
    check_batch(input)
    size = (input.shape[2], input.shape[3])
    # Half precision cannot tell neighbours apart on a large map: round once, at the end.
    channels = coordinate_channels(
        size, radius, input.device, torch.promote_types(input.dtype, torch.float32)
    )
    channels = channels.to(input.dtype).expand(input.shape[0], -1, -1, -1)
    return torch.cat([input, channels], dim=1)


class CoordConv2d(nn.Module):
    """A convolution over its input and the coordinates of each pixel.

    Args:
        radius: append the distance from the centre, too.
        others: as in `torch.nn.Conv2d`; `groups` must divide the channels with the coordinates.

    Example:
        >>> CoordConv2d(3, 8, 3, padding=1)(torch.rand(2, 3, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
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
        radius: bool = False,
    ) -> None:
        super().__init__()
        self.radius = radius
        self.kernel = Kernel.of(kernel_size, stride, padding, dilation)
        channels = in_channels + (3 if radius else 2)
        self.conv = Conv2d(
            channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] to [B, O, h, w]."""
        self.kernel.output_size((input.shape[2], input.shape[3]))  # or says what to do
        output: Tensor = self.conv(add_coordinates(input, self.radius))
        return output

    @torch.no_grad()
    def sampling(self, input: Tensor, index: int = 0) -> Sampling:
        """Run on image `index` of the batch and record where it read, coordinates included."""
        sampling = self.conv.sampling(add_coordinates(input, self.radius), index)
        names = (*map(str, range(input.shape[1])), *COORDINATES[: 3 if self.radius else 2])
        return replace(sampling, name="CoordConv", channel_names=names)
