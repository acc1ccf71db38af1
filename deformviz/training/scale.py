"""Scale and rotation: glyphs of many sizes and angles are named, cell by cell.

What Dai et al. (arXiv 1703.06211) found in Table 2: the taps of deformable layers spread with the
size of the object below them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..operators import DeformConv2d, ModulatedDeformConv2d, parameter_groups
from .glyphs import CHARACTERS, SIDE, ground, paint, place, uniform
from .task import Batch, Knob, Knobs, Task
from .twins import TWIN, twin_of

GROUND = len(CHARACTERS)
"""The label of ground; those before it are the characters'."""
UNSURE = -1
"""The label of cells that are half ink: they are not asked for."""

WIDTH = 24
STRIDE = 4
SIZE_NAMES = ("small", "medium", "large")
SIZES = ((12.0, 18.0), (24.0, 32.0), (44.0, 56.0))
"""Of those, in pixels; training shows no others."""
ANGLE = 60.0
"""Degrees: training turns glyphs by less, to either side."""

OPERATORS: dict[str, type[nn.Conv2d | DeformConv2d]] = {
    "Deformable Conv v1": DeformConv2d,
    "Deformable Conv v2": ModulatedDeformConv2d,
}


@dataclass(frozen=True)
class Range:
    """Which glyphs are drawn: of one of these sizes, turned by one of these angles, to a side."""

    sizes: tuple[tuple[float, float], ...] = SIZES
    angle: tuple[float, float] = (0.0, ANGLE)


SHOWN = Range()
UNSEEN = {
    "unseen sizes": Range(sizes=((18.0, 24.0), (32.0, 44.0), (56.0, 64.0))),
    "unseen angles": Range(angle=(ANGLE, 120.0)),
}


def scenes(generator: torch.Generator, count: int, drawn: Range = SHOWN) -> Batch:
    """Glyphs of one range of sizes a scene; of each cell of 4 x 4 pixels, which one it shows.

    `about` has "size" [B], the number of its range in `drawn.sizes`.
    """
    which = torch.randint(len(drawn.sizes), (count,), generator=generator)
    ink, glyph = torch.zeros(count, SIDE, SIDE), torch.zeros(count, SIDE, SIDE, dtype=torch.long)
    for i, sizes in enumerate(drawn.sizes):
        here = (which == i).nonzero()[:, 0]
        if len(here):
            ink[here], glyph[here] = _strewn(generator, len(here), sizes, drawn.angle)
    image = paint(ground(generator, count), ink, generator)
    share = F.avg_pool2d(ink[:, None], STRIDE)[:, 0]
    target = torch.where(share > 0.2, glyph[:, ::STRIDE, ::STRIDE], UNSURE)
    target = torch.where(share < 0.01, GROUND, target)
    return Batch(image, target, {"size": which})


def _strewn(
    generator: torch.Generator, count: int, sizes: tuple[float, float], angle: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Ink and character of each pixel, [count, SIDE, SIDE]: as many glyphs as find room, less some.

    A scene is cut into n x n squares, in each of which there is one glyph or none.
    """
    n = max(1, int(SIDE // sizes[1]))
    side = SIDE // n // STRIDE * STRIDE  # whole cells
    glyphs = count * n * n
    size = uniform(generator, glyphs, *sizes)
    turn = uniform(generator, glyphs, *angle)
    turn *= torch.randint(2, (glyphs,), generator=generator) * 2 - 1
    free = (side - size).clamp(min=0)[:, None]
    centre = (side - 1) / 2 + free * (torch.rand(glyphs, 2, generator=generator) - 0.5)
    glyph = torch.randint(len(CHARACTERS), (glyphs,), generator=generator)
    ink = place(glyph, size, turn, centre, side)
    ink[uniform(generator, glyphs) < 0.4 * (n > 1)] = 0
    squares = torch.stack((ink, glyph[:, None, None].expand_as(ink).float()))
    scene = squares.reshape(2, count, n, n, side, side).transpose(3, 4)
    scene = scene.reshape(2, count, n * side, n * side)
    rest = SIDE - n * side
    scene = F.pad(scene, (0, rest, 0, rest))
    return scene[0], scene[1].long()


class Net(nn.Module):
    """A stem to a quarter of the size, three layers, a 1 x 1 head that names each cell.

    Args:
        layers: the three.
        width: their channels.
    """

    def __init__(self, layers: list[nn.Module], width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in layers)
        self.head = nn.Conv2d(width, len(CHARACTERS) + 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, 11, H / 4, W / 4]."""
        x = self.stem(image)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(x)).relu()
        out: Tensor = self.head(x)
        return out


