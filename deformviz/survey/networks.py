"""A network of any kind, run on one batch after the other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ..checkpoints import capture_batch
from ..checkpoints.exported import Program
from ..checkpoints.models import input_channels
from ..checkpoints.onnx_confined import ConfinedNetwork
from ..checkpoints.onnx_run import size_of
from ..checkpoints.pictures import fitting_size
from ..geometry import Pair
from ..inspection.opening import RUN_LIMITS, OpenedNetwork
from ..sampling import Sampling

_DEFAULT_SIZE = (512, 512)
_IMAGES_A_CHILD = 500
"""So many run in one process, which then makes room for the next: nothing can pile up in it."""


class Runner(Protocol):
    """What runs batches.

    Attributes:
        channels: of the images.
    """

    channels: int

    def size(self, asked: Pair | None) -> Pair:
        """(H, W) of the images, as asked or as the network wants."""

    def run(self, x: Tensor) -> list[list[Sampling]]:
        """[B, C, H, W] on the CPU to the records of each image."""


@contextmanager
def runner_of(opened: OpenedNetwork, device: str = "cpu") -> Iterator[Runner]:
    """What runs a network, for as long as the block.

    Args:
        opened: the network.
        device: where a model of the user's own runs; programs and .onnx files run on the CPU.

    Raises:
        ValueError: a device for what runs on the CPU alone.
    """
    if isinstance(opened.network, nn.Module):
        yield _Live(opened.network.to(device))
        return
    if device != "cpu":
        raise ValueError(f"{opened.name} runs on the CPU: --device is for models of your own.")
    if isinstance(opened.network, Path):
        threads = max(RUN_LIMITS.threads, torch.get_num_threads())
        limits = replace(RUN_LIMITS, images=_IMAGES_A_CHILD, threads=threads)
        with ConfinedNetwork(opened.network, limits) as network:
            yield _Onnx(network)
    else:
        yield _Exported(Program(opened.network))


class _Live:
    def __init__(self, model: nn.Module) -> None:
        self._model = model.eval()
        floating = (p for p in model.parameters() if p.is_floating_point())
        self._like = next(floating, torch.zeros(0))
        self.channels = input_channels(model)

    def size(self, asked: Pair | None) -> Pair:
        return asked or _DEFAULT_SIZE

    def run(self, x: Tensor) -> list[list[Sampling]]:
        model, count = self._model, len(x)
        with warnings.catch_warnings(), torch.no_grad(), capture_batch(model, count) as images:
            # Told once, of the first image.
            warnings.filterwarnings("ignore", message=".*is not recorded", category=UserWarning)
            model(x.to(self._like))
        return images


class _Exported:
    def __init__(self, program: Program) -> None:
        self._program = program
        self.channels = program.channels

    def size(self, asked: Pair | None) -> Pair:
        return fitting_size(self._program.sides, asked, _DEFAULT_SIZE)

    def run(self, x: Tensor) -> list[list[Sampling]]:
        return self._program.run(x, maps=False)


class _Onnx:
    def __init__(self, network: ConfinedNetwork) -> None:
        self._network = network
        self.channels = network.taken.shape[1] or 3

    def size(self, asked: Pair | None) -> Pair:
        return size_of(self._network.taken, asked, _DEFAULT_SIZE)

    def run(self, x: Tensor) -> list[list[Sampling]]:
        # One after the other: what a file says of its batch is no more than a hint.
        return [self._network.run(one[None], (one.shape[1], one.shape[2])) for one in x]
