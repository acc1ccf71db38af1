"""DRConv: a picture whose regions are to be filtered differently, told apart by their colour.

The guide map of Chen et al. (arXiv 2003.12243) is to end up following the regions, which nobody
shows to the network: it is told the filtered picture alone.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..kernels import kernel_weight
from ..operators import DRConv2d
from .task import Batch, Knob, Knobs, Task
from .twins import twin_of

SIDE, WIDTH = 48, 8
KINDS = ("mean", "slope along x", "negative mean")
"""What is done to the regions of each kind, red, green and blue ones."""
FILTERS = torch.stack(
    (
        10 * kernel_weight("mean", (3, 3)),
        20 * kernel_weight("Sobel x", (3, 3)),
        -10 * kernel_weight("mean", (3, 3)),
    )
)
"""[3, 3, 3]: strong enough that what they give has a standard deviation of about one."""
_TINTS = torch.tensor([[0.3, -0.15, -0.15], [-0.15, 0.3, -0.15], [-0.15, -0.15, 0.3]])
_GUIDED = 3.0
"""How much faster DRConv learns: its filters come out of sigmoids of means, and hardly move."""


def filtered(generator: torch.Generator, count: int, side: int = SIDE) -> Batch:
    """Textured pictures in three tints, and what each tint's filter makes of the texture.

    `about` has "kind" [B, H, W], 0 to 2.
    """
    texture = torch.zeros(count, 1, side, side)
    for cells, strength in ((side // 8, 0.08), (side // 3, 0.10), (side, 0.04)):
        noise = torch.randn(count, 1, cells, cells, generator=generator)
        texture += strength * F.interpolate(noise, (side, side), mode="bicubic")
    seeds = torch.randn(count, len(KINDS), 4, 4, generator=generator)
    kind = F.interpolate(seeds, (side, side), mode="bicubic").argmax(1)  # [B, H, W]
    tint = _TINTS[kind].permute(0, 3, 1, 2)
    spread = 0.05 * torch.randn(count, 3, side, side, generator=generator)
    image = (0.5 + texture + tint + spread).clamp(0, 1)
    grey = image.mean(1, keepdim=True) - 0.5
    done = F.conv2d(grey, FILTERS[:, None], padding=1)  # [B, 3, H, W]
    return Batch(image, done.gather(1, kind[:, None]), {"kind": kind})


class Net(nn.Module):
    """Something that looks around on the picture itself, and a 1 x 1 layer."""

    def __init__(self, middle: nn.Module, width: int) -> None:
        super().__init__()
        self.middle = middle
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, 1, H, W]."""
        out: Tensor = self.last(self.middle(2 * image - 1))
        return out


def build(knobs: Knobs) -> dict[str, nn.Module]:
    """DRConv alone, linear but for the choice of filters; and a twin with ReLUs, which is wider."""
    size, regions = int(knobs["kernel"]), int(knobs["regions"])
    net = Net(DRConv2d(3, WIDTH, size, regions, padding=size // 2), WIDTH)

    def plain(width: int) -> nn.Module:
        conv = nn.Conv2d(3, width, size, padding=size // 2)
        return Net(nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU()), width)

    return {"DRConv": net, "plain": twin_of(net, plain)}


def agreement(region: Tensor, kind: Tensor) -> float:
    """The share of positions whose region is their kind, of the best way to name the regions.

    Args:
        region, kind: integers of the same shape, up to 6 different ones each.

    Example:
        >>> agreement(torch.tensor([2, 2, 0, 1]), torch.tensor([0, 0, 1, 1]))
        0.75
    """
    n = int(max(region.max(), kind.max())) + 1
    both = torch.zeros(n, n).index_put_(
        (region.flatten(), kind.flatten()), torch.ones(region.numel()), accumulate=True
    )
    best = max(sum(both[i, j] for i, j in enumerate(order)) for order in permutations(range(n)))
    return float(best / region.numel())


def draw(knobs: Knobs, generator: torch.Generator, count: int) -> Batch:
    """Pictures to learn from."""
    return filtered(generator, count)


def held_out(knobs: Knobs, count: int) -> dict[str, Batch]:
    """Others like them."""
    return {"shown": filtered(torch.Generator().manual_seed(1_000_003), count)}


def loss(output: Tensor, batch: Batch) -> Tensor:
    """The squared difference, in units of the target's variance."""
    return F.mse_loss(output, batch.target) / batch.target.var()


def accuracy(output: Tensor, batch: Batch) -> float:
    """The share of the target's variance that is explained."""
    return max(0.0, 1 - float(loss(output, batch)))


def groups(net: nn.Module, knobs: Knobs, rate: float) -> list[dict[str, object]]:
    """The guide learns at a rate of its own."""
    guide = [p for name, p in net.named_parameters() if ".guide_conv." in f".{name}"]
    rest = [p for name, p in net.named_parameters() if ".guide_conv." not in f".{name}"]
    if not guide:
        return [{"params": rest, "lr": rate}]
    rate *= _GUIDED
    return [
        {"params": rest, "lr": rate},
        {"params": guide, "lr": rate * float(knobs["guide_rate"])},
    ]


def probe_batch() -> Batch:
    """The picture of 96 x 96 on which learning is watched, with what is known of it."""
    return filtered(torch.Generator().manual_seed(3), 1, 2 * SIDE)


def probe(knobs: Knobs) -> np.ndarray:
    """A picture of 96 x 96 with all three tints: uint8."""
    image = probe_batch().input[0]
    return (image.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


REGIONS = Task(
    title="Regions",
    lesson="The guide map comes to follow regions that nobody showed it",
    measure="variance explained",
    knobs={
        "regions": Knob("regions", (2, 3, 4, 6), 3),
        "kernel": Knob("kernel", (3, 5), 3),
        "guide_rate": Knob("the guide's learning rate", (0.1, 0.3, 1.0), 1.0),
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
    batch=16,
)
