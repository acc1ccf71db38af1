"""Uploaded files become what is open: read by their weights, and run on a photo where they can be.

Everything here is bounded, as whoever reaches the page may upload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from .. import examples
from ..analysis import Thresholds
from ..checkpoints import CheckpointError, Layer, Limits, RunLimits, run_on_image, run_onnx_confined
from ..checkpoints.pictures import Normalisation
from ..images import decode
from ..inspection import (
    MAP_SIZE,
    NetworkRun,
    Series,
    inspect_checkpoint,
    inspect_layer,
    inspect_network,
    natural_order,
    series_of_checkpoints,
    series_of_runs,
)
from ..inspection.printable import printable
from ..sampling import Sampling
from .asked import whole
from .opened import Opened, OpenFile
from .own_copy import OwnCopy
from .slots import child_slot

MOST_FILES = 32
MOST_RUNS = 4
FILE_BYTES = 200_000_000
TOTAL_BYTES = 1_000_000_000
READ = Limits(file_bytes=FILE_BYTES, read_bytes=FILE_BYTES)
RUN = RunLimits(file_bytes=FILE_BYTES, answer_bytes=128 << 20)
"""A server has many visitors: less than on a person's own machine."""

Tell = Callable[[float, str], None]
"""Told how far it is, from 0 to 1, and what is done."""


@dataclass(frozen=True)
class OnPhoto:
    """What a network is run on.

    Attributes:
        photo: an uploaded file, or None.
        example: the name of the example where there is none.
        side: of the photo in pixels, the longer one.
        normalisation: see `checkpoints.pictures.Normalisation`.
    """

    photo: str | None = None
    example: str = "cat"
    side: float | None = 512
    normalisation: Normalisation = "unit"

    @property
    def path(self) -> Path:
        """The file to read."""
        return Path(self.photo) if self.photo else examples.path(self.example)


def open_files(paths: Sequence[str], on: OnPhoto, tell: Tell = lambda part, words: None) -> Opened:
    """Read files, in natural order of their names; the last one is looked at.

    Raises:
        ValueError: too many or too large files, or none of them can be read.
    """
    _check_amount(paths)
    order = natural_order({Path(path).name for path in paths})
    files: list[OpenFile] = []
    problems: list[str] = []
    last = ValueError("expected a file, got none")
    for done, path in enumerate(sorted(paths, key=lambda path: order.index(Path(path).name))):
        name = Path(path).name
        tell(done / len(paths), f"reading {printable(name, 40)}")
        try:
            file = _read(Path(path))
            if file.inspection is None or file.inspection.checkpoint.kind == "onnx":
                tell(done / len(paths), f"running {printable(name, 40)} on the photo")
                runs = sum(one.run is not None for one in files)
                file, problem = _run_or_weights(file, on, runs)
                problems += problem
            _check_rows(file)
        except ValueError as error:
            problems.append(f"Not opened: {printable(name, 60)}: {error}")
            last = error
        else:
            files.append(file)
    if not files:
        raise last if len(paths) == 1 else ValueError(" ".join(problems))
    drawn = [i for i, sampling in enumerate(files[-1].samplings) if sampling is not None]
    opened = Opened(
        tuple(files),
        file=len(files) - 1,
        layer=drawn[0] if drawn else 0,
        problems=tuple(dict.fromkeys(problems)),
    )
    return with_series(opened)


def _check_amount(paths: Sequence[str]) -> None:
    if len(paths) > MOST_FILES:
        raise ValueError(f"expected at most {MOST_FILES} files, got {len(paths)}: choose fewer")
    total = sum(Path(path).stat().st_size for path in paths)
    if total > TOTAL_BYTES:
        raise ValueError(
            f"expected at most {TOTAL_BYTES // 1_000_000:,} MB together, got "
            f"{total // 1_000_000:,} MB: choose fewer files"
        )


def _read(path: Path) -> OpenFile:
    copy = OwnCopy(path)
    try:
        with child_slot():
            return OpenFile(copy, path.name, inspect_checkpoint(copy.path, limits=READ))
    except CheckpointError:
        if path.suffix.lower() != ".onnx":
            raise
        return OpenFile(copy, path.name, None)  # a graph may have its weights in nodes of its own


