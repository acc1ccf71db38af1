"""Networks that train in a second, in the layout of mmcv's modulated packs."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import DeformConv2d


class Pack(DeformConv2d):
    """mmcv's ModulatedDeformConv2dPack: `conv_offset` gives 18 offsets and 9 raw masks."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__(channels, outputs, 3, padding=1)
        self.conv_offset = nn.Conv2d(channels, 27, 3, padding=1)
        nn.init.zeros_(self.conv_offset.weight)
        nn.init.zeros_(self.conv_offset.bias)

    def forward(self, x: Tensor) -> Tensor:
        raw = self.conv_offset(x)
        return super().forward(x, raw[:, :18], raw[:, 18:].sigmoid())


class Small(nn.Module):
    """Two classes of a colour image; its second deformable layer reads a map of half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first, self.second = Pack(8, 8), Pack(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x).relu()).relu()
        x = self.second(F.avg_pool2d(x, 2)).relu()
        return self.head(x.mean(dim=(2, 3)))


def seeded(seed: int = 0) -> Small:
    """Untrained: its offsets are zero."""
    torch.manual_seed(seed)
    return Small().eval()


def healthy(seed: int = 0) -> Small:
    """Its offsets follow the content, by a part of a pixel; its masks are neither 0 nor 1."""
    model = seeded(seed)
    with torch.no_grad():
        for pack in (model.first, model.second):
            pack.conv_offset.weight.normal_(std=0.2)
    return model


def trained_epochs(folder: Path, epochs: tuple[int, ...] = (0, 2, 10)) -> list[Path]:
    """Really trained, to tell stripes across from stripes down; saved at some of the epochs."""
    model = seeded()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    files = []
    for epoch in range(max(epochs) + 1):
        if epoch in epochs:
            files.append(folder / f"epoch_{epoch}.pth")
            torch.save({"epoch": epoch, "state_dict": model.state_dict()}, files[-1])
        label = torch.arange(8) % 2
        stripes = (torch.arange(16) // 2 % 2).float().expand(16, 16)
        images = torch.stack([stripes if one else stripes.T for one in label])
        x = images[:, None] + 0.1 * torch.randn(8, 3, 16, 16)
        optimiser.zero_grad()
        F.cross_entropy(model(x), label).backward()
        optimiser.step()
    return files
