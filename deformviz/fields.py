"""Made-up offset fields and masks: a new deformable layer has zero offsets and shows nothing.

Each field is a row of `FIELDS`: a name, what its strength means, and a function of a `Scene`. The
same holds for `MASKS`. A learned field has the same form, its function runs a network on
`Scene.image`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import Kernel, Pair

Row = TypeVar("Row")


@dataclass(frozen=True)
class Scene:
    """What a field may depend on.

    Attributes:
        kernel: the regular grid.
        image: [C, H, W] the map that will be read.
        seed: for whatever is random.
    """

    kernel: Kernel
    image: Tensor
    seed: int = 0

    @property
    def input_size(self) -> Pair:
        """(H, W)."""
        return (self.image.shape[1], self.image.shape[2])

    @cached_property
    def output_size(self) -> Pair:
        """(h, w)."""
        return self.kernel.output_size(self.input_size)

    @property
    def taps(self) -> Tensor:
        """The taps around the kernel's centre, shaped to broadcast: [K, 2, 1, 1]."""
        return self.kernel.centred_taps(self.image)[:, :, None, None]

    @property
    def centres(self) -> Tensor:
        """Where the centre of each position's kernel lies on the input: [2, h, w]."""
        middle = self.kernel.tap_positions(self.image).mean(dim=0)
        return self.kernel.anchors(self.output_size, self.image) + middle[:, None, None]

    @property
    def offset_shape(self) -> tuple[int, int, int, int]:
        """[K, 2, h, w]."""
        return (self.kernel.taps, 2, *self.output_size)

    def at_taps(self, values: Tensor) -> Tensor:
        """A map [C, H, W] at every regular tap, zero outside: [K, C, h, w].

        The regular grid lies on pixels: each tap reads the map shifted, in one copy of it.
        """
        k, (h, w) = self.kernel, self.output_size
        (dy, dx), (sy, sx), (py, px) = k.dilation, k.stride, k.padding
        padded = F.pad(values, (px, px, py, py))
        rows = [padded[:, i * dy :: sy][:, :h] for i in range(k.size[0])]
        return torch.stack(
            [row[:, :, j * dx :: sx][..., :w] for row in rows for j in range(k.size[1])]
        )

    def generator(self) -> torch.Generator:
        """A fresh generator of this scene's seed; on the CPU, so that devices agree."""
        return torch.Generator().manual_seed(self.seed)

    def random(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(shape, generator=self.generator()).to(self.image)

    @property
    def edges(self) -> Tensor:
        """How strong the image's edges are, smoothed, in [0, 1]: [H, W]."""
        return _edges(_Pixels(self.image))

    @property
    def uphill(self) -> Tensor:
        """The way to stronger edges, of length 1 wherever there is one: [2, H, W]."""
        return _uphill(_Pixels(self.image))


@dataclass(frozen=True, eq=False)
class _Pixels:
    """An image by its content: its edges are found once, while fields and strengths change."""

    image: Tensor

    def __hash__(self) -> int:
        some = self.image.detach()[..., ::7, ::7].cpu().float()  # the rest is compared below
        return hash(some.numpy().tobytes())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Pixels)
            and (self.image.dtype, self.image.device) == (other.image.dtype, other.image.device)
            and torch.equal(self.image, other.image)
        )


@lru_cache(maxsize=4)
def _edges(pixels: _Pixels) -> Tensor:
    grey = pixels.image.mean(dim=0)
    dy, dx = _gradient(_smooth(grey, 1.0))
    strength = _smooth(torch.hypot(dy, dx), 1.5)
    return _normalised(strength)


@lru_cache(maxsize=4)
def _uphill(pixels: _Pixels) -> Tensor:
    slope = torch.stack(_gradient(_smooth(_edges(pixels), 3.0)))
    return slope / (torch.hypot(slope[0], slope[1]) + 0.01)


def _normalised(values: Tensor) -> Tensor:
    """Divided by their 99th percentile and cut at 1, so that one bright spot is not all."""
    top = values.flatten().kthvalue(max(1, round(0.99 * values.numel()))).values
    return (values / top.clamp(min=1e-6)).clamp(max=1)


def _smooth(values: Tensor, sigma: float) -> Tensor:
    """Blur a map [H, W] by a Gaussian of `sigma` pixels."""
    radius = math.ceil(3 * sigma)
    steps = torch.arange(-radius, radius + 1).to(values)
    weights = (-0.5 * (steps / sigma) ** 2).exp()
    weights = weights / weights.sum()
    padded = F.pad(values[None, None], (radius,) * 4, mode="replicate")
    blurred = F.conv2d(F.conv2d(padded, weights.reshape(1, 1, -1, 1)), weights.reshape(1, 1, 1, -1))
    return blurred[0, 0]