def _check_rows(file: OpenFile) -> None:
    if not file.rows:
        count = 0 if file.inspection is None else len(file.inspection.checkpoint.shapes)
        raise ValueError(
            f"no deformable layer of a known code base was found among its {count:,} tensors. "
            "If the offsets have names of their own, see the list of code bases in the README."
        )


def _run_or_weights(file: OpenFile, on: OnPhoto, runs: int) -> tuple[OpenFile, list[str]]:
    """With its run; by the weights alone, and why, where it cannot be run but they tell."""
    try:
        if runs >= MOST_RUNS:
            raise ValueError(f"at most {MOST_RUNS} networks are run at once: open fewer")
        return replace(file, run=run_on_photo(file, on)), []
    except ValueError as error:
        if not file.rows:
            raise
        name = printable(file.name, 60)
        return file, [f"Not run, and shown by its weights alone: {name}: {error}"]


def run_on_photo(file: OpenFile, on: OnPhoto) -> NetworkRun:
    """Run a network, and measure what it did.

    Raises:
        ValueError: no photo, or no network that can be run; the message says what to do.
    """
    pixels = decode(on.path, max_side=whole("working size", on.side)).pixels
    if file.network is not None:
        samplings: list[Sampling] = run_on_image(
            file.network, pixels, normalisation=on.normalisation
        )
    else:
        samplings = _run_file(file.copy.path, pixels, on.normalisation)
    layers = [row.layer for row in file.found]
    return inspect_network(samplings, pixels, file.name, layers=layers)


def _run_file(path: Path, pixels: np.ndarray, normalisation: Normalisation) -> list[Sampling]:
    """An .onnx file, in a child of its own."""
    with child_slot():
        try:
            samplings = run_onnx_confined(path, pixels, normalisation=normalisation, limits=RUN)
        except ImportError as error:
            raise ValueError(f"This server cannot run networks: {error}.") from None
    if not samplings:
        raise ValueError(
            "this network has no DeformConv node. Export it with torch.onnx.export(model, args, "
            "dynamo=True, opset_version=19), which writes one for each torchvision.ops."
            "deform_conv2d."
        )
    return samplings


def open_network(path: Path, network: nn.Module, on: OnPhoto, layer: int = 0) -> Opened:
    """A live network, which ran on the photo, and the file of its weights; at one of its layers."""
    file = replace(_read(path), network=network)
    return Opened((replace(file, run=run_on_photo(file, on)),), layer=layer)


def run_again(opened: Opened, on: OnPhoto, tell: Tell = lambda part, words: None) -> Opened:
    """All networks that ran, on another photo or in another way."""
    files = []
    for done, file in enumerate(opened.files):
        if file.run is None:
            files.append(file)
            continue
        tell(done / len(opened.files), f"running {printable(file.name, 40)} on the photo")
        files.append(replace(file, run=run_on_photo(file, on)))
    return with_series(replace(opened, files=tuple(files)))


def with_series(opened: Opened) -> Opened:
    """With what changes from file to file: of runs where all ran, else by the weights."""
    if len(opened.files) < 2:
        return replace(opened, series=None, series_note="")
    try:
        series = _series(opened.files)
    except CheckpointError as error:
        return replace(opened, series=None, series_note=str(error))
    note = "" if series.layers else "The files have no deformable layer in common."
    return replace(opened, series=series, series_note=note)


def _series(files: Sequence[OpenFile]) -> Series:
    runs = [file.run for file in files if file.run is not None]
    if len(runs) == len(files):
        return series_of_runs(runs)
    inspections = [file.inspection for file in files if file.inspection is not None]
    if len(inspections) < len(files):
        raise CheckpointError("Files that were run and files that were not have no timeline.")
    return series_of_checkpoints(inspections)


def read_otherwise(opened: Opened, layer: Layer) -> Opened:
    """The layer that is looked at, read as a person knows better."""
    file = opened.shown
    inspection = file.inspection
    if inspection is None:
        raise ValueError("this file names no weights that could be read in another way")
    rows = list(inspection.layers)
    rows[opened.layer] = inspect_layer(inspection.checkpoint, layer, MAP_SIZE, Thresholds())
    return with_series(
        opened.with_file(replace(file, inspection=replace(inspection, layers=tuple(rows))))
    )
