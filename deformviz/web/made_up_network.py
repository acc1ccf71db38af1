"""The worked example that the Checkpoint tab opens on: a made-up network that runs on a photo.

Nobody trained it. Its weights are set by hand so that its offsets follow the photo, and one can see
by what: taps go towards where the picture gets brighter, further where the edge is stronger, and
masks open where it is bright.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

_TAPS = torch.cartesian_prod(torch.arange(-1.0, 2.0), torch.arange(-1.0, 2.0))  # [9, 2], (y, x)
_SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8


class MadeUpLayer(nn.Module):
    """A modulated deformable convolution of mmcv's layout, which blurs each of three colours.

    Args:
        pull: pixels that the taps go towards the light where it changes by 1 from pixel to pixel.
        dilation: what is added to the regular one, by the bias.
    """

    def __init__(self, pull: float, dilation: float, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.eye(3)[:, :, None, None].expand(3, 3, 3, 3) / 7.5)
        self.conv_offset = nn.Conv2d(3, 27, 3, stride, padding=1)
        edges = torch.stack([_SOBEL.T, _SOBEL])  # [2, 3, 3]: along y, along x
        towards = pull * edges[None, :, None].expand(9, 2, 3, 3, 3) / 3  # of the mean colour
        reach = 1 + 0.5 * _TAPS.norm(dim=1)  # outer taps go further
        with torch.no_grad():
            self.conv_offset.weight.zero_()
            pulls = reach[:, None, None, None, None] * towards  # [9, 2, 3, 3, 3]
            self.conv_offset.weight[:18] = pulls.flatten(0, 1)
            self.conv_offset.weight[18:, :, 1, 1] = 1.0
            self.conv_offset.bias[:18] = (dilation * _TAPS).flatten()  # type: ignore[index]
            self.conv_offset.bias[18:] = 0.4 - 0.6 * _TAPS.norm(dim=1)  # type: ignore[index]

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, 3, h, w]."""
        raw = self.conv_offset(x)
        offset, mask = raw[:, :18], raw[:, 18:].sigmoid()
        return deform_conv2d(x, offset, self.weight, None, self.stride, 1, mask=mask)


class MadeUpNetwork(nn.Module):
    """Four layers, on maps of a quarter and an eighth of the photo; the last one never learned.

    Example:
        >>> MadeUpNetwork()(torch.rand(1, 3, 64, 96)).shape
        torch.Size([1, 3, 8, 12])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.AvgPool2d(4)
        self.layer1 = MadeUpLayer(pull=24.0, dilation=0.2)
        self.layer2 = MadeUpLayer(pull=24.0, dilation=0.6, stride=2)
        self.layer3 = MadeUpLayer(pull=16.0, dilation=1.0)
        self.untrained = MadeUpLayer(pull=0.0, dilation=0.0)
        for parameter in self.untrained.conv_offset.parameters():
            nn.init.zeros_(parameter)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """The photo [1, 3, H, W] through all layers: [1, 3, H / 8, W / 8]."""
        for layer in (self.stem, self.layer1, self.layer2, self.layer3, self.untrained):
            x = layer(x)
        return x


def write_network(folder: Path) -> Path:
    """Write its weights, and return where."""
    path = folder / "made-up network.safetensors"
    state = {name: tensor.contiguous() for name, tensor in MadeUpNetwork().state_dict().items()}
    save_file(state, str(path))
    return path
