"""What `deformviz.capture` costs a network that runs anyway, as a ratio.

    python benchmarks/capture.py [--size 480 640] [--device cpu] [--quick] [--json FILE]

The network is a ResNet-50 whose 3 x 3 convolutions from layer 2 on are deformable, as detectors
have them: 13 layers to record among 54 modules that compute. Runs with and without take turns, and
each pair makes a ratio, so that a machine that is busy with other things disturbs both alike.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import paths  # noqa: F401  (where deformviz lies)
import torch
import torchvision
from rows import Report, arguments, finish, ratio_row, spoken
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

import deformviz

ROUNDS, SIZE = 20, (480, 640)
TARGET = 1.05
"""Of the network's own time."""


class Deformable(nn.Module):
    """A 3 x 3 convolution with its offsets beside it."""

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__()
        shape = (plain.in_channels, plain.out_channels, 3, plain.stride, 1)
        self.offset = nn.Conv2d(plain.in_channels, 18, 3, plain.stride, 1)
        self.conv = DeformConv2d(*shape, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, O, h, w]."""
        return self.conv(x, self.offset(x))  # type: ignore[no-any-return]


def network() -> nn.Module:
    """A ResNet-50 with 13 deformable layers, random weights."""
    model = torchvision.models.resnet50()
    for layer in (model.layer2, model.layer3, model.layer4):
        for block in layer:
            block.conv2 = Deformable(block.conv2)
    return model.eval()


def seconds(model: nn.Module, x: Tensor, captured: bool) -> float:
    """Of one forward pass; with all that a capture does before and after it."""
    start = time.perf_counter()
    with torch.no_grad():
        if captured:
            with deformviz.capture(model) as samplings:
                model(x)
            assert len(samplings) == 13
        else:
            model(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def rows(
    report: Report,
    quick: bool,
    rounds: int = ROUNDS,
    size: Sequence[int] = SIZE,
    device: str = "cpu",
) -> None:
    """Time the two by turns."""
    model, x = network().to(device), torch.rand(1, 3, *size, device=device)
    for captured in (False, True):
        seconds(model, x, captured)
    count = min(rounds, 5) if quick else rounds
    pairs = [(seconds(model, x, False), seconds(model, x, True)) for _ in range(count)]
    name = "a network under deformviz.capture / the network alone"
    report.add(ratio_row(name, [b / a for a, b in pairs], TARGET))
    plain, seen = ([1e3 * each for each in times] for times in zip(*pairs, strict=True))
    report.note(f"alone {spoken(plain)}, captured {spoken(seen)}")


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--size", type=int, nargs=2, default=SIZE)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    given = partial(rows, rounds=options.rounds, size=options.size, device=options.device)
    finish(given, options.quick, options.json)
