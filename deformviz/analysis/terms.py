"""The terms of the formula y = sum w * m * x(p0 + pk + offset), from a `Sampling` alone.

This is the project's second opinion: written as a plain gather in float64, it shares no code with
the operators, so that the difference between its sum and the operator's own output means something.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..sampling import Sampling


@dataclass(frozen=True, eq=False)
class Terms:
    """What one output value is made of; I = C / groups input channels reach it.

    Attributes:
        channels: [I] the input channels, by index.
        base: [I, K, 2] the regular taps, (y, x) in pixels of the input map.
        points: [I, K, 2] where they are read.
        neighbours: [I, K, 4, 2] the four pixels around each point, (y, x).
        neighbour_weights: [I, K, 4] their bilinear weights; zero for a pixel outside the map.
        values: [I, K] the interpolated input.
        mask: [I, K] the modulation.
        weights: [I, K] the kernel.
        products: [I, K] weights * mask * values.
        bias: the constant that is added.
        output: what the operator itself gave, or None.
    """

    channels: Tensor
    base: Tensor
    points: Tensor
    neighbours: Tensor
    neighbour_weights: Tensor
    values: Tensor
    mask: Tensor
    weights: Tensor
    products: Tensor
    bias: float
    output: float | None

    @property
    def total(self) -> float:
        """The sum of the products and the bias."""
        return float(self.products.sum()) + self.bias

    @property
    def difference(self) -> float | None:
        """How far the sum is from the operator's own output."""
        return None if self.output is None else abs(self.total - self.output)


def terms_at(sampling: Sampling, y: int, x: int, channel: int = 0) -> Terms:
    """Take one output value apart.

    Args:
        sampling: with its input.
        y, x: the output position.
        channel: the output channel.

    Raises:
        ValueError: a Sampling without its input, or a position or channel that it does not have.

    Example:
        >>> from deformviz.operators import conv2d_sampling
        >>> s = conv2d_sampling(torch.rand(1, 2, 5, 5), torch.rand(4, 2, 3, 3))
        >>> terms_at(s, 1, 2, channel=3).difference < 1e-6
        True
    """
    sampling.check_position(y, x)
    position = (torch.tensor([y]), torch.tensor([x]))
    base, points = (values[0] for values in _points(sampling, *position))  # both [G, K, 2]
    pixels = _input(sampling)
    kernels = _kernels(sampling, torch.tensor([[y, x]]))[0]  # [O, I, K]
    if not 0 <= channel < kernels.shape[0]:
        raise ValueError(f"channel {channel} is not one of the {kernels.shape[0]} output channels")
    channels = _input_channels(sampling, kernels.shape[1], kernels.shape[0])[channel]  # [I]
    group = channels // (pixels.shape[0] // sampling.groups)  # [I]
    points = points[group]  # [I, K, 2]
    neighbours, weights = _bilinear(points, sampling.input_size)
    rows, columns = _inside(neighbours, sampling.input_size)
    values = _weighted(pixels[channels[:, None, None], rows, columns], weights).sum(-1)
    mask = sampling.mask_at(y, x).cpu().double()[group]
    output = None if sampling.output is None else float(sampling.output[channel, y, x])
    return Terms(
        channels=channels,
        base=base[group],
        points=points,
        neighbours=neighbours,
        neighbour_weights=weights,
        values=values,
        mask=mask,
        weights=kernels[channel],
        products=kernels[channel] * mask * values,
        bias=0.0 if sampling.bias is None else float(sampling.bias[channel]),
        output=output,
    )


