"""Checkpoints of one network, one after the other: what its deformable layers learned, and when.

Two files are compared as a series of two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..analysis import Finding, Thresholds
from ..geometry import Pair
from .matching import same_names
from .natural import natural_order
from .network import LayerRun, NetworkRun
from .series_numbers import Numbers, run_changes, run_numbers, weight_changes, weight_numbers
from .series_text import as_text
from .weights import MAP_SIZE, Inspection, LayerInspection, inspect_checkpoint

Row = TypeVar("Row", LayerInspection, LayerRun)


@dataclass(frozen=True, eq=False)
class LayerSeries:
    """One layer in every file.

    Attributes:
        name: as in the first file.
        family: the code base, or None where it is not known.
        numbers: by name, one for each file; NaN where there is none.
        changes: by name, one for each step from a file to the next.
    """

    name: str
    family: str | None
    numbers: Mapping[str, tuple[float, ...]]
    changes: Mapping[str, tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; None for a number that there is not."""
        return {
            "name": self.name,
            "family": self.family,
            "numbers": {name: _plain(values) for name, values in self.numbers.items()},
            "changes": {name: _plain(values) for name, values in self.changes.items()},
        }


@dataclass(frozen=True, eq=False)
class Series:
    """The layers that all files have.

    By the weights alone, a layer's numbers are

    * static, static_longest: px, root mean square and largest length of its static pattern;
    * dependence: root mean square over its taps of how strongly their offsets follow the input,
      see `checkpoints.dependence`;
    * untrained: 1 where all that predicts its offsets is zero, else 0;
    * findings: how many there are,

    and its changes from file to file

    * pattern: px, root mean square distance between the static patterns' taps;
    * offset_weights, weights: the norm of the difference by the norm before, of all that predicts
      offsets and masks, and of the main convolution.

    By runs on one photo they are those of `analysis.Statistics` (mean, p99, dilation,
    adaptive_share, moved_outside, mask_mean) and findings, and the changes

    * offsets: px, root mean square distance between the taps, position by position;
    * mask, output: the norm of the difference by the norm before.

    Attributes:
        files: their names, in order.
        layers: in the order of the first file.
        findings: for each file, each with the name of its layer.
        notes: which layers are not in all files, and what else is to be known.
    """

    files: tuple[str, ...]
    layers: tuple[LayerSeries, ...]
    findings: tuple[tuple[tuple[str, Finding], ...], ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """{"files", "layers", "findings", "notes"}, of plain JSON types."""
        return {
            "files": list(self.files),
            "layers": [layer.to_dict() for layer in self.layers],
            "findings": [
                {"file": file, "index": index, "layer": layer, **found.to_dict()}
                for index, (file, of_file) in enumerate(zip(self.files, self.findings, strict=True))
                for layer, found in of_file
            ],
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """A table for each layer, with a line for each file."""
        return as_text(self.files, self.layers, self.notes)


def inspect_series(
    paths: Sequence[str | Path],
    *,
    map_size: Pair = MAP_SIZE,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  (frozen)
) -> Series:
    """Checkpoints by their weights alone, in natural order: epoch_2 before epoch_10.

    Args:
        paths: of two files or more, see `open_checkpoint`.
        map_size, thresholds: as for `inspect_checkpoint`.

    Raises:
        CheckpointError: a file that cannot be read.
        ValueError: fewer than two files.

    Example:
        >>> import tempfile
        >>> import torch
        >>> state = {"a.weight": torch.rand(8, 8, 3, 3)}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = [Path(folder) / f"epoch_{epoch}.pth" for epoch in (10, 2)]
        ...     for file, size in zip(files, (0.5, 0.0)):
        ...         state["a.conv_offset.weight"] = torch.full((18, 8, 3, 3), size)
        ...         torch.save(state, file)
        ...     series = inspect_series(files)
        >>> series.files, series.layers[0].numbers["untrained"]
        (('epoch_2.pth', 'epoch_10.pth'), (1.0, 0.0))
    """
    opened = [
        inspect_checkpoint(path, map_size=map_size, thresholds=thresholds)
        for path in natural_order(paths)
    ]
    return series_of_checkpoints(opened)


def series_of_checkpoints(inspections: Sequence[Inspection]) -> Series:
    """The same of files that are open already, in the order they are given in.

    Of each layer, the tensors of two files are in memory at once.

    Raises:
        CheckpointError: a file that has changed since.
        ValueError: fewer than two files.
    """
    names = _distinct([inspection.checkpoint.name for inspection in inspections])
    rows = [{row.layer.name: row for row in one.layers} for one in inspections]
    checkpoints = [one.checkpoint for one in inspections]

    def measured(found: Sequence[LayerInspection]) -> tuple[list[Numbers], list[Numbers]]:
        pairs = list(zip(checkpoints, found, strict=True))
        return [weight_numbers(*pair) for pair in pairs], weight_changes(pairs)

    findings = [[(row.layer.name, f) for row in one.layers for f in row.findings]
                for one in inspections]  # fmt: skip
    return _series(names, rows, measured, findings, _family_by_weights, _shapes)


def series_of_runs(runs: Sequence[NetworkRun]) -> Series:
    """A network's checkpoints by what they do on one photo, in the order they are given in.

    Raises:
        ValueError: fewer than two runs.
    """
    names = _distinct([run.name for run in runs])
    rows = [{row.sampling.name: row for row in run.layers} for run in runs]

    def measured(found: Sequence[LayerRun]) -> tuple[list[Numbers], list[Numbers]]:
        return [run_numbers(row) for row in found], run_changes(found)

    findings = [[(row.name, f) for row in run.layers for f in row.report.findings]
                for run in runs]  # fmt: skip
    return _series(names, rows, measured, findings, _family_by_run, _taps)


def _series(
    files: tuple[str, ...],
    rows: Sequence[Mapping[str, Row]],
    measured: Callable[[Sequence[Row]], tuple[list[Numbers], list[Numbers]]],
    findings: Sequence[Sequence[tuple[str, Finding]]],
    family: Callable[[Row], str | None],
    shape: Callable[[Row], object],
) -> Series:
    """The layers that every file has, each measured in all of them."""
    if len(files) < 2:
        raise ValueError(f"a series has two checkpoints at least, got {len(files)}")
    renamed = [same_names(rows[0], other) for other in rows[1:]]
    layers, notes = [], []
    for name, first in rows[0].items():
        found = [first]
        for row, of_file in zip(rows[1:], renamed, strict=True):
            if name in of_file:
                found.append(row[of_file[name]])
        if len(found) < len(files):
            lacking = [f for f, other in zip(files[1:], renamed, strict=True) if name not in other]
            notes.append(f"{name} is not in {', '.join(lacking)}.")
        elif any(shape(row) != shape(first) for row in found):
            at = next(i for i, row in enumerate(found) if shape(row) != shape(first))
            notes.append(f"{name} is another layer in {files[at]}: its shapes differ.")
        else:
            numbers, changes = measured(found)
            layers.append(LayerSeries(name, family(first), _columns(numbers), _columns(changes)))
    for file, row, other in zip(files[1:], rows[1:], renamed, strict=True):
        taken = set(other.values())
        notes += [
            f"{name} is not in {files[0]}, but in {file}." for name in row if name not in taken
        ]
    return Series(files, tuple(layers), tuple(map(tuple, findings)), tuple(notes))


def _columns(rows: Sequence[Numbers]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(row[name] for row in rows) for name in rows[0]}


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Files of one name in several folders are numbered.

    >>> _distinct(["best.pth", "best.pth", "last.pth"])
    ('best.pth (1)', 'best.pth (2)', 'last.pth')
    """
    seen: dict[str, int] = {}
    told = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(f"{name} ({seen[name]})" if names.count(name) > 1 else name)
    return tuple(told)


def _family_by_weights(row: LayerInspection) -> str | None:
    return row.layer.family


def _family_by_run(row: LayerRun) -> str | None:
    return None if row.layer is None else row.layer.family


def _shapes(row: LayerInspection) -> object:
    return dict(row.layer.shapes)


def _taps(row: LayerRun) -> object:
    return (row.sampling.groups, row.sampling.taps)


def _plain(values: Sequence[float]) -> list[float | None]:
    return [value if abs(value) < float("inf") else None for value in values]
