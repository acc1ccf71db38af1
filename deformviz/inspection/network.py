"""A network that ran on a photo: what each of its deformable layers did, and whether that is true.

What a file's names leave open, a run settles: how many offset groups there are, and, where the
layer's output can be recomputed from its record, that the offsets are read in the right order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..analysis import LayerReport, OffsetWeights, Report, Thresholds, report
from ..analysis.finding import plain
from ..checkpoints import Layer, Verified
from ..checkpoints.live.recorded import totals_of
from ..sampling import Sampling
from .checking import check_layers
from .matching import match_layers, without_call
from .rereading import ReadTensors, Reread, reread
from .settling import ReadLayer, infos_of, read_by_run, settled
from .text import network_text
from .weights import layer_dict

MOST_POINTS = 2**27
"""So many points of all layers together: the reports of more take minutes of one core."""


@dataclass(frozen=True, eq=False)
class LayerRun:
    """One call of one layer.

    Attributes:
        sampling: where it read.
        layer: how the file's layer of this name is read, or None where there is none. What the run
            settled is not assumed any more.
        report: its numbers and findings.
        verified: its output, recomputed from the record; None where that cannot be done.
        note: why it is not verified, or what else is to be known; or empty.
        reread: whether the file's own offset weights give the same taps; None where the file is
            not at hand, or they are made of more than the map that is read.
    """

    sampling: Sampling
    layer: Layer | None
    report: LayerReport
    verified: Verified | None
    note: str = ""
    reread: Reread | None = None

    @property
    def name(self) -> str:
        """As in the file, or as in the model where the file has no such layer."""
        return without_call(self.sampling.name) if self.layer is None else self.layer.name

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: how it is read, its sizes, its numbers, whether it is verified.

        `run` is the name of the record, in which a second call is numbered. Of a layer that is not
        in the file, the record alone says how it was read, and `family` is None.
        """
        s = self.sampling
        read = layer_dict(self.layer) if self.layer is not None else _of_record(s, self.name)
        numbers = self.report.to_dict()
        return {
            **read,
            "run": s.name,
            "input_size": numbers["input_size"],
            "output_size": numbers["output_size"],
            "taps": s.taps,
            "statistics": numbers["statistics"],
            "verified": None if self.verified is None else _verified_dict(self.verified),
            "reread": None if self.reread is None else asdict(self.reread),
            "note": self.note,
        }


