"""The network of the lesson on sick checkpoints: five layers on a photo, four of them ill.

Nobody trained it: the layers are those of `MadeUpNetwork`, and each illness is set by hand.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from .. import examples
from ..checkpoints.capture import capture
from ..images import decode
from ..inspection import NetworkRun, inspect_network
from .made_up_network import MadeUpLayer

SIDE = 256


class SickNetwork(nn.Module):
    """Layers that add to what came before, so that one that is ill does not starve the next.

    Example:
        >>> SickNetwork()(torch.rand(1, 3, 64, 96)).shape
        torch.Size([1, 3, 16, 24])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.AvgPool2d(4)
        self.conv1 = MadeUpLayer(pull=24.0, dilation=0.4)  # sound
        self.conv2 = MadeUpLayer(pull=24.0, dilation=0.4)
        self.conv3 = MadeUpLayer(pull=0.0, dilation=0.0)
        self.conv4 = MadeUpLayer(pull=24.0, dilation=0.4)
        self.conv5 = MadeUpLayer(pull=0.0, dilation=1.0)
        with torch.no_grad():
            _bias(self.conv2)[:18] += 60.0  # thrown off the map
            for parameter in self.conv3.conv_offset.parameters():
                parameter.zero_()  # never learned
            # Masks that open for the brightest spots alone.
            self.conv4.conv_offset.weight[18:] *= 12.0
            _bias(self.conv4)[18:] = -12.0
            # Of conv5 the content has no say: its pull is 0.

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """The photo [1, 3, H, W] to [1, 3, H / 4, W / 4]."""
        x = self.stem(x)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            x = (x + layer(x)) / 2
        return x


def _bias(layer: MadeUpLayer) -> Tensor:
    assert layer.conv_offset.bias is not None
    return layer.conv_offset.bias


@lru_cache(maxsize=1)
def run() -> NetworkRun:
    """It ran on the cat, and what is to be said of its layers."""
    pixels = decode(examples.path("cat"), max_side=SIDE).pixels
    model = SickNetwork().eval()
    with capture(model) as samplings:
        model(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)
    return inspect_network(samplings, pixels, "sick.pth")
