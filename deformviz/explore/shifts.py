"""The shifts on the Explore page.

The photo is repeated along the channels, so that each direction has all three colours to move.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ..geometry import Kernel, Pair
from ..operators import (
    channel_shift_sampling,
    cycle_offsets,
    spatial_shift,
    spatial_shift_sampling,
)
from ..operators.spatial_shift import BORDERS, DIRECTIONS, Strategy
from ..sampling import Sampling
from ..training.shifts import WIDTH
from .learned import check_active_shift, prepare_active_shift, uses_network
from .recipe import Check, Operator, gap
from .second import by_torchvision
from .settings import Settings


def _shifts(settings: Settings) -> list[Pair]:
    reach_y, reach_x = settings.reach
    return [(dy * reach_y, dx * reach_x) for dy, dx in DIRECTIONS[settings.directions]]


def _prepare_spatial_shift(settings: Settings, x: Tensor) -> Callable[[], Sampling]:
    shifts = _shifts(settings)
    copies = x.repeat(1, len(shifts), 1, 1)
    return partial(spatial_shift_sampling, copies, shifts, settings.strategy, settings.border)


def _check_spatial_shift(settings: Settings, x: Tensor) -> Check:
    s, shifts = settings, _shifts(settings)
    copies = x.repeat(1, len(shifts), 1, 1)
    ours = spatial_shift(copies, shifts, s.strategy, s.border)
    second: Strategy = "slice" if s.strategy != "slice" else "depthwise"
    if s.border not in BORDERS[second]:
        rolled = [x.roll(shift, dims=(2, 3)) for shift in shifts]
        inside = [(_inside(x, shift)) for shift in shifts]
        other = torch.cat([torch.where(i, r, x) for i, r in zip(inside, rolled, strict=True)], 1)
        return Check("equals torch.roll where nothing wraps around", gap(ours[0], other))
    other = spatial_shift(copies, shifts, second, s.border)
    return Check(f"equals the strategy {second}", gap(ours[0], other))


def _inside(x: Tensor, shift: Pair) -> Tensor:
    """Where a shifted map [1, C, H, W] still shows its own content: [1, 1, H, W]."""
    return spatial_shift(torch.ones_like(x[:, :1]), [shift]) > 0


def _channel_shifts(settings: Settings, x: Tensor) -> Tensor:
    """Active Shift: real (dy, dx) for 4 copies of the photo, spread over the kernel: [12, 2]."""
    generator = torch.Generator().manual_seed(settings.seed)
    spread = torch.rand(4, 2, generator=generator) * 2 - 1
    half = torch.tensor([(k - 1) / 2 for k in settings.kernel_size])
    return (spread * half).repeat_interleave(3, dim=0).to(x)


def _cycle_shifts(settings: Settings, x: Tensor) -> Tensor:
    """CycleFC: as many copies of the photo as its kernel is wide, each one step further."""
    width = settings.kernel_size[1]
    return cycle_offsets(width, (1, width)).repeat_interleave(3, dim=0).to(x)


def _prepare_channel_shift(
    settings: Settings, x: Tensor, shifts: Callable[[Settings, Tensor], Tensor], name: str
) -> Callable[[], Sampling]:
    if uses_network(settings):
        return prepare_active_shift(settings, x)
    shift = shifts(settings, x)  # [C, 2]
    copies = shift.shape[0] // 3
    average = torch.eye(3).repeat(1, copies).to(x) / copies  # [3, C]
    inputs = x.repeat(1, copies, 1, 1)
    weight = average[..., None, None]

    def call() -> Sampling:
        sampling = channel_shift_sampling(inputs, shift, weight, stride=settings.stride, name=name)
        return replace(sampling, offset=sampling.offset[::3])  # a copy's three colours move as one

    return call


def _check_channel_shift(
    settings: Settings, x: Tensor, shifts: Callable[[Settings, Tensor], Tensor]
) -> Check:
    if uses_network(settings):
        return check_active_shift(settings, x)
    ours = _prepare_channel_shift(settings, x, shifts, "")()
    claim = "equals torchvision's deform_conv2d, one offset for each channel"
    return Check(claim, gap(ours.output, by_torchvision(ours)))


def _reads_directions(settings: Settings) -> tuple[Kernel, int]:
    """Every channel of every copy: what a copy costs is what its points cost."""
    return Kernel((1, 1)), 3 * len(DIRECTIONS[settings.directions])


def _reads_four_copies(settings: Settings) -> tuple[Kernel, int]:
    if uses_network(settings):  # its features, at half the photo's size
        return Kernel.of(1, 2), WIDTH
    return Kernel.of(1, settings.stride), 12


def _reads_cycle(settings: Settings) -> tuple[Kernel, int]:
    return Kernel.of(1, settings.stride), 3 * settings.kernel_size[1]


SHIFTS: dict[str, Operator] = {
    "Spatial shift": Operator(
        "arXiv 2106.07477",
        ("directions", "strategy", "border"),
        _reads_directions,
        _prepare_spatial_shift,
        _check_spatial_shift,
    ),
    "Active Shift": Operator(
        "arXiv 1806.07370",
        ("stride", "parameters", "learned_layer"),
        _reads_four_copies,
        partial(_prepare_channel_shift, shifts=_channel_shifts, name="Active Shift"),
        partial(_check_channel_shift, shifts=_channel_shifts),
    ),
    "CycleFC": Operator(
        "arXiv 2107.10224",
        ("stride",),
        _reads_cycle,
        partial(_prepare_channel_shift, shifts=_cycle_shifts, name="CycleFC"),
        partial(_check_channel_shift, shifts=_cycle_shifts),
    ),
}
