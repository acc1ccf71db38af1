"""The numbers of one layer in one file, and what changed from one file to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..checkpoints import dependence, is_untrained
from ..checkpoints.reading import Checkpoint
from ..sampling import Sampling
from .network import LayerRun
from .weights import LayerInspection, predicting

Numbers = dict[str, float]
"""By name, as `Series` lists them; NaN where there is none."""

_STATISTICS = ("mean", "p99", "dilation", "adaptive_share", "moved_outside", "mask_mean")


def weight_numbers(checkpoint: Checkpoint, row: LayerInspection) -> Numbers:
    """What the weights alone say."""
    tensors = checkpoint.tensors(predicting(row.layer), dtype=torch.float32)
    rows = dependence(row.layer, tensors) if "offset.weight" in row.layer.tensors else None
    lengths = None if row.sampling is None else _pattern(row.sampling).norm(dim=-1)
    return {
        "static": _root_mean_square(lengths),
        "static_longest": math.nan if lengths is None else float(lengths.max()),
        "dependence": _root_mean_square(None if rows is None else rows.norm(dim=-1)),
        "untrained": float(is_untrained(row.layer, tensors)),
        "findings": float(len(row.findings)),
    }


def weight_changes(files: Sequence[tuple[Checkpoint, LayerInspection]]) -> list[Numbers]:
    """From each file to the next."""
    steps = []
    before: dict[str, Tensor] | None = None
    previous: Sampling | None = None
    for checkpoint, row in files:
        layer = row.layer
        # By role, as a wrapper may have given the keys other names.
        held = checkpoint.tensors(layer.tensors.values(), dtype=torch.float32)
        after = {role: held[key] for role, key in layer.tensors.items()}
        if before is not None:
            mains = [role for role in after if role in ("weight", "bias")]
            others = [role for role in after if role not in mains]
            steps.append(
                {
                    "pattern": _distance(previous, row.sampling),
                    "offset_weights": _relative(before, after, others),
                    "weights": _relative(before, after, mains),
                }
            )
        before, previous = after, row.sampling
    return steps


def run_numbers(row: LayerRun) -> Numbers:
    """What a layer did on the photo."""
    numbers = {name: float(getattr(row.report.statistics, name)) for name in _STATISTICS}
    return {**numbers, "findings": float(len(row.report.findings))}


def run_changes(rows: Sequence[LayerRun]) -> list[Numbers]:
    """From each run to the next; NaN where the maps are of another size."""
    return [_run_change(a.sampling, b.sampling) for a, b in pairwise(rows)]


def _run_change(a: Sampling, b: Sampling) -> Numbers:
    pairs = {"mask": (a.mask, b.mask), "output": (a.output, b.output)}
    parts = {
        name: _relative({"": x}, {"": y}, [""]) if x is not None and y is not None else math.nan
        for name, (x, y) in pairs.items()
    }
    same = a.offset.shape == b.offset.shape
    moved = (b.offset.double() - a.offset.double()).square().sum(2) if same else None
    return {"offsets": math.nan if moved is None else math.sqrt(float(moved.mean())), **parts}


def _pattern(sampling: Sampling) -> Tensor:
    """The static pattern's offsets at one position: [G, K, 2]."""
    h, w = sampling.output_size
    return sampling.offset[..., h // 2, w // 2].double()


def _distance(a: Sampling | None, b: Sampling | None) -> float:
    if a is None or b is None or a.offset.shape != b.offset.shape:
        return math.nan
    return _root_mean_square((_pattern(b) - _pattern(a)).norm(dim=-1))


def _root_mean_square(values: Tensor | None) -> float:
    return math.nan if values is None else math.sqrt(float(values.double().square().mean()))


def _relative(before: dict[str, Tensor], after: dict[str, Tensor], roles: Sequence[str]) -> float:
    """The norm of the difference by the norm before; of nothing to nothing, no change."""
    if not roles or any(before[role].shape != after[role].shape for role in roles):
        return math.nan
    changed = sum(float((after[r].double() - before[r].double()).square().sum()) for r in roles)
    size = sum(float(before[role].double().square().sum()) for role in roles)
    if size == 0:
        return 0.0 if changed == 0 else math.nan
    return math.sqrt(changed / size)
