"""A checkpoint's network run on a photo, in whichever way its file allows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
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
from ..checkpoints.pictures import Normalisation, photo_pixels
from ..geometry import Pair
from .network import NetworkRun, inspect_network
from .rereading import ReadTensors
from .weights import inspect_checkpoint

_UNREAD = "is not recorded"
"""What `capture` warns of."""

_LIMITS = RunLimits(seconds=600, memory_bytes=16 << 30, answer_bytes=4 << 30)
"""Of an .onnx file on one's own machine: a large network has its time, a bomb still ends."""


def run_checkpoint(
    path: str | Path,
    image: str | Path | bytes | np.ndarray,
    *,
    model: str | None = None,
    strict: bool = True,
    trust: bool = False,
    size: Pair | None = None,
    normalisation: Normalisation = "unit",
    thresholds: Thresholds = Thresholds(),  # noqa: B008  (frozen)
) -> NetworkRun:
    """Run a network on a photo, and look at each of its deformable layers.

    An .onnx file holds no code, and runs by onnxruntime in a process with limits. A .pt2 file is a
    program that may do anything, and runs for those who trust it. A state dict holds weights
    alone, and runs in your own model.

    Args:
        path: a checkpoint, or a .pt2 file.
        image: a file, as `deformviz.images.decode` reads it, or [H, W, 3] or [H, W] uint8.
        model: "package.module:factory", see `load_model`. **This runs the code that it names.**
        strict: whether every weight of the model must be in the file, and the other way round.
        trust: whether a .pt2 file may run code. **Never for a file from a stranger.**
        size, normalisation: as for `run_on_image`.
        thresholds: the limits of the findings.

    Raises:
        CheckpointError: a file that cannot be read or run.
        ImageError: no picture.
        PermissionError: a .pt2 file without `trust`.
        ImportError: onnxruntime is not installed.
        ValueError: a state dict without a model, or one that does not fit; no deformable layer
            that was run; a size that the network does not allow.
        Exception: whatever the model's own code raises.

    Example:
        >>> run_checkpoint("net.pt2", np.zeros((32, 32, 3), np.uint8))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        PermissionError: a .pt2 file is a program: ...
    """
    photo = photo_pixels(image)
    path = Path(path)
    known: Mapping[str, OffsetWeights | None] = {}
    notes: tuple[str, ...] = ()
    with _unread() as unread:
        if is_program(path):
            _refuse_model(model, "A .pt2 file")
            program = load_exported(path, trust=trust)
            held = program.state_dict
            layers = find_layers({key: tuple(t.shape) for key, t in held.items()})
            read_tensors: ReadTensors = lambda keys: {key: held[key] for key in keys}  # noqa: E731
            samplings = run_exported(program, photo, size=size, normalisation=normalisation)
        else:
            inspection = inspect_checkpoint(path, thresholds=thresholds)
            layers = [row.layer for row in inspection.layers]
            known = {row.layer.name: row.weights for row in inspection.layers}
            notes = inspection.checkpoint.notes
            read_tensors = inspection.checkpoint.tensors
            if inspection.checkpoint.kind == "onnx":
                _refuse_model(model, "An .onnx file")
                samplings = run_onnx_confined(
                    path, photo, size=size, normalisation=normalisation, limits=_LIMITS
                )
            else:
                own = _own(path, model, strict)
                notes += _missing(own, inspection.checkpoint.shapes)
                samplings = run_on_image(own, photo, size, normalisation)
    if not samplings:
        raise ValueError(_none_recorded(path.name, layers, unread))
    run = inspect_network(
        samplings, photo, path.name, layers=layers, weights=known, read_tensors=read_tensors,
        thresholds=thresholds,
    )  # fmt: skip
    return replace(run, notes=(*notes, *unread))


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


def _none_recorded(name: str, layers: Sequence[Layer], unread: Sequence[str]) -> str:
    if unread:
        return f"No deformable layer of {name} could be recorded: {unread[0]}"
    if layers:
        return (
            f"{name} has {len(layers)} deformable layers, but none of them ran: the model does not "
            "call them on this image, or by an operator that is not known."
        )
    return f"{name} ran, but has no deformable layer."


@contextmanager
def _unread() -> Iterator[list[str]]:
    """What `capture` could not read while the block ran; other warnings go on their way."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
    for one in caught:
        if _UNREAD in str(one.message):
            told.append(f"{one.message}.")
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
