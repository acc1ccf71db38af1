"""What the viewer says of a layer beside the picture: its status, notes, checks and findings.

Plain JSON types, for `deformviz.viewer.Stack(samplings, image, told=[...])`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..analysis import Statistics, findings_part, statistics
from ..checkpoints import Layer
from ..geometry import Pair
from ..sampling import Sampling
from .network import LayerRun
from .weights import LayerInspection

_BY_WEIGHTS = (
    "By the weights alone: where the layer reads on an input of nothing. What it adds for a photo "
    "takes a run."
)


def told_of_run(run: LayerRun) -> dict[str, Any]:
    """What is to be said of a layer that ran.

    Returns:
        `status` and `notes`, texts; `checks`, a list of {"claim", "difference", "passed"};
        `findings`, the worst first, see `findings_part`. The facts follow from the record.

    Example:
        >>> import torch
        >>> from deformviz.inspection import inspect_network
        >>> from deformviz.operators import conv2d_sampling
        >>> s = conv2d_sampling(torch.rand(1, 2, 5, 5), torch.rand(4, 2, 3, 3))
        >>> run = inspect_network([s], np.zeros((5, 5, 3), np.uint8), "net.pth").layers[0]
        >>> told = told_of_run(run)
        >>> told["checks"][0]["passed"], [found["kind"] for found in told["findings"]]
        (True, ['dead'])
    """
    verified = run.verified
    checks = []
    if verified is not None:
        claim = "order verified: the output, recomputed from these taps"
        if not verified.matches:
            claim = "order not verified: these taps do not give the output"
        checks = [{"claim": claim, "difference": verified.difference, "passed": verified.matches}]
    if run.reread is not None and run.reread.matches:
        claim = "file read right: its offset weights give these taps, in pixels"
        checks.append({"claim": claim, "difference": run.reread.difference, "passed": True})
    height, width = run.sampling.input_size
    return {
        "status": f"{_status(run.sampling, run.layer)}, map {height} × {width}",
        "notes": [note for note in (run.note, _assumed(run.layer)) if note],
        "checks": checks,
        "findings": findings_part(run.report.findings),
    }


def told_of_weights(row: LayerInspection) -> dict[str, Any]:
    """The same of a layer's static pattern, by its weights alone, and `facts`: [name, text] each.

    Raises:
        ValueError: a layer without such a pattern.
    """
    if row.sampling is None:
        raise ValueError(f"{row.layer.name} has no static pattern: {row.note}")
    return {
        "status": f"{_status(row.sampling, row.layer)}, static pattern",
        "notes": [note for note in (_BY_WEIGHTS, row.note, _assumed(row.layer)) if note],
        "checks": [],
        "findings": findings_part(row.findings),
        "facts": _facts(statistics(row.sampling)),
    }


def squares(size: Pair) -> np.ndarray:
    """A map of which nothing is known but its pixels: [H, W, 3] uint8, two greys in turn.

    >>> squares((2, 2))[..., 0]
    array([[188, 176],
           [176, 188]], dtype=uint8)
    """
    rows, columns = np.indices(size)
    grey = np.where((rows + columns) % 2, 176, 188).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _facts(numbers: Statistics) -> list[list[str]]:
    """What a pattern that is the same everywhere has: of the viewer's facts, those that mean it."""
    n = numbers
    told = [
        ("effective dilation", n.dilation, f"{n.dilation:.3g} px"),
        ("scale", n.scale, f"{n.scale:.3g}"),
        ("rotation", n.rotation, f"{n.rotation:.3g}°"),
        ("residual", n.residual, f"{n.residual:.3g} px"),
        ("static part", n.static, f"{n.static:.3g} px"),
        ("mask", n.mask_mean, f"{n.mask_p1:.3g} to {n.mask_p99:.3g}, mean {n.mask_mean:.3g}"),
    ]
    return [[name, text] for name, number, text in told if math.isfinite(number)]


def _status(sampling: Sampling, layer: Layer | None) -> str:
    (kh, kw), groups = sampling.kernel.size, sampling.groups
    name = sampling.name if layer is None else f"{sampling.name}, {layer.family}"
    return f"{name}, {kh} × {kw}, {groups} offset group{'s' * (groups > 1)}"


def _assumed(layer: Layer | None) -> str:
    if layer is None or not layer.assumed:
        return ""
    return f"Assumed: {', '.join(sorted(layer.assumed)).replace('_', ' ')}."