def recompute(sampling: Sampling, positions: Tensor) -> Tensor:
    """The output at `positions` [N, 2], (y, x), from the definition, in float64: [N, O]."""
    pixels = _input(sampling)
    kernels = _kernels(sampling, positions)  # [N, O, I, K]
    channels = _input_channels(sampling, kernels.shape[2], kernels.shape[1])  # [O, I]
    ys, xs = positions.unbind(-1)
    _, points = _points(sampling, ys, xs)  # [N, G, K, 2]
    neighbours, weights = _bilinear(points, sampling.input_size)
    rows, columns = _inside(neighbours, sampling.input_size)
    per_group = pixels.shape[0] // sampling.groups
    grouped = pixels.reshape(sampling.groups, per_group, *sampling.input_size)
    group = torch.arange(sampling.groups)[:, None, None]
    values = grouped.movedim(1, -1)[group, rows, columns]  # [N, G, K, 4, C / G]
    values = _weighted(values, weights[..., None]).sum(-2)  # [N, G, K, C / G]
    if sampling.mask is not None:
        values = values * _at(sampling.mask, ys, xs)[..., None]
    values = values.transpose(2, 3).flatten(1, 2)  # [N, C, K]
    output = (values[:, channels] * kernels).sum(dim=(2, 3))  # [N, O]
    return output if sampling.bias is None else output + sampling.bias.cpu().double()


def _input(sampling: Sampling) -> Tensor:
    if sampling.input is None:
        raise ValueError(f"the Sampling {sampling.name!r} does not hold the map that was read")
    return sampling.input.cpu().double()


def _at(tensor: Tensor, ys: Tensor, xs: Tensor) -> Tensor:
    """tensor[..., y, x] for N positions, positions first: [N, ...]."""
    index = (ys.to(tensor.device), xs.to(tensor.device))
    return tensor[..., index[0], index[1]].movedim(-1, 0).cpu().double()


def _points(sampling: Sampling, ys: Tensor, xs: Tensor) -> tuple[Tensor, Tensor]:
    """The points before and after their offset, both [N, G, K, 2], in float64."""
    offset = _at(sampling.offset, ys, xs)
    if sampling.reference is not None:
        base = _at(sampling.reference, ys, xs)
        return base, base + offset
    kernel = sampling.kernel
    taps = [divmod(k, kernel.size[1]) for k in range(kernel.taps)]  # row-major: (i, j)
    places = zip((ys, xs), kernel.stride, kernel.padding, kernel.dilation, strict=True)
    axes = [
        place[:, None] * s - p + torch.tensor([tap[axis] for tap in taps]) * d
        for axis, (place, s, p, d) in enumerate(places)
    ]
    base = torch.stack(axes, dim=-1).double()[:, None]  # [N, 1, K, 2]
    return base.expand_as(offset), base + offset


def _kernels(sampling: Sampling, positions: Tensor) -> Tensor:
    """The kernel of each position [N, O, I, K]; the identity where the record has none."""
    count = positions.shape[0]
    if sampling.weight is None:
        channels = _input(sampling).shape[0]
        return torch.ones(count, channels, 1, sampling.taps, dtype=torch.float64)
    weight = sampling.weight.cpu().double()
    if sampling.region is None:
        return weight.flatten(2).expand(count, -1, -1, -1)
    region = sampling.region.cpu()[positions[:, 0], positions[:, 1]]
    return weight.flatten(3)[region]


def _input_channels(sampling: Sampling, per_output: int, outputs: int) -> Tensor:
    """Which input channels reach each output channel: [O, I]."""
    groups = _input(sampling).shape[0] // per_output
    group = torch.arange(outputs) // (outputs // groups)
    return group[:, None] * per_output + torch.arange(per_output)


def _bilinear(points: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The four pixels around points [..., 2] and their weights: [..., 4, 2] and [..., 4].

    A pixel outside the map weighs nothing, nor does any pixel for a point that is not finite.
    """
    corner = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=points.dtype)
    limit = torch.tensor(size, dtype=points.dtype) - 1
    pixels = points[..., None, :].floor() + corner  # [..., 4, 2]
    weights = (1 - (points[..., None, :] - pixels).abs()).prod(-1)
    inside = ((pixels >= 0) & (pixels <= limit)).all(-1)
    return pixels, torch.where(inside, weights, 0)


def _weighted(values: Tensor, weights: Tensor) -> Tensor:
    """Their product, in which a pixel that weighs nothing adds nothing, were it NaN."""
    return torch.where(weights == 0, 0, values * weights)


def _inside(pixels: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Row and column indices of `pixels` [..., 2] that are safe to look up."""
    rows, columns = pixels.nan_to_num(0).unbind(-1)
    return rows.clamp(0, size[0] - 1).long(), columns.clamp(0, size[1] - 1).long()
