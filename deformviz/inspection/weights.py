"""A checkpoint's deformable layers and what is wrong with them, as the page and the shell say it.

Weights alone tell the static pattern of every layer and whether it was trained. Whether offsets
follow the content takes a model that runs on an image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..analysis import Finding, LayerInfo, OffsetWeights, Thresholds, findings
from ..checkpoints import Layer, Limits, dependence, find_layers, static_sampling
from ..checkpoints.reading import Checkpoint, open_checkpoint
from ..geometry import Pair
from ..sampling import Sampling
from .text import inspection_text

MAP_SIZE: Pair = (16, 16)
"""The map that a static pattern is drawn on."""

_BY_WEIGHTS = ("nonfinite", "exploded", "untrained", "bias only")
"""What weights alone can show; on them everything is "static"."""

_MASK_TOP = {"sigmoid": 1.0, "softmax": 1.0, "2sigmoid": 2.0}


@dataclass(frozen=True, eq=False)
class LayerInspection:
    """One layer, and what its weights say.

    Attributes:
        layer: as found, or as overridden.
        sampling: its static pattern, or None where its points follow from the input alone.
        findings: what is wrong with it.
        note: why there is no pattern, or empty.
        weights: what predicts its offsets, as `analysis.findings` takes it, or None.
    """

    layer: Layer
    sampling: Sampling | None
    findings: tuple[Finding, ...]
    note: str = ""
    weights: OffsetWeights | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: how the layer is read, and which of it is assumed."""
        return {**layer_dict(self.layer), "note": self.note}


@dataclass(frozen=True, eq=False)
class Inspection:
    """A whole file.

    Attributes:
        checkpoint: what the file holds.
        layers: in its order.
    """

    checkpoint: Checkpoint
    layers: tuple[LayerInspection, ...]

    def to_dict(self) -> dict[str, Any]:
        """{"file", "layers", "findings"}, of plain JSON types."""
        return {
            "file": self.checkpoint.name,
            "notes": list(self.checkpoint.notes),
            "layers": [row.to_dict() for row in self.layers],
            "findings": [
                {"layer": row.layer.name, **found.to_dict()}
                for row in self.layers
                for found in row.findings
            ],
        }

    def to_text(self) -> str:
        """A table of the layers, in which "?" marks what is assumed, and the findings."""
        return inspection_text(self)


def inspect_checkpoint(
    path: str | Path,
    *,
    map_size: Pair = MAP_SIZE,
    thresholds: Thresholds = Thresholds(),  # noqa: B008
    limits: Limits | None = None,
) -> Inspection:
    """Open a file safely, find its deformable layers, and look at each by its weights.

    Only the deformable layers' tensors are read.

    Args:
        path: see `open_checkpoint`.
        map_size: (H, W) that the static patterns are drawn on.
        thresholds: the limits of the findings.
        limits: what reading may cost, see `open_checkpoint`.

    Raises:
        CheckpointError: a file that cannot be read; the message says what to do.

    Example:
        >>> import tempfile
        >>> state = {"a.weight": torch.rand(8, 8, 3, 3)}
        >>> state["a.conv_offset.weight"] = torch.zeros(18, 8, 3, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(state, Path(folder) / "net.pth")
        ...     inspection = inspect_checkpoint(Path(folder) / "net.pth")
        >>> [(f["layer"], f["kind"]) for f in inspection.to_dict()["findings"]]
        [('a', 'untrained')]
    """
    checkpoint = open_checkpoint(path, limits=limits)
    layers = find_layers(checkpoint.shapes)
    return Inspection(
        checkpoint,
        tuple(inspect_layer(checkpoint, layer, map_size, thresholds) for layer in layers),
    )


def inspect_layer(
    checkpoint: Checkpoint, layer: Layer, map_size: Pair, thresholds: Thresholds
) -> LayerInspection:
    """One layer by its weights; its tensors are read, and let go again."""
    tensors = checkpoint.tensors(predicting(layer), dtype=torch.float32)
    try:
        sampling = static_sampling(layer, tensors, map_size)
    except ValueError as error:
        return LayerInspection(layer, None, (), str(error))
    weights = _offset_weights(layer, tensors, sampling)
    found = findings(
        sampling,
        layer_info=layer_info(layer),
        weights=weights,
        # The real map's size is not in the file: only the limit in pixels holds.
        thresholds=replace(thresholds, exploded_map=1e6),
    )
    told = tuple(one for one in found if one.kind in _BY_WEIGHTS)
    return LayerInspection(layer, sampling, told, weights=weights)


def layer_dict(layer: Layer) -> dict[str, Any]:
    """Plain JSON types: how a layer is read, and which of it is assumed."""
    return {
        "name": layer.name,
        "family": layer.family,
        "kernel_size": list(layer.kernel_size),
        "offset_groups": layer.offset_groups,
        "order": layer.order,
        "mask_activation": layer.mask_activation,
        "outside": layer.outside,
        "assumed": sorted(layer.assumed),
    }


def layer_info(layer: Layer) -> LayerInfo:
    """What a layer's reading says about the range of its mask."""
    return LayerInfo(mask_max=_MASK_TOP.get(layer.mask_activation or ""))


def predicting(layer: Layer) -> list[str]:
    """The keys of all that predicts a layer's offsets and masks: all but its main convolution."""
    return [key for role, key in layer.tensors.items() if role not in ("weight", "bias")]


def _offset_weights(
    layer: Layer, tensors: dict[str, Tensor], sampling: Sampling
) -> OffsetWeights | None:
    """How far the offsets follow the input, and what they are without it."""
    if "offset.weight" not in layer.tensors:
        return None
    return dependence(layer, tensors), sampling.offset[..., 0, 0]
