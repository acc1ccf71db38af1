"""What `deformviz.capture` costs a network that runs anyway, as a ratio.

    python benchmarks/capture.py [--rounds 20] [--size 480 640] [--device cpu]

The network is a ResNet-50 whose 3 x 3 convolutions from layer 2 on are deformable, as detectors
have them: 13 layers to record among 54 modules that compute. Runs with and without take turns, and
each pair makes a ratio, so that a machine that is busy with other things disturbs both alike.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

sys.path.append(str(Path(__file__).resolve().parents[1]))

import deformviz


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


def main() -> None:
    """Print the two times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640))
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    model, x = network().to(options.device), torch.rand(1, 3, *options.size, device=options.device)
    for captured in (False, True):
        seconds(model, x, captured)
    pairs = [(seconds(model, x, False), seconds(model, x, True)) for _ in range(options.rounds)]
    plain, seen = (median(times) * 1e3 for times in zip(*pairs, strict=True))
    ratio = median(b / a for a, b in pairs)
    print(f"plain {plain:.0f} ms, captured {seen:.0f} ms, median of the pairs' ratios {ratio:.3f}")


if __name__ == "__main__":
    main()
