"""A worked example of the Checkpoint tab: the checkpoints of a made-up network, written by code.

Nobody trained it. Its layers do what those of trained networks do, and what goes wrong with them:
one dilates, one turns, one explodes, one never learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

EPOCHS = (1, 2, 10)
_CHANNELS = 8
_TAPS = torch.cartesian_prod(torch.arange(-1.0, 2.0), torch.arange(-1.0, 2.0))  # [9, 2], (y, x)


def write_epochs(folder: Path) -> list[Path]:
    """Write one file an epoch, of mmcv's layout, and return them in no order.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = write_epochs(Path(folder))
        >>> sorted(file.name for file in files)[0]
        'example_epoch_1.safetensors'
    """
    paths = []
    for epoch in EPOCHS:
        path = folder / f"example_epoch_{epoch}.safetensors"
        save_file(dict(_network(epoch)), str(path))
        paths.append(path)
    return paths


def _network(epoch: int) -> Iterator[tuple[str, Tensor]]:
    part = math.log(epoch) / math.log(EPOCHS[-1])  # 0 at the first epoch, 1 at the last
    turn = math.radians(35 * part)
    turned = _TAPS @ torch.tensor(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    learned = 0.02 + 0.2 * part
    yield from _layer("backbone.layer2.0.conv2", (0.1 + 1.4 * part) * _TAPS, learned)
    yield from _layer("backbone.layer3.0.conv2", turned - _TAPS, 0.5 * learned)
    yield from _layer("backbone.layer4.0.conv2", _TAPS * (0.2 + 80 * part**4), 4 * learned)
    yield from _layer("neck.smooth.conv", 0 * _TAPS, 0.0)


def _layer(name: str, pattern: Tensor, learned: float) -> Iterator[tuple[str, Tensor]]:
    """A modulated convolution: its static pattern [9, 2], and how strongly it follows the input."""
    generator = torch.Generator().manual_seed(len(name) + ord(name[-8]))
    shape = (27, _CHANNELS, 3, 3)
    yield f"{name}.weight", 0.1 * torch.randn(_CHANNELS, *shape[1:], generator=generator)
    yield f"{name}.conv_offset.weight", learned * torch.randn(shape, generator=generator)
    masks = torch.randn(9, generator=generator) if learned else torch.zeros(9)
    yield f"{name}.conv_offset.bias", torch.cat([pattern.flatten(), masks])
