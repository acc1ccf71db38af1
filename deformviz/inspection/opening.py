"""A checkpoint opened to be run: its network, in whichever way its file allows, and its layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..analysis import OffsetWeights, Thresholds
from ..checkpoints import (
    CheckpointError,
    Layer,
    RunLimits,
    find_layers,
    load_exported,
    load_model,
    run_exported,
    run_on_image,
    run_onnx_confined,
)
from ..checkpoints.models import unwrapped
from ..checkpoints.pictures import Normalisation
from ..geometry import Pair
from ..sampling import Sampling
from .rereading import ReadTensors
from .weights import inspect_checkpoint

RUN_LIMITS = RunLimits(seconds=600, memory_bytes=16 << 30, answer_bytes=4 << 30)
"""Of an .onnx file on one's own machine: a large network has its time, a bomb still ends."""


@dataclass(frozen=True, eq=False)
class OpenedNetwork:
    """A network, and what its file says of its deformable layers.

    Attributes:
        name: of the file.
        network: a model of the user's own with the file's weights; a program; or the path of an
            .onnx file, which is not opened in this process.
        layers: of the file.
        weights: what predicts their offsets, by name, as `analysis.findings` takes it.
        read_tensors: reads tensors of the file.
        notes: what else is to be known.
    """

    name: str
    network: nn.Module | torch.export.ExportedProgram | Path
    layers: tuple[Layer, ...]
    weights: Mapping[str, OffsetWeights | None]
    read_tensors: ReadTensors
    notes: tuple[str, ...] = ()

    def run(
        self, photo: np.ndarray, size: Pair | None, normalisation: Normalisation
    ) -> list[Sampling]:
        """Its records on a photo [H, W, 3] uint8, see `run_on_image`."""
        if isinstance(self.network, nn.Module):
            return run_on_image(self.network, photo, size, normalisation)
        if isinstance(self.network, Path):
            return run_onnx_confined(
                self.network, photo, size=size, normalisation=normalisation, limits=RUN_LIMITS
            )
        return run_exported(self.network, photo, size=size, normalisation=normalisation)


def open_network(
    path: str | Path,
    *,
    model: str | None = None,
    strict: bool = True,
    trust: bool = False,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  (frozen)
) -> OpenedNetwork:
    """Open what `run_checkpoint` runs; arguments and errors are as there.

    Example:
        >>> open_network("net.pt2")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        PermissionError: a .pt2 file is a program: ...
    """
    path = Path(path)
    if is_program(path):
        _refuse_model(model, "A .pt2 file")
        program = load_exported(path, trust=trust)
        held = program.state_dict
        layers = find_layers({key: tuple(t.shape) for key, t in held.items()})
        return OpenedNetwork(
            path.name, program, tuple(layers), {}, lambda keys: {key: held[key] for key in keys}
        )
    inspection = inspect_checkpoint(path, thresholds=thresholds)
    checkpoint, notes = inspection.checkpoint, inspection.checkpoint.notes
    network: nn.Module | Path = path
    if checkpoint.kind == "onnx":
        _refuse_model(model, "An .onnx file")
    else:
        network = _own(path, model, strict)
        notes += _missing(network, checkpoint.shapes)
    return OpenedNetwork(
        path.name,
        network,
        tuple(row.layer for row in inspection.layers),
        {row.layer.name: row.weights for row in inspection.layers},
        checkpoint.tensors,
        notes,
    )


def is_program(path: str | Path) -> bool:
    """Whether a file is named as `torch.export.save` has it: it is not to be read as weights.

    >>> is_program("net.pt2"), is_program("net.pt")
    (True, False)
    """
    return Path(path).suffix.lower() == ".pt2"


def _own(path: Path, model: str | None, strict: bool) -> nn.Module:
    """A model of the user's own code, with the weights of a file."""
    if model is None:
        raise CheckpointError(
            f"{path.name} holds weights alone, which do not run on a photo: name the code of their "
            "model as well (package.module:factory), or give an .onnx file."
        )
    return load_model(model, path, strict=strict)


def _missing(model: nn.Module, held: Iterable[str]) -> tuple[str, ...]:
    """What a model that was loaded loosely did not get."""
    known = {unwrapped(key) for key in held}
    left = [key for key in map(unwrapped, model.state_dict()) if key not in known]
    if not left:
        return ()
    return (
        f"{len(left)} weights of the model are not in the file, {left[0]} the first: they are as "
        "the model began.",
    )


def _refuse_model(model: str | None, file: str) -> None:
    if model is not None:
        raise ValueError(f"{file} runs by itself: a model is for files that hold weights alone.")