def _gradient(values: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of a map [H, W] along y and x; the edge is continued."""
    padded = F.pad(values[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    return (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2


def _zero(scene: Scene, strength: float) -> Tensor:
    return scene.image.new_zeros(1, 1, 1, 1)


def _shift(scene: Scene, strength: float) -> Tensor:
    """Every tap moves by the same distance, down and to the right."""
    return scene.image.new_tensor([0.6, 0.8])[:, None, None] * strength


def _dilate(scene: Scene, strength: float) -> Tensor:
    """Taps move away from the centre: at strength s the kernel is 1 + s times as large."""
    return strength * scene.taps


def _rotate(scene: Scene, strength: float) -> Tensor:
    """Taps turn about the centre by `strength` degrees, clockwise as seen on the screen."""
    angle = math.radians(strength)
    rotation = scene.image.new_tensor(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    taps = scene.kernel.centred_taps(scene.image)
    return (taps @ rotation.T - taps)[:, :, None, None]


def _shear(scene: Scene, strength: float) -> Tensor:
    """Rows slide along x, by their distance below the centre: lower ones to the right."""
    y = scene.taps[:, 0]
    return torch.stack((torch.zeros_like(y), strength * y), dim=1)


def _wave(scene: Scene, strength: float) -> Tensor:
    """Two crossed sine waves, three to the image's shorter side, none shorter than 8 pixels."""
    y, x = scene.centres * (2 * math.pi / max(8.0, min(scene.input_size) / 3))
    return strength * torch.stack((x.sin(), y.sin()))


def _random(scene: Scene, strength: float) -> Tensor:
    """Every tap of every position moves by itself."""
    return strength * scene.random(*scene.offset_shape)


def _toward_edges(scene: Scene, strength: float) -> Tensor:
    """Taps climb the blurred edge strength of the image, each from its own place."""
    return scene.at_taps(strength * scene.uphill)


def _saddle(scene: Scene, strength: float) -> Tensor:
    """Away from the image's centre along y and towards it along x, growing to `strength`."""
    size = scene.image.new_tensor(scene.input_size)[:, None, None]
    relative = (scene.centres - (size - 1) / 2) / (size / 2)
    return strength * relative * scene.image.new_tensor([1.0, -1.0])[:, None, None]


@dataclass(frozen=True)
class Field:
    """A row of `FIELDS`.

    Attributes:
        unit: what the strength is measured in.
        maximum, default: of the strength's slider.
        make: (scene, strength) to offsets that broadcast to [K, 2, h, w].
    """

    unit: str
    maximum: float
    default: float
    make: Callable[[Scene, float], Tensor]


FIELDS: dict[str, Field] = {
    "zero": Field("", 1, 0, _zero),
    "shift": Field("pixels", 40, 8, _shift),
    "dilate": Field("times larger", 12, 3, _dilate),
    "rotate": Field("degrees", 180, 30, _rotate),
    "shear": Field("pixels per row", 4, 1, _shear),
    "wave": Field("pixels", 40, 10, _wave),
    "random": Field("pixels (std)", 20, 3, _random),
    "toward edges": Field("pixels", 40, 12, _toward_edges),
    "saddle": Field("pixels at the border", 80, 24, _saddle),
}


def offset_field(
    name: str,
    kernel: Kernel,
    image: Tensor,
    strength: float | None = None,
    seed: int = 0,
) -> Tensor:
    """Make up offsets for a kernel on an image.

    Args:
        name: one of `FIELDS`.
        kernel: the regular grid.
        image: [C, H, W]; the field takes its size, dtype and device from it, and "toward edges"
            its edges.
        strength: in the field's own unit; None takes its default.
        seed: for "random".

    Returns:
        [K, 2, h, w], (dy, dx) in pixels; a field that does not vary takes no memory for it.

    Raises:
        ValueError: an unknown name, or a kernel that leaves no output.

    Example:
        >>> field = offset_field("dilate", Kernel.of(3, padding=1), torch.rand(3, 8, 8), 1.0)
        >>> field[0, :, 4, 4]  # the upper left tap moves one pixel up and one to the left
        tensor([-1., -1.])
    """
    row = _row(FIELDS, name, "field")
    scene = Scene(kernel, image, seed)
    offset = row.make(scene, row.default if strength is None else strength)
    return offset.expand(scene.offset_shape)


def _one(scene: Scene) -> Tensor:
    return scene.image.new_ones(1, 1, 1)


def _radial(scene: Scene) -> Tensor:
    """1 at the kernel's centre, falling like a Gaussian to its corners."""
    distance = torch.hypot(scene.taps[:, 0], scene.taps[:, 1])  # [K, 1, 1]
    return (-2 * (distance / distance.max().clamp(min=1e-6)) ** 2).exp()


def _edge_following(scene: Scene) -> Tensor:
    """Taps on an edge of the image count, those on flat ground do not."""
    return scene.at_taps(scene.edges[None])[:, 0]


def _random_mask(scene: Scene) -> Tensor:
    """Every tap of every position by itself, as an untrained sigmoid would give."""
    return scene.random(scene.kernel.taps, *scene.output_size).sigmoid()


MASKS: dict[str, Callable[[Scene], Tensor]] = {
    "one": _one,
    "radial": _radial,
    "edge-following": _edge_following,
    "random": _random_mask,
}


def mask_field(
    name: str, kernel: Kernel, image: Tensor, strength: float = 1.0, seed: int = 0
) -> Tensor:
    """Make up a modulation mask.

    Args:
        name: one of `MASKS`.
        kernel, image, seed: as in `offset_field`.
        strength: from 0, all ones, to 1, the mask itself.

    Returns:
        [K, h, w], in [0, 1].

    Raises:
        ValueError: an unknown name, or a kernel that leaves no output.

    Example:
        >>> mask_field("radial", Kernel.of(3, padding=1), torch.rand(3, 8, 8))[4, 0, 0]
        tensor(1.)
    """
    scene = Scene(kernel, image, seed)
    mask = 1 - strength * (1 - _row(MASKS, name, "mask")(scene))
    return mask.expand(kernel.taps, *scene.output_size)


def _row(table: dict[str, Row], name: str, kind: str) -> Row:
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(table)}")
    return table[name]
