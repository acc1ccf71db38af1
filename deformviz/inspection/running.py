"""A checkpoint's network run on a photo, in whichever way its file allows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..analysis import Thresholds
from ..checkpoints import Layer
from ..checkpoints.pictures import Normalisation, photo_pixels
from ..geometry import Pair
from .network import NetworkRun, inspect_network
from .opening import open_network

_UNREAD = "is not recorded"
"""What `capture` warns of."""


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
    with unread_layers() as unread:
        opened = open_network(path, model=model, strict=strict, trust=trust, thresholds=thresholds)
        samplings = opened.run(photo, size, normalisation)
    if not samplings:
        raise ValueError(none_recorded(opened.name, opened.layers, unread))
    run = inspect_network(
        samplings, photo, opened.name, layers=opened.layers, weights=opened.weights,
        read_tensors=opened.read_tensors, thresholds=thresholds,
    )  # fmt: skip
    return replace(run, notes=(*opened.notes, *unread))


def none_recorded(name: str, layers: Sequence[Layer], unread: Sequence[str]) -> str:
    """Why no layer of a network was seen: what could not be read, or that none ran."""
    if unread:
        return f"No deformable layer of {name} could be recorded: {unread[0]}"
    if layers:
        return (
            f"{name} has {len(layers)} deformable layers, but none of them ran: the model does not "
            "call them on this image, or by an operator that is not known."
        )
    return f"{name} ran, but has no deformable layer."


@contextmanager
def unread_layers() -> Iterator[list[str]]:
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
