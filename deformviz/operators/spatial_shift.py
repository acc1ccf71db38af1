"""Spatial shift, five ways (S2-MLP arXiv 2106.07477, AS-MLP 2107.08391, CycleMLP 2107.10224).

Groups of channels are moved by whole pixels, each group in a direction of its own. The same
result can be had by slicing, `torch.roll`, `deform_conv2d`, a depthwise convolution or
`grid_sample`; the five differ in what they can do at the border, in rounding and in speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import Kernel, Pair, check_batch, one_image
from ..sampling import Sampling
from .deform_conv import deform_conv2d

Border = Literal["zero", "replicate", "circular", "keep"]
Strategy = Literal["slice", "roll", "deform_conv2d", "depthwise", "grid_sample"]

DIRECTIONS: dict[str, tuple[Pair, ...]] = {
    "up, down, left, right": ((-1, 0), (1, 0), (0, -1), (0, 1)),
    "up, down": ((-1, 0), (1, 0)),
    "left, right": ((0, -1), (0, 1)),
    "diagonals": ((-1, -1), (-1, 1), (1, -1), (1, 1)),
    "all eight": ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)),
}
"""Sets of directions in (dy, dx), one for each group of channels; multiply by the step."""

_PADDED: dict[Border, str] = {"zero": "constant", "replicate": "replicate", "circular": "circular"}


class BorderError(ValueError):
    """A strategy cannot honour a border rule."""


def spatial_shift(
    input: Tensor,
    shifts: Sequence[Pair],
    strategy: Strategy = "slice",
    border: Border = "zero",
) -> Tensor:
    """Move each group of channels by whole pixels.

    Args:
        input: [B, C, H, W].
        shifts: (dy, dx) for each group, the way its content moves: out(y, x) = in(y - dy, x - dx).
            Channels are dealt out as `torch.tensor_split` does, contiguous and nearly equal.
        strategy: how it is computed; see `BORDERS` for what each can do at the border.
        border: what enters where nothing was: "zero"; the "replicate"d edge; the opposite side
            ("circular"); or what was there before ("keep": slicing into a copy of the input).

    Returns:
        [B, C, H, W]. Always a new tensor: slicing in place would read what it has just written
        and smear one row over the map.

    Raises:
        BorderError: the strategy cannot honour the border rule.
        ValueError: no shifts, more shifts than channels, or unknown names.

    Example:
        >>> x = torch.arange(4.0).reshape(1, 1, 1, 4)
        >>> spatial_shift(x, [(0, 1)], border="replicate")
        tensor([[[[0., 0., 1., 2.]]]])
    """
    if strategy not in _STRATEGIES or border not in get_args(Border):
        raise ValueError(
            f"strategy must be one of {get_args(Strategy)} and border one of {get_args(Border)}, "
            f"got {strategy!r} and {border!r}"
        )
    if border not in BORDERS[strategy]:
        raise BorderError(
            f"{strategy} cannot honour the border rule {border!r}: it can do "
            f"{', '.join(BORDERS[strategy])}"
        )
    check_batch(input)
    per_channel = channel_shifts(input.shape[1], shifts)
    if border == "keep":
        return _slice_keep(input, per_channel)
    size = (input.shape[2], input.shape[3])
    if border == "circular":
        per_channel = [_wrapped(shift, size) for shift in per_channel]
    reach_y, reach_x = (max(abs(shift[axis]) for shift in per_channel) for axis in (0, 1))
    if border == _NATIVE_BORDER[strategy]:
        return _STRATEGIES[strategy](input, per_channel)
    # Give the border its values first; then whatever the strategy does there is cut off again.
    padded = _pad(input, reach_y, reach_x, border)
    shifted = _STRATEGIES[strategy](padded, per_channel)
    return shifted[..., reach_y : reach_y + size[0], reach_x : reach_x + size[1]]


BORDERS: dict[Strategy, tuple[Border, ...]] = {
    "slice": ("zero", "replicate", "circular", "keep"),
    "roll": ("zero", "replicate", "circular"),
    "deform_conv2d": ("zero", "replicate", "circular"),
    "depthwise": ("zero", "replicate", "circular"),
    "grid_sample": ("zero", "replicate", "circular"),
}
"""What each strategy can do at the border, natively or on a map that was padded first. Only
slicing writes into a copy of the input, so only slicing can keep what was there."""


_NATIVE_BORDER: dict[Strategy, Border] = {
    "slice": "zero",
    "roll": "circular",
    "deform_conv2d": "zero",
    "depthwise": "zero",
    "grid_sample": "zero",
}
"""The rule that each strategy follows by itself; for another, the map is padded first."""


def channel_shifts(channels: int, shifts: Sequence[Pair]) -> list[Pair]:
    """The (dy, dx) of each channel, dealt out as `torch.tensor_split` does.

    >>> channel_shifts(3, [(0, 1), (1, 0)])
    [(0, 1), (0, 1), (1, 0)]
    """
    if not 1 <= len(shifts) <= channels:
        raise ValueError(
            f"expected between 1 and {channels} shifts for {channels} channels, got {len(shifts)}"
        )
    if not all(isinstance(step, int) for shift in shifts for step in shift):
        raise ValueError(f"a spatial shift is by whole pixels, got {list(shifts)}")
    groups = torch.arange(channels).tensor_split(len(shifts))
    return [(s[0], s[1]) for s, group in zip(shifts, groups, strict=True) for _ in group]


def _wrapped(shift: Pair, size: Pair) -> Pair:
    """The shortest shift that is the same on a map that wraps around."""
    dy, dx = ((s + n // 2) % n - n // 2 for s, n in zip(shift, size, strict=True))
    return (dy, dx)


def _pad(input: Tensor, reach_y: int, reach_x: int, border: Border) -> Tensor:
    return F.pad(input, (reach_x, reach_x, reach_y, reach_y), mode=_PADDED[border])


def _groups(per_channel: list[Pair]) -> list[tuple[slice, Pair]]:
    """Runs of channels that share a shift."""
    starts = [c for c, s in enumerate(per_channel) if c == 0 or s != per_channel[c - 1]]
    ends = [*starts[1:], len(per_channel)]
    return [(slice(a, b), per_channel[a]) for a, b in zip(starts, ends, strict=True)]


def _span(shift: int, size: int) -> tuple[slice, slice]:
    """Where the content that stays on the map goes to, and where it comes from."""
    kept = max(0, size - abs(shift))
    to = slice(size - kept, size) if shift > 0 else slice(0, kept)
    source = slice(0, kept) if shift > 0 else slice(size - kept, size)
    return to, source


def _write_slices(output: Tensor, input: Tensor, per_channel: list[Pair]) -> Tensor:
    height, width = input.shape[2:]
    for channels, (dy, dx) in _groups(per_channel):
        (to_y, from_y), (to_x, from_x) = _span(dy, height), _span(dx, width)
        output[:, channels, to_y, to_x] = input[:, channels, from_y, from_x]
    return output


def _slice(input: Tensor, per_channel: list[Pair]) -> Tensor:
    return _write_slices(torch.zeros_like(input), input, per_channel)


def _slice_keep(input: Tensor, per_channel: list[Pair]) -> Tensor:
    return _write_slices(input.clone(), input, per_channel)


def _roll(input: Tensor, per_channel: list[Pair]) -> Tensor:
    rolled = [input[:, g].roll(shift, dims=(2, 3)) for g, shift in _groups(per_channel)]
    return torch.cat(rolled, dim=1)


def _deform_conv2d(input: Tensor, per_channel: list[Pair]) -> Tensor:
    """A 1 x 1 identity kernel for each channel, whose one tap looks back along the shift."""
    batch, channels, height, width = input.shape
    offset = -input.new_tensor(per_channel).reshape(1, -1, 1, 1)  # [1, 2C, 1, 1], (dy, dx)
    offset = offset.expand(batch, -1, height, width)
    return deform_conv2d(input, offset, input.new_ones(channels, 1, 1, 1))


def _depthwise(input: Tensor, per_channel: list[Pair]) -> Tensor:
    """A kernel for each channel that is 1 at one tap and 0 elsewhere."""
    reach_y, reach_x = (max(abs(shift[axis]) for shift in per_channel) for axis in (0, 1))
    weight = input.new_zeros(len(per_channel), 1, 2 * reach_y + 1, 2 * reach_x + 1)
    for channel, (dy, dx) in enumerate(per_channel):
        weight[channel, 0, reach_y - dy, reach_x - dx] = 1
    with torch.autocast(input.device.type, enabled=False):  # it would round what is only moved
        return F.conv2d(input, weight, padding=(reach_y, reach_x), groups=len(per_channel))


def _grid_sample(input: Tensor, per_channel: list[Pair]) -> Tensor:
    """Coordinates normalised to [-1, 1], which is where its rounding errors come from."""
    height, width = input.shape[2:]
    dtype = torch.promote_types(input.dtype, torch.float32)  # half precision would miss pixels
    y = torch.arange(height, device=input.device, dtype=dtype)
    x = torch.arange(width, device=input.device, dtype=dtype)
    output = []
    for channels, (dy, dx) in _groups(per_channel):
        rows = (2 * (y - dy) + 1) / height - 1  # pixel p of n lies at (2p + 1) / n - 1
        columns = (2 * (x - dx) + 1) / width - 1
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1)
        grid = grid.expand(input.shape[0], -1, -1, -1)  # [B, H, W, 2], (x, y)
        output.append(F.grid_sample(input[:, channels].to(dtype), grid, align_corners=False))
    return torch.cat(output, dim=1).to(input.dtype)


_STRATEGIES: dict[Strategy, Callable[[Tensor, list[Pair]], Tensor]] = {
    "slice": _slice,
    "roll": _roll,
    "deform_conv2d": _deform_conv2d,
    "depthwise": _depthwise,
    "grid_sample": _grid_sample,
}


def spatial_shift_sampling(
    input: Tensor,
    shifts: Sequence[Pair],
    strategy: Strategy = "slice",
    border: Border = "zero",
    *,
    index: int = 0,
    name: str = "Spatial shift",
) -> Sampling:
    """Run `spatial_shift` on image `index` of the batch and record where it read.

    The offsets hold the border rule: a replicated point is the edge it was copied from, a wrapped
    one lies on the opposite side, a kept one has not moved. There is an offset group for each
    shift where the groups are equal in size, and one for each channel where they are not.
    """
    x = one_image(input, index)
    channels, size = x.shape[1], (x.shape[2], x.shape[3])
    output = spatial_shift(x, shifts, strategy, border)
    per_group = shifts if channels % len(shifts) == 0 else channel_shifts(channels, shifts)
    kernel = Kernel((1, 1))
    grid = kernel.regular_grid(size)[0]  # [2, H, W]
    points = torch.stack([_ruled(grid, shift, border, size) for shift in per_group])
    return Sampling(
        name=name,
        input_size=size,
        output_size=size,
        kernel=kernel,
        offset=(points - grid)[:, None].to(x.device),
        input=x[0].detach(),
        output=output[0].detach(),
    )


def _ruled(grid: Tensor, shift: Pair, border: Border, size: Pair) -> Tensor:
    """Where each pixel of `grid` [2, H, W] really reads under a shift and a border rule."""
    limits = grid.new_tensor(size)[:, None, None]
    points = grid - grid.new_tensor(shift)[:, None, None]
    if border == "replicate":
        return points.clamp(grid.new_zeros(()), limits - 1)
    if border == "circular":
        return points.remainder(limits)
    if border == "keep":
        inside = ((points >= 0) & (points < limits)).all(dim=0)
        return torch.where(inside, points, grid)
    return points


class SpatialShift2d(nn.Module):
    """`spatial_shift` as a layer without parameters.

    Example:
        >>> SpatialShift2d(step=2)(torch.rand(1, 8, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """

    def __init__(
        self,
        directions: Sequence[Pair] = DIRECTIONS["up, down, left, right"],
        step: int = 1,
        strategy: Strategy = "slice",
        border: Border = "zero",
    ) -> None:
        super().__init__()
        self.shifts = [(dy * step, dx * step) for dy, dx in directions]
        self.strategy, self.border = strategy, border

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, H, W]."""
        return spatial_shift(input, self.shifts, self.strategy, self.border)

    @torch.no_grad()
    def sampling(self, input: Tensor, index: int = 0) -> Sampling:
        """Run on image `index` of the batch and record where it read."""
        return spatial_shift_sampling(input, self.shifts, self.strategy, self.border, index=index)
