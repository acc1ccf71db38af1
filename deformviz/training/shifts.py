"""Active Shift: 1 x 1 layers that see further because each channel learns its own shift.

What Jeon and Kim (arXiv 1806.07370) draw is the scatter of the shifts: they spread from zero.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..operators import ActiveShift2d
from .glyphs import CHARACTERS, ground, place, uniform
from .task import Batch, Knob, Knobs, Task
from .twins import twin_of

SIDE, WIDTH = 32, 32


def pictures(
    generator: torch.Generator, count: int, angle: tuple[float, float] = (0.0, 15.0)
) -> Batch:
    """One white glyph each on dark ground, 32 x 32, and which one it is."""
    size = uniform(generator, count, 22, 32)
    turn = uniform(generator, count, *angle)
    turn *= torch.randint(2, (count,), generator=generator) * 2 - 1
    free = (SIDE - size)[:, None]
    centre = (SIDE - 1) / 2 + free * (torch.rand(count, 2, generator=generator) - 0.5)
    glyph = torch.randint(len(CHARACTERS), (count,), generator=generator)
    ink = place(glyph, size, turn, centre, SIDE)
    dark = 0.4 * ground(generator, count, SIDE)
    return Batch(dark + (1 - dark) * ink[:, None], glyph)


class Net(nn.Module):
    """A 1 x 1 stem, three layers that look around at half the size, and the mean."""

    def __init__(self, layers: list[nn.Module], width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 1)
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(len(layers) + 1))
        self.head = nn.Linear(width, len(CHARACTERS))

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] to the characters' scores, [B, 10]."""
        x = F.avg_pool2d(self.norms[-1](self.stem(image)).relu(), 2)
        for layer, norm in zip(self.layers, self.norms, strict=False):
            x = norm(layer(x)).relu()
        scores: Tensor = self.head(x.mean(dim=(2, 3)))
        return scores


def build(knobs: Knobs) -> dict[str, nn.Module]:
    """The network of shifts and its twin of 3 x 3 convolutions, which is narrower."""
    spread = 1.0 if knobs["start"] == "random" else 0.0
    net = Net([ActiveShift2d(WIDTH, WIDTH, init_std=spread) for _ in range(3)], WIDTH)
    plain = twin_of(
        net, lambda width: Net([nn.Conv2d(width, width, 3, padding=1) for _ in range(3)], width)
    )
    return {"Active Shift": net, "plain": plain}


def learned_shifts(net: nn.Module) -> list[Tensor]:
    """The shifts of each layer, [C, 2] in (dy, dx): the paper's scatter."""
    layers = (module for module in net.modules() if isinstance(module, ActiveShift2d))
    return [layer.shift.detach().cpu() for layer in layers]


def draw(knobs: Knobs, generator: torch.Generator, count: int) -> Batch:
    """Pictures to learn from."""
    return pictures(generator, count)


def held_out(knobs: Knobs, count: int) -> dict[str, Batch]:
    """Others like them, and more strongly turned ones."""
    generator = torch.Generator().manual_seed(1_000_003)
    return {
        "shown": pictures(generator, count),
        "unseen angles": pictures(generator, count, (15.0, 30.0)),
    }


def loss(output: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy."""
    return F.cross_entropy(output, batch.target)


def accuracy(output: Tensor, batch: Batch) -> float:
    """The share of pictures that are named rightly."""
    return float((output.argmax(1) == batch.target).float().mean())


def groups(net: nn.Module, knobs: Knobs, rate: float) -> list[dict[str, object]]:
    """Shifts learn at a rate of their own."""
    slow = [p for name, p in net.named_parameters() if name.endswith(".shift")]
    rest = [p for name, p in net.named_parameters() if not name.endswith(".shift")]
    both = [{"params": rest, "lr": rate}, {"params": slow, "lr": rate * float(knobs["shift_rate"])}]
    return [group for group in both if group["params"]]


def probe(knobs: Knobs) -> np.ndarray:
    """One glyph: uint8."""
    image = pictures(torch.Generator().manual_seed(2), 1).input[0]
    return (image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


SHIFTS = Task(
    title="Shifts",
    lesson="Each channel's shift leaves zero, and together they see what a 3 x 3 kernel sees",
    measure="pictures named rightly",
    knobs={
        "shift_rate": Knob("the shifts' learning rate", (0.3, 1.0, 3.0, 10.0), 3.0),
        "start": Knob("shifts start", ("zero", "random"), "zero"),
        "steps": Knob("steps", (100, 300, 600, 1200), 300),
    },
    draw=draw,
    held_out=held_out,
    build=build,
    groups=groups,
    loss=loss,
    accuracy=accuracy,
    probe=probe,
    rate=1e-2,
    batch=32,
)
