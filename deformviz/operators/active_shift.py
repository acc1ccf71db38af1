"""Shifts of whole channels: Active Shift (Jeon & Kim, arXiv 1806.07370) and CycleFC (CycleMLP).

    y_o = sum_c w_oc * x_c(p + shift_c)

Active Shift learns a real shift for each channel; CycleFC (Chen et al., arXiv 2107.10224) fixes an
integer one that cycles through the channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import Kernel, Pair, as_pair, check_batch, one_image
from ..sampling import Sampling


def channel_shift(input: Tensor, shift: Tensor) -> Tensor:
    """Read each channel at its own real-valued distance; outside the map is zero.

    Bilinear interpolation separates into one linear step along y and one along x, as all
    positions of a channel share its shift.

    Args:
        input: [B, C, H, W].
        shift: [C, 2], (dy, dx) in pixels: channel c of the result reads x_c(p + shift_c), so
            its content moves by -shift_c.

    Returns:
        [B, C, H, W].

    Raises:
        ValueError: a shift that does not fit the channels.

    Example:
        >>> x = torch.arange(4.0).reshape(1, 1, 1, 4)
        >>> channel_shift(x, torch.tensor([[0.0, 0.5]]))
        tensor([[[[0.5000, 1.5000, 2.5000, 1.5000]]]])
    """
    check_batch(input)
    if list(shift.shape) != [input.shape[1], 2]:
        raise ValueError(
            f"shift must be [C, 2] = {[input.shape[1], 2]}, (dy, dx) for each channel, "
            f"got {list(shift.shape)}"
        )
    dtype = torch.promote_types(input.dtype, torch.float32)
    x, delta = input.to(dtype), shift.to(dtype)
    return _shift_axis(_shift_axis(x, delta[:, 0], 2), delta[:, 1], 3).to(input.dtype)


def _shift_axis(input: Tensor, shift: Tensor, dim: int) -> Tensor:
    """Interpolate linearly along one axis: shift [C]."""
    # Beyond the map's own length all is zero, however far.
    far = input.shape[dim] + 1
    shift = shift.nan_to_num(nan=far).clamp(-far, far)
    below = shift.detach().floor()
    fraction = (shift - below)[:, None, None]
    first = below.to(torch.int64)
    return (1 - fraction) * _integer_shift(input, first, dim) + fraction * _integer_shift(
        input, first + 1, dim
    )


def _integer_shift(input: Tensor, shift: Tensor, dim: int) -> Tensor:
    """Read each channel `shift` [C] pixels further along one axis; zero outside."""
    size = input.shape[dim]
    index = torch.arange(size, device=input.device) + shift[:, None]  # [C, size]
    inside = (index >= 0) & (index < size)
    shape = (1, -1, size, 1) if dim == 2 else (1, -1, 1, size)
    gathered = input.gather(dim, index.clamp(0, size - 1).reshape(shape).expand_as(input))
    return torch.where(inside.reshape(shape), gathered, 0)


def channel_shift_sampling(
    input: Tensor,
    shift: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    *,
    index: int = 0,
    name: str = "Active Shift",
) -> Sampling:
    """Shift image `index` of the batch, mix its channels by a 1 x 1 `weight`, record the points.

    The record holds one offset group for each channel, and one tap.

    Args:
        weight: [O, C, 1, 1], or None to hand the shifted channels on.
    """
    if weight is None and bias is not None:
        raise ValueError("a bias needs a weight: without one the shifted channels are handed on")
    if weight is not None and weight.shape[2:] != (1, 1):
        raise ValueError(f"weight must be [O, C, 1, 1], got {list(weight.shape)}")
    kernel = Kernel.of(1, stride)
    x = one_image(input, index)
    output_size = kernel.output_size((x.shape[2], x.shape[3]))
    shifted = channel_shift(x, shift)
    if weight is None:
        output = shifted[:, :, :: kernel.stride[0], :: kernel.stride[1]]
    else:
        output = F.conv2d(shifted, weight, bias, kernel.stride)
    offset = shift.detach()[:, None, :, None, None].expand(-1, 1, 2, *output_size)
    return Sampling(
        name=name,
        input_size=(x.shape[2], x.shape[3]),
        output_size=output_size,
        kernel=kernel,
        offset=offset,
        input=x[0].detach(),
        output=output[0].detach(),
        weight=None if weight is None else weight.detach(),
        bias=None if bias is None else bias.detach(),
    )


class ActiveShift2d(nn.Module):
    """Active Shift: a learnable real shift for each channel, then a 1 x 1 convolution.

    Args:
        stride, bias: of the 1 x 1 convolution.
        init_std: standard deviation in pixels of the first shifts; 0 starts at a plain 1 x 1
            convolution, whose shifts still get a gradient (the one from the right).

    Example:
        >>> ActiveShift2d(4, 8)(torch.rand(2, 4, 5, 5)).shape
        torch.Size([2, 8, 5, 5])
    """

    name = "Active Shift"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int | Pair = 1,
        bias: bool = True,
        init_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.randn(in_channels, 2) * init_std)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, as_pair(stride), bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] to [B, O, h, w]."""
        output: Tensor = self.conv(channel_shift(input, self.shift))
        return output

    @torch.no_grad()
    def sampling(self, input: Tensor, index: int = 0) -> Sampling:
        """Run on image `index` of the batch and record where it read."""
        stride = (self.conv.stride[0], self.conv.stride[1])
        return channel_shift_sampling(
            input, self.shift, self.conv.weight, self.conv.bias, stride, index=index, name=self.name
        )


def cycle_offsets(channels: int, kernel_size: Pair) -> Tensor:
    """CycleFC's integer offsets [C, 2], (dy, dx): they cycle through a 1 x k or k x 1 kernel.

    Channel 0 reads the centre, channel 1 the pixel after it, and so on around.

    Raises:
        ValueError: a kernel that extends along both axes.

    Example:
        >>> cycle_offsets(4, (1, 3))[:, 1]
        tensor([ 0.,  1., -1.,  0.])
    """
    if min(kernel_size) != 1:
        raise ValueError(f"CycleFC's kernel is 1 x k or k x 1, got {kernel_size}")
    length = max(kernel_size)
    centre = length // 2
    steps = (torch.arange(channels) + centre) % length - centre
    offsets = torch.zeros(channels, 2)
    offsets[:, 1 if kernel_size[0] == 1 else 0] = steps.to(offsets)
    return offsets


class CycleFC(ActiveShift2d):
    """CycleFC of CycleMLP: `ActiveShift2d` with fixed integer shifts.

    Example:
        >>> CycleFC(6, 6, (1, 3))(torch.rand(1, 6, 5, 5)).shape
        torch.Size([1, 6, 5, 5])
    """

    name = "CycleFC"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: int | Pair = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, stride, bias, init_std=0)
        del self.shift  # a parameter until here
        self.register_buffer("shift", cycle_offsets(in_channels, kernel_size))
