"""Networks, images and records for surveys."""

from __future__ import annotations

import ipaddress
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from deformviz import Kernel, Sampling


class Net(nn.Module):
    """Two deformable layers: one of v1 with two offset groups, one of v2 after stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.first = nn.ModuleDict(
            {"offset": nn.Conv2d(8, 36, 3, padding=1), "conv": DeformConv2d(8, 8, 3, padding=1)}
        )
        self.second = nn.ModuleDict(
            {"offset": nn.Conv2d(8, 27, 3, 2, 1), "conv": DeformConv2d(8, 4, 3, 2, 1)}
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = self.first["conv"](x, self.first["offset"](x)).relu()
        raw = self.second["offset"](x)
        return self.second["conv"](x, raw[:, :18], raw[:, 18:].sigmoid())


def net(scale: float = 0.02) -> Net:
    """Its offsets hardly follow the content: on some images they are the same everywhere."""
    torch.manual_seed(0)
    model = Net().eval()
    with torch.no_grad():
        for part in (model.first, model.second):
            part["offset"].weight.normal_(std=scale)
            part["offset"].bias.normal_(std=0.1)
    return model


def photos(folder: Path, count: int) -> Path:
    """PNGs of many sizes, some in a folder below, from nearly black to white."""
    (folder / "below").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for index in range(count):
        h, w = generator.integers(8, 60, 2)
        bright = generator.choice([1, 20, 256])
        pixels = generator.integers(0, bright, (h, w, 3), dtype=np.uint8)
        place = folder / "below" if index % 3 == 0 else folder
        Image.fromarray(pixels).save(place / f"{index:04}.png")
    return folder


def record(
    name: str,
    offset: Tensor,
    mask: Tensor | None = None,
    reference: Tensor | None = None,
    kernel: Kernel | None = None,
) -> Sampling:
    """A 3 x 3 layer that keeps the size of its map, unless said otherwise."""
    size = (int(offset.shape[-2]), int(offset.shape[-1]))
    kernel = kernel or Kernel.of(3, padding=1)
    return Sampling(name, size, size, kernel, offset, reference=reference, mask=mask)


def listening() -> set[str]:
    """The addresses at which this process and those that it started listen, of Linux alone."""
    mine = {os.getpid()}
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = place.read_text().rpartition(")")[2].split()
            parents[int(place.parent.name)] = int(fields[1])
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    sockets = set()
    for pid in mine:
        with suppress(OSError):
            sockets |= {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(_address(fields[1].partition(":")[0]))
    return found


def _address(digits: str) -> str:
    """As /proc has it: words of four bytes, each in this machine's order."""
    words = [bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
