"""What a run of the Explore page depends on, beside the image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from ..fields import FIELDS, MASKS
from ..geometry import Kernel, Pair, as_pair
from ..guides import GUIDES
from ..kernels import KERNELS
from ..operators.spatial_shift import BORDERS, DIRECTIONS, Border, Strategy

MAX_KERNEL = 11

LEARNED = "learned"
"""In place of something made up: what a shipped network learned, shown on a layer of its own."""

LEARNED_LAYERS = 3
"""Of its operator's, such a network has so many, or one."""


@dataclass(frozen=True)
class Strength:
    """A row of `OFFSETS`: what the strength is measured in, its slider's maximum and default."""

    unit: str
    maximum: float
    default: float


OFFSETS: dict[str, Strength] = {
    **{name: Strength(row.unit, row.maximum, row.default) for name, row in FIELDS.items()},
    LEARNED: Strength("times", 2, 1),
}
"""What offsets there are to choose from."""

MASK_NAMES = (*MASKS, LEARNED)
GUIDE_NAMES = (*GUIDES, LEARNED)
PARAMETER_NAMES = ("made up", LEARNED)


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on beside the image.

    Where offsets, mask, guide map or parameters are "learned", a shipped network runs on the image,
    and what is shown is one of its layers, with its kernel, its weights and its own input.

    Attributes:
        operator: one of `deformviz.explore.OPERATORS`.
        kernel_size: (kh, kw), each from 1 to 11. The shifts have no kernel: they reach as far as
            the taps of one of this size, half of it.
        stride, dilation: one number for both axes. Padding keeps the image's size at stride 1.
        weights: one of `KERNELS`; DRConv gives one to each region, starting from this one.
        field, strength, offset_groups: the offsets, one of `OFFSETS`; strength None takes the
            field's default. Of three groups, red moves by +strength, green by 0, blue by -strength.
        mask, mask_strength: the modulation of v2, one of `MASK_NAMES`.
        guide, regions, generated: DRConv's guide map, one of `GUIDE_NAMES`; its m; whether its
            filters come from the paper's generator, untrained, or from `KERNELS`.
        radius, coordinate_weight: CoordConv's third channel; how much of x, y and r is added to
            red, green and blue.
        parameters: CoordConv's weights and Active Shift's shifts, one of `PARAMETER_NAMES`.
        learned_layer: which of a network's layers is shown, from 1, the first, to 3, the last;
            those of DRConv and CoordConv have one.
        directions, strategy, border: of the spatial shift.
        seed: for whatever is random.
    """

    operator: str = "Deformable Conv v2"
    kernel_size: Pair = (3, 3)
    stride: int = 1
    dilation: int = 1
    weights: str = "mean"
    field: str = "toward edges"
    strength: float | None = None
    offset_groups: int = 1
    mask: str = "radial"
    mask_strength: float = 1.0
    guide: str = "by colour"
    regions: int = 4
    generated: bool = False
    radius: bool = True
    coordinate_weight: float = 0.3
    parameters: str = "made up"
    learned_layer: int = LEARNED_LAYERS
    directions: str = "up, down, left, right"
    strategy: Strategy = "slice"
    border: Border = "zero"
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("weights", self.weights, KERNELS)
        _one_of("field", self.field, OFFSETS)
        _one_of("mask", self.mask, MASK_NAMES)
        _one_of("guide", self.guide, GUIDE_NAMES)
        _one_of("parameters", self.parameters, PARAMETER_NAMES)
        _one_of("directions", self.directions, DIRECTIONS)
        _one_of("strategy", self.strategy, BORDERS)
        _one_of("border", self.border, get_args(Border))
        height, width = as_pair(self.kernel_size, "kernel size")
        _whole("kernel height", height, 1, MAX_KERNEL)
        _whole("kernel width", width, 1, MAX_KERNEL)
        _whole("stride", self.stride, 1, 8)
        _whole("dilation", self.dilation, 1, 16)
        _whole("regions", self.regions, 1, 8)
        _whole("learned layer", self.learned_layer, 1, LEARNED_LAYERS)
        _whole("seed", self.seed, 0, 2**31 - 1)
        _within("mask strength", self.mask_strength, 0, 1)
        _within("coordinate weight", self.coordinate_weight, -1, 1)
        if self.strength is not None:
            limit = OFFSETS[self.field].maximum
            _within(f"strength of the field {self.field!r}", self.strength, -limit, limit)
        if self.offset_groups not in (1, 3) or not isinstance(self.offset_groups, int):
            raise ValueError(
                f"offset groups must be 1, or 3 for the image's colours, got {self.offset_groups}"
            )

    @property
    def kernel(self) -> Kernel:
        """The regular grid, padded to keep the image's size at stride 1 (even sizes lose one)."""
        padding = tuple(self.dilation * (k - 1) // 2 for k in self.kernel_size)
        return Kernel.of(self.kernel_size, self.stride, padding, self.dilation)

    @property
    def reach(self) -> Pair:
        """How far the shifts go, (y, x): half the kernel."""
        return (self.kernel_size[0] // 2, self.kernel_size[1] // 2)


def _one_of(name: str, value: object, known: Iterable[str]) -> None:
    names = list(known)
    if value not in names:
        raise ValueError(f"{name} must be one of {', '.join(names)}; got {value!r}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not isinstance(value, int | float) or not low <= value <= high:  # false for NaN, too
        raise ValueError(f"{name} must be between {low} and {high}, got {value!r}")


def _whole(name: str, value: int, low: int, high: int) -> None:
    _within(name, value, low, high)
    if not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