def build(knobs: Knobs) -> dict[str, nn.Module]:
    """The deformable network and its plain twin, which is wider by what offsets cost."""
    size = int(knobs["kernel"])

    def deformable() -> nn.Module:
        if knobs["operator"] == "Deformable Conv v1":
            return DeformConv2d(WIDTH, WIDTH, size, padding=size // 2)
        return ModulatedDeformConv2d(
            WIDTH, WIDTH, size, padding=size // 2, mask_activation="2sigmoid"
        )

    net = Net([deformable() for _ in range(3)], WIDTH)
    if knobs["start"] == "random":
        for module in net.modules():
            if isinstance(module, DeformConv2d):
                nn.init.normal_(module.offset_conv.weight, std=0.02)
    plain = twin_of(
        net,
        lambda wide: Net([nn.Conv2d(wide, wide, size, padding=size // 2) for _ in range(3)], wide),
    )
    return {"deformable": net, "plain": plain}


def draw(knobs: Knobs, generator: torch.Generator, count: int) -> Batch:
    """What training shows."""
    return scenes(generator, count)


def held_out(knobs: Knobs, count: int) -> dict[str, Batch]:
    """Scenes like those of training, of sizes between and beyond, and of larger angles."""
    ranges = {"shown": SHOWN, **UNSEEN}
    generator = torch.Generator().manual_seed(1_000_003)
    return {name: scenes(generator, count, each) for name, each in ranges.items()}


def loss(output: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy over the cells that are sure: the few of glyphs count more than all ground."""
    each = F.cross_entropy(output, batch.target, ignore_index=UNSURE, reduction="none")
    on_ground = batch.target == GROUND
    on_glyph = (batch.target != UNSURE) & ~on_ground
    return 0.7 * each[on_glyph].mean() + 0.3 * each[on_ground].mean()


def accuracy(output: Tensor, batch: Batch) -> float:
    """The share of glyphs' cells that are named rightly."""
    cells = (batch.target != UNSURE) & (batch.target != GROUND)
    return float((output.argmax(1) == batch.target)[cells].float().mean())


def groups(net: nn.Module, knobs: Knobs, rate: float) -> list[dict[str, object]]:
    """Offsets and masks learn at a rate of their own."""
    return parameter_groups(net, rate, float(knobs["offset_rate"]))


def probe(knobs: Knobs) -> np.ndarray:
    """Three glyphs, small, medium and large, on one ground of 128 x 128: uint8."""
    generator = torch.Generator().manual_seed(5)
    image = ground(generator, 1, 128)
    for glyph, size, turn, centre in (
        (4, 15.0, -20.0, (34.0, 24.0)),
        (2, 28.0, 35.0, (94.0, 28.0)),
        (9, 56.0, 10.0, (64.0, 88.0)),
    ):
        ink = place(
            torch.tensor([glyph]), torch.tensor([size]), torch.tensor([turn]),
            torch.tensor([centre]), 128,
        )  # fmt: skip
        image = paint(image, ink, generator)
    return (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


SCALE = Task(
    title="Scale and rotation",
    measure="glyphs' cells named rightly",
    lesson="Taps spread with the object below them, and stay together on ground",
    knobs={
        "operator": Knob("operator", tuple(OPERATORS), "Deformable Conv v2"),
        "kernel": Knob("kernel", (3, 5), 3),
        "offset_rate": Knob("offsets' learning rate", (0.01, 0.1, 0.3, 1.0), 0.1),
        "start": Knob("offsets start", ("zero", "random"), "zero"),
        "twin": TWIN,
        "steps": Knob("steps", (60, 250, 500, 1000), 500),
    },
    draw=draw,
    held_out=held_out,
    build=build,
    groups=groups,
    loss=loss,
    accuracy=accuracy,
    probe=probe,
    rate=1e-2,
    batch=24,
)
