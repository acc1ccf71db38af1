"""Small networks with deformable layers, and the two whose real weights are at hand.

Written from the description of the weights, not from anyone's code; names follow the files.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import DeformConv2d, deform_conv2d

from deformviz import Sampling, examples
from deformviz.analysis import recompute
from deformviz.checkpoints import load_weights, open_checkpoint
from deformviz.checkpoints.pictures import as_input
from deformviz.images import decode


class Mixed(nn.Module):
    """torchvision's layers of either version: groups, stride, dilation, sides that differ.

    The maps are 1/1, 1/2 and 1/2 of the image. An in-place ReLU follows each layer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.offset1 = nn.Conv2d(8, 2 * 2 * 9, 3, stride=2, padding=1)
        self.plain = DeformConv2d(8, 12, 3, stride=2, padding=1, groups=4)
        self.offset2 = nn.Conv2d(12, 2 * 3 * 15, (3, 5), padding=(2, 2), dilation=(2, 1))
        self.mask2 = nn.Conv2d(12, 3 * 15, (3, 5), padding=(2, 2), dilation=(2, 1))
        self.masked = DeformConv2d(
            12, 6, (3, 5), padding=(2, 2), dilation=(2, 1), groups=2, bias=False
        )
        spread(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = F.relu(self.plain(x, self.offset1(x)), inplace=True)
        mask = self.mask2(x).sigmoid()
        return self.masked(x, self.offset2(x), mask).relu_()


def spread(model: nn.Module, seed: int = 0) -> None:
    """Random weights, with offsets of a pixel or two, as PyTorch's own start gives near zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        scale = 2.0 if "offset" in name else 1.0
        fan_in = max(1, parameter[0].numel())
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = scale * noise / fan_in**0.5


class ClampedDeformConv(nn.Module):
    """ALIKED's layer: offsets no longer than a quarter of the map, the weight of a plain conv."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.offset_conv = nn.Conv2d(channels, 18, 3, padding=1)
        self.regular_conv = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        limit = max(x.shape[-2:]) / 4
        offset = self.offset_conv(x).clamp(-limit, limit)
        return deform_conv2d(x, offset, self.regular_conv.weight, padding=(1, 1))


def _convolution(channels: int, outputs: int) -> nn.Module:
    return nn.Conv2d(channels, outputs, 3, padding=1, bias=False)


class Block(nn.Module):
    """Two layers with norm and SELU, and a shortcut where there is a `downsample`."""

    def __init__(self, channels: int, outputs: int, layer: type[nn.Module] | None = None) -> None:
        super().__init__()
        make = layer or _convolution
        self.conv1, self.bn1 = make(channels, outputs), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = make(outputs, outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x_in, x = x, F.selu_(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        shortcut = getattr(self, "downsample", None)
        return F.selu_(x if shortcut is None else x + shortcut(x_in))


class Residual(Block):
    def __init__(self, channels: int, outputs: int, layer: type[nn.Module] | None = None) -> None:
        super().__init__(channels, outputs, layer)
        self.downsample = nn.Conv2d(channels, outputs, 1)


class Aliked(nn.Module):
    """ALIKED's encoder and score head; all that `aliked-n16.pth` holds but the descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = Block(3, 16)
        self.block2 = Residual(16, 32)
        self.block3 = Residual(32, 64, ClampedDeformConv)
        self.block4 = Residual(64, 128, ClampedDeformConv)
        for index, channels in enumerate((16, 32, 64, 128), 1):
            setattr(self, f"conv{index}", nn.Conv2d(channels, 32, 1, bias=False))
        narrow = [nn.Conv2d(128, 8, 1, bias=False), nn.SELU()]
        for channels, outputs in ((8, 4), (4, 4)):
            narrow += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.SELU()]
        self.score_head = nn.Sequential(*narrow, nn.Conv2d(4, 1, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.block1(x)
        x2 = self.block2(F.avg_pool2d(x1, 2))
        x3 = self.block3(F.avg_pool2d(x2, 4))
        x4 = self.block4(F.avg_pool2d(x3, 4))
        parts = zip((self.conv1, self.conv2, self.conv3, self.conv4), (x1, x2, x3, x4), strict=True)
        wide = [
            F.interpolate(F.selu(conv(part)), size=x.shape[-2:], mode="bilinear")
            for conv, part in parts
        ]
        return self.score_head(torch.cat(wide, dim=1)).sigmoid()


class ModulatedConv(nn.Module):
    """The layer of `scaled-mnist-dcnv2.pth`: mask = 2 * sigmoid."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.offset_conv = nn.Conv2d(channels, 18, 3, padding=1)
        self.modulator_conv = nn.Conv2d(channels, 9, 3, padding=1)
        self.regular_conv = nn.Conv2d(channels, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        main = self.regular_conv
        mask = 2 * self.modulator_conv(x).sigmoid()
        return deform_conv2d(x, self.offset_conv(x), main.weight, main.bias, padding=1, mask=mask)


class ScaledMnist(nn.Module):
    """A classifier of grey digits, 28 x 28; its deformable layers read a 7 x 7 map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(c, 32, 3, padding=1) for c in (1, 32, 32))
        self.conv4, self.conv5 = ModulatedConv(32, 32), ModulatedConv(32, 32)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x).relu_(), 2)
        x = F.max_pool2d(self.conv2(x).relu_(), 2)
        x = self.conv3(x).relu_()
        x = self.conv4(x).relu_()
        return self.fc(self.conv5(x).relu_().mean(dim=(2, 3)))


TRAINED = {"aliked-n16.pth": Aliked, "scaled-mnist-dcnv2.pth": ScaledMnist}


def trained(file: str, folder: Path) -> nn.Module:
    """A network with weights that others trained; those of heads that it lacks are left."""
    if not (folder / file).is_file():
        pytest.skip(f"{file} is not there")
    checkpoint = open_checkpoint(folder / file)
    model = TRAINED[file]()
    names = [name for name in checkpoint.shapes if not name.startswith("desc_head.")]
    load_weights(model, checkpoint.tensors(names))
    return model.eval()


def photo_and_mirror() -> Tensor:
    """[2, 3, 64, 96], a photo and its mirror image."""
    pixels = decode(examples.path("cat"), max_side=128).pixels
    x = as_input(pixels, (64, 96))
    return torch.cat([x, x.flip(-1)])


def assert_recomputes(s: Sampling, tolerance: float) -> None:
    """Every position's output from the record alone, relative to the largest one."""
    assert s.output is not None
    h, w = s.output_size
    grid = torch.cartesian_prod(torch.arange(h), torch.arange(w))
    got = recompute(s, grid).T.reshape(s.output.shape)
    scale = s.output.double().abs().max()
    assert scale > 0
    assert (got - s.output).abs().max() / scale < tolerance
