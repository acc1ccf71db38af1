"""Settings and an image in, an `Exploration` out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..analysis import recompute
from ..geometry import Pair
from ..sampling import Sampling
from .convolutions import CONVOLUTIONS
from .learned import BROUGHT, uses_network
from .recipe import TOLERANCE, Check, Operator, feature_unit
from .settings import Settings
from .shifts import SHIFTS

OPERATORS: dict[str, Operator] = CONVOLUTIONS | SHIFTS
"""The operators, in the order in which they are offered."""

MAX_POINTS = 32 * 2**20
"""Taps times positions of a run: 11 x 11 taps on 512 x 512, a quarter of a gigabyte of offsets."""

_SIDE_STEP = 32
"""Where an image is to be smaller, its longer side is a multiple of it, in pixels."""

_CROP = 64
"""Second implementations run on so many rows and columns from the image's middle: some are slow."""


@dataclass(frozen=True)
class Exploration:
    """What a run gave.

    Attributes:
        settings: what it was asked for.
        sampling: where the operator read, with its output.
        picture: [3, h, w] the output to show as colours.
        checking: makes `checks`, of the sampling.
        milliseconds: how long the operator took, without what was made up for it.
        device: "cpu", "cuda" or "mps".
    """

    settings: Settings
    sampling: Sampling
    picture: Tensor
    checking: Callable[[Sampling], tuple[Check, ...]] = field(repr=False)
    milliseconds: float
    device: str

    @property
    def learned(self) -> bool:
        """Whether what is shown is a layer of a shipped network."""
        return uses_network(self.settings)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """The run's own checks, made when they are asked for: a picture need not wait for them."""
        with torch.no_grad():
            return self.checking(self.sampling)

    def to(self, device: torch.device | str) -> Exploration:
        """The same with its tensors elsewhere: what is kept needs none of a GPU's memory."""
        return replace(self, sampling=self.sampling.to(device))


def explore(
    image: np.ndarray, settings: Settings, device: torch.device | str = "cpu"
) -> Exploration:
    """Run the operator of `settings` on an image.

    Args:
        image: [H, W, 3] uint8.
        settings: which operator, and its parameters.
        device: where to run it.

    Raises:
        ValueError: no such image or operator, a kernel that leaves no output, or a run that would
            not fit in memory.

    Example:
        >>> image = np.zeros((16, 16, 3), np.uint8)
        >>> explore(image, Settings(operator="Convolution")).sampling.output_size
        (16, 16)
    """
    operator = _operator(settings)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be [H, W, 3] uint8, got {image.dtype} {list(image.shape)}")
    x = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255  # [1, 3, H, W]
    _check_size((x.shape[2], x.shape[3]), settings)
    with torch.no_grad():
        call = operator.prepare(settings, x)
        _wait_for(x.device)
        start = time.perf_counter()
        sampling = call()
        _wait_for(x.device)
        milliseconds = 1000 * (time.perf_counter() - start)

    crop, device = _crop(x).to("cpu", copy=True), x.device
    cut = crop.shape != x.shape

    def checking(sampling: Sampling) -> tuple[Check, ...]:
        unit = feature_unit(sampling) if uses_network(settings) else 1
        return _check_crop(operator, settings, crop.to(device), cut), _check_terms(sampling, unit)

    picture = _picture(sampling, uses_network(settings))
    return Exploration(settings, sampling, picture, checking, milliseconds, device.type)


def _operator(settings: Settings) -> Operator:
    if settings.operator not in OPERATORS:
        raise ValueError(
            f"operator must be one of {', '.join(OPERATORS)}; got {settings.operator!r}"
        )
    return OPERATORS[settings.operator]


def depends_on(settings: Settings) -> tuple[str, ...]:
    """The fields of `Settings` that its run depends on, beside the kernel's size and seed.

    Example:
        >>> depends_on(Settings(operator="Active Shift", parameters="learned"))
        ('parameters', 'learned_layer')
    """
    without = BROUGHT if uses_network(settings) else ("learned_layer",)
    return tuple(name for name in _operator(settings).controls if name not in without)


def points(settings: Settings, size: Pair) -> int:
    """Taps times positions of a run on an image of (H, W): what it takes memory for.

    Example:
        >>> points(Settings(kernel_size=(3, 3), offset_groups=3), (10, 10))
        2700
    """
    kernel, groups = _operator(settings).reads(settings)
    h, w = kernel.output_size(size)
    return kernel.taps * h * w * groups


def largest_side(settings: Settings, size: Pair, most_points: int = MAX_POINTS) -> int:
    """How long the longer side of an image of (H, W) may be, so that its run is not too much.

    It is the image's own where that fits, else a multiple of 32, and 32 at least.

    Example:
        >>> largest_side(Settings(kernel_size=(11, 11)), (1024, 1024))
        512
    """
    longest = side = max(size)
    while side > _SIDE_STEP and points(settings, _scaled(size, side / longest)) > most_points:
        side = (side - 1) // _SIDE_STEP * _SIDE_STEP
    return side


def _scaled(size: Pair, by: float) -> Pair:
    return (math.ceil(size[0] * by), math.ceil(size[1] * by))


def _check_size(size: Pair, settings: Settings) -> None:
    count = points(settings, size)
    if count > MAX_POINTS:
        kernel, groups = OPERATORS[settings.operator].reads(settings)
        h, w = kernel.output_size(size)
        raise ValueError(
            f"{kernel.taps} taps at {h} x {w} positions in {groups} groups are "
            f"{count / 1e6:.0f} million points, more than {MAX_POINTS / 1e6:.0f} million: "
            "take a smaller working size, a smaller kernel, or a larger stride"
        )


def _check_crop(operator: Operator, settings: Settings, crop: Tensor, cut: bool) -> Check:
    """The operator's own check, on all of the image or where it is `cut` on its middle."""
    check = operator.check(settings, crop)
    if not cut:
        return check
    return replace(check, claim=f"{check.claim}, on the middle {_CROP} × {_CROP}")


def _crop(x: Tensor) -> Tensor:
    """The middle of an image [1, 3, H, W], at most `_CROP` rows and columns of it."""
    top, left = (max(0, n - _CROP) // 2 for n in x.shape[2:])
    return x[..., top : top + _CROP, left : left + _CROP]


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _picture(sampling: Sampling, learned: bool) -> Tensor:
    """The output as three colours; a network's channels or a shift's copies are averaged."""
    assert sampling.output is not None
    if learned:
        return sampling.output.mean(dim=0, keepdim=True).expand(3, -1, -1).cpu()
    copies = sampling.output.reshape(-1, 3, *sampling.output_size)
    return copies.mean(dim=0).cpu()


def _check_terms(sampling: Sampling, unit: float) -> Check:
    """Take some positions apart, term by term, and put them together again; see `feature_unit`."""
    assert sampling.output is not None
    h, w = sampling.output_size
    count = min(64, h * w)
    index = torch.linspace(0, h * w - 1, count).long()
    positions = torch.stack((index // w, index % w), dim=1)
    output = sampling.output[:, positions[:, 0], positions[:, 1]].T.cpu().double()
    difference = (recompute(sampling, positions) - output).abs().max().item()
    # On a wide map float32 rounds a coordinate by more, and with it the value that is read there.
    rounding = 2 * torch.finfo(torch.float32).eps * max(sampling.input_size)
    claim = f"terms at {count} positions sum to the output"
    return Check(claim, difference, unit * (TOLERANCE + rounding))