@dataclass(frozen=True, eq=False)
class NetworkRun:
    """A network on a photo.

    Attributes:
        name: of the network's file.
        photo: [H, W, 3] uint8 that the records lie on.
        layers: in the order of their calls.
        not_run: the file's layers that no record is of.
        notes: what else is to be known.
    """

    name: str
    photo: np.ndarray
    layers: tuple[LayerRun, ...]
    not_run: tuple[Layer, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """{"file", "photo_size", "notes", "layers", "findings"}, of plain JSON types.

        Layers that were not run have no numbers. A finding names its layer as the file does, and
        its place among the layers, as a layer may be called twice.
        """
        return {
            "file": self.name,
            "photo_size": list(self.photo.shape[:2]),
            "notes": list(self.notes),
            "layers": [row.to_dict() for row in self.layers] + [_idle(one) for one in self.not_run],
            "findings": [
                {"layer": row.name, "index": index, **found.to_dict()}
                for index, row in enumerate(self.layers)
                for found in row.report.findings
            ],
        }

    def to_text(self, width: int = 100) -> str:
        """For a terminal of so many columns: how layers are read, what they did, what is wrong."""
        return network_text(self, width)

    @property
    def report(self) -> Report:
        """The layers' reports as one, which also makes a table for a terminal."""
        return Report(tuple(row.report for row in self.layers))


def inspect_network(
    samplings: Sequence[Sampling],
    photo: np.ndarray,
    name: str,
    *,
    layers: Sequence[Layer] = (),
    weights: Mapping[str, OffsetWeights | None] | None = None,
    read_tensors: ReadTensors | None = None,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  (frozen)
) -> NetworkRun:
    """Measure what a network did, name its layers as its file does, and check every record.

    The checks of all layers together take some seconds, however large the network is: of wide
    layers fewer positions and output channels are recomputed. Measuring takes 0.4 s of one core for
    a million points.

    Args:
        samplings: what `capture`, `run_on_image`, `run_exported` or `run_onnx` recorded.
        photo: [H, W, 3] uint8 that they lie on.
        name: of the network.
        layers: of its file, from `find_layers`.
        weights: what predicts the offsets, by name of the layer; see `analysis.findings`.
        read_tensors: of the file, such as `Checkpoint.tensors`; with them, each layer's own offset
            weights tell whether it is read in the right order.
        thresholds: the limits of the findings.

    Raises:
        ValueError: more points than are measured in a minute; a smaller image has fewer.

    Example:
        >>> import torch
        >>> from deformviz.operators import DeformConv2d
        >>> s = DeformConv2d(3, 8, 3, padding=1).sampling(torch.rand(1, 3, 32, 32))
        >>> run = inspect_network([s], np.zeros((32, 32, 3), np.uint8), "net.pth")
        >>> run.layers[0].verified.ok, [found["kind"] for found in run.to_dict()["findings"]]
        (True, ['dead'])
    """
    _check_count(samplings)
    matched = match_layers([s.name for s in samplings], layers)
    known = weights or {}
    read = [read_by_run(layer, s) for layer, s in zip(matched, samplings, strict=True)]
    if read_tensors is not None:
        read = [_reread(one, s, read_tensors) for one, s in zip(read, samplings, strict=True)]
    infos, doubts = infos_of([one.layer for one in read], samplings)
    measured = report(
        samplings,
        layer_infos=infos,
        weights=[None if layer is None else known.get(layer.name) for layer in matched],
        thresholds=thresholds,
    ).layers
    checked = check_layers(samplings, totals_of(samplings))
    rows = zip(samplings, read, doubts, measured, checked, strict=True)
    found = tuple(
        LayerRun(
            sampling=s,
            layer=_settled(one, check.verified, numbers),
            report=numbers,
            verified=check.verified,
            note=" ".join(text for text in (one.note, doubt, check.note) if text),
            reread=one.reread,
        )
        for s, one, doubt, numbers, check in rows
    )
    run = {layer.name for layer in matched if layer is not None}
    return NetworkRun(name, photo, found, tuple(one for one in layers if one.name not in run))


def _reread(one: ReadLayer, sampling: Sampling, read_tensors: ReadTensors) -> ReadLayer:
    """The layer as its own weights say that it is to be read."""
    if one.layer is None:
        return one
    layer, found, note = reread(one.layer, sampling, read_tensors)
    return ReadLayer(layer, " ".join(text for text in (one.note, note) if text), found)


def _settled(one: ReadLayer, verified: Verified | None, numbers: LayerReport) -> Layer | None:
    if one.layer is None:
        return None
    return settled(one.layer, verified, numbers, reread=one.reread is not None)


def _check_count(samplings: Sequence[Sampling]) -> None:
    points = sum(s.offset.numel() // 2 for s in samplings)
    if points > MOST_POINTS:
        raise ValueError(
            f"this network reads {points / 1e6:,.0f} million points on this image, and at most "
            f"{MOST_POINTS / 1e6:,.0f} million are measured: run it at a smaller size"
        )


def _of_record(sampling: Sampling, name: str) -> dict[str, Any]:
    """What a record without a layer says of how it was read: (dy, dx), pair by pair."""
    return {
        "name": name,
        "family": None,
        "kernel_size": list(sampling.kernel.size),
        "offset_groups": sampling.groups,
        "order": "interleaved",
        "mask_activation": None,
        "outside": "zero",
        "assumed": [],
    }


def _idle(layer: Layer) -> dict[str, Any]:
    """A layer that did not run has no numbers."""
    numbers = ("run", "input_size", "output_size", "taps", "statistics", "verified", "reread")
    note = "No call of it was recorded."
    return {**layer_dict(layer), **dict.fromkeys(numbers), "note": note}


def _verified_dict(verified: Verified) -> dict[str, Any]:
    numbers: dict[str, Tensor | Any] = asdict(verified)
    return {
        **numbers,
        "difference": plain(verified.difference),
        "tolerance": plain(verified.tolerance),
        "ok": verified.ok,
        "claim": str(verified),
    }
