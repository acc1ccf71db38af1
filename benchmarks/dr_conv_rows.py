"""What `operators.py` measures of DRConv: the shapes, and what one would compute it by instead."""

from __future__ import annotations

from dataclasses import dataclass

import paths  # noqa: F401  (where deformviz lies)
import torch
import torch.nn.functional as F
from measuring import Function
from torch import Tensor

from deformviz.operators import dr_conv2d


@dataclass(frozen=True)
class Regions:
    """B images of C channels, to C, in m regions; stride 1, padded."""

    batch: int
    channels: int
    size: int
    regions: int
    kernel: int = 3

    def __str__(self) -> str:
        images = f"{self.batch} × " if self.batch > 1 else ""
        shape = f"{images}{self.channels} × {self.size}²"
        return f"{shape}, kernel {self.kernel}, m = {self.regions}"

    def tensors(self, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
        """Input, weight and guide (normal: no region is connected), the same at each call."""
        random = torch.Generator().manual_seed(0)
        b, c, n, m, k = self.batch, self.channels, self.size, self.regions, self.kernel
        shapes = ((b, c, n, n), (b, m, c, c, k, k), (b, m, n, n))
        x, weight, guide = (torch.randn(s, generator=random).to(device) for s in shapes)
        return x, weight / (c * k * k) ** 0.5, guide


ROWS = (
    Regions(1, 3, 256, 4), Regions(1, 64, 56, 4), Regions(1, 64, 56, 8), Regions(1, 128, 64, 16),
    # Of ShuffleNetV2, in which the paper tried it:
    Regions(8, 24, 28, 4, 1), Regions(8, 96, 14, 8, 1), Regions(8, 192, 14, 8, 1),
    Regions(8, 24, 28, 4), Regions(8, 96, 14, 8),
)  # fmt: skip
QUICK_ROWS = ROWS[:4]


def learned(function: Function) -> Function:
    """With all gradients, the guide's too."""
    return function


def fixed(function: Function) -> Function:
    """With the guide as it is."""
    return lambda x, weight, guide: function(x, weight, guide.detach())


def peers(guided: bool) -> dict[str, Function]:
    """What one would write: m full convolutions in two ways, and each position's choice."""
    choose = _straight_through if guided else _gather
    return {
        "m convolutions": lambda x, w, guide: choose(_one_by_one(x, w), guide),
        "one of m × O": lambda x, w, guide: choose(_at_once(x, w), guide),
    }


def ours(x: Tensor, weight: Tensor, guide: Tensor) -> Tensor:
    """The operator of this package."""
    return dr_conv2d(x, weight, guide, padding=weight.shape[-1] // 2)


def one_convolution(x: Tensor, weight: Tensor, guide: Tensor) -> Tensor:
    """The floor: one filter for all positions (times one, as all that it takes has a gradient)."""
    output = F.conv2d(x, weight[0, 0], padding=weight.shape[-1] // 2)
    return output + 0 * guide[:, :1] if guide.requires_grad else output


def products_alone(shape: Regions) -> Function:
    """What no way to sort can beat: one convolution's products, of patches sorted beforehand."""
    x, weight, guide = shape.tensors()
    padding = shape.kernel // 2
    patches = F.unfold(x, shape.kernel, padding=padding).transpose(1, 2)  # [B, N, C k k]
    regions = guide.argmax(dim=1).flatten(1)  # [B, N]
    parts = [
        (patches[b, regions[b] == m].contiguous(), weight[b, m].flatten(1).t().contiguous())
        for b in range(shape.batch)
        for m in range(shape.regions)
    ]

    def multiply(*_: Tensor) -> Tensor:
        return [patches @ filters for patches, filters in parts][-1]

    return multiply


def _one_by_one(x: Tensor, weight: Tensor) -> Tensor:
    """[B, m, O, h, w], by a convolution for each image and region."""
    padding = weight.shape[-1] // 2
    full = [[F.conv2d(x[b], w, padding=padding) for w in weight[b]] for b in range(len(x))]
    return torch.stack([torch.stack(image) for image in full])


def _at_once(x: Tensor, weight: Tensor) -> Tensor:
    """[B, m, O, h, w], by one convolution with m * O outputs, in B groups."""
    batch, regions, out = weight.shape[:3]
    side_by_side = x.reshape(1, -1, *x.shape[2:])
    full = F.conv2d(side_by_side, weight.flatten(0, 2), padding=weight.shape[-1] // 2, groups=batch)
    return full.view(batch, regions, out, *full.shape[2:])


def _gather(full: Tensor, guide: Tensor) -> Tensor:
    region = guide.argmax(dim=1)[:, None, None].expand(-1, -1, full.shape[2], -1, -1)
    return full.gather(1, region).squeeze(1)


def _straight_through(full: Tensor, guide: Tensor) -> Tensor:
    """Backward, the choice is a softmax over the scores."""
    choice = F.one_hot(guide.argmax(dim=1), guide.shape[1]).movedim(-1, 1)  # [B, m, h, w]
    soft = guide.softmax(dim=1)
    return (full * (choice + soft - soft.detach())[:, :, None]).sum(dim=1)


def most(regions: int, guided: bool) -> float:
    """By how many times fewer multiplications DRConv does with, training included.

    Forward, and for the gradients of input and weight, one convolution's each, instead of m. That
    of the guide asks what every filter would have given at every position: m in place of one.
    """
    return 3 * regions / (regions + 2) if guided else float(regions)


def check(shape: Regions, device: str) -> None:
    """AssertionError unless all give what one convolution for each image and region gives."""
    x, weight, guide = shape.tensors(device)
    with torch.no_grad():
        expected = _gather(_one_by_one(x, weight), guide)
        for function in (*peers(True).values(), *peers(False).values(), ours):
            torch.testing.assert_close(function(x, weight, guide), expected, rtol=1e-3, atol=1e-3)
