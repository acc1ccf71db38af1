"""What the viewer says of a layer beside the picture: its status, checks, findings and facts.

Plain JSON types, for `deformviz.viewer.Stack(samplings, image, told=[...])`.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from ..analysis import Finding, Statistics, statistics
from ..checkpoints import Layer
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
        `findings`, see `finding_part`; `facts`, a list of [name, text].

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
    return {
        "status": _status(run.sampling, run.layer),
        "notes": [note for note in (run.note, _assumed(run.layer)) if note],
        "checks": checks,
        "findings": [finding_part(found) for found in run.report.findings],
        "facts": facts_of(run.report.statistics),
    }


def told_of_weights(row: LayerInspection) -> dict[str, Any]:
    """The same of a layer's static pattern, by its weights alone.

    Raises:
        ValueError: a layer without such a pattern.
    """
    if row.sampling is None:
        raise ValueError(f"{row.layer.name} has no static pattern: {row.note}")
    return {
        "status": _status(row.sampling, row.layer),
        "notes": [note for note in (_BY_WEIGHTS, row.note, _assumed(row.layer)) if note],
        "checks": [],
        "findings": [finding_part(found) for found in row.findings],
        "facts": facts_of(statistics(row.sampling), varies=False),
    }


def finding_part(found: Finding) -> dict[str, Any]:
    """A finding as the viewer lists it.

    Returns:
        {"kind", "severity", "sentence", "group", "tap", "map"}; the map, where it is so, is
        {"size": [h, w], "bits": base64 of eight positions a byte, row-major, the first one
        highest}, or None where it is so everywhere or nowhere.

    Example:
        >>> import torch
        >>> where = torch.tensor([[False, True]])
        >>> found = Finding("nonfinite", "error", 1, 0, "values", "One value is NaN.", where)
        >>> finding_part(found)["map"]
        {'size': [1, 2], 'bits': 'QA=='}
    """
    return {
        "kind": found.kind,
        "severity": found.severity,
        "sentence": found.sentence,
        "group": found.group,
        "tap": found.tap,
        "map": _bits(found.map.cpu().numpy() != 0),
    }


def _bits(where: np.ndarray) -> dict[str, Any] | None:
    if where.all() or not where.any():
        return None
    packed = np.packbits(where).tobytes()
    return {"size": list(where.shape), "bits": base64.b64encode(packed).decode("ascii")}


def facts_of(numbers: Statistics, *, varies: bool = True) -> list[list[str]]:
    """A layer's numbers in words, each [name, text]; what there is no number of is left out.

    Args:
        numbers: of one layer.
        varies: whether its offsets may differ from place to place, as they do on a photo.
    """
    n = numbers
    told = [
        ["offsets", f"mean {_px(n.mean)}, 99 % below {_px(n.p99)}, longest {_px(n.largest)}"],
        ["effective dilation", f"{n.dilation:.2f}"],
        [
            "affine fit",
            f"scale {n.scale:.2f}, turned {n.rotation:.1f}°, {_px(n.residual)} left over",
        ],
        ["static part", _px(n.static)],
        ["content-adaptive part", f"{_px(n.adaptive)}, {100 * n.adaptive_share:.0f} % of energy"],
        ["moved off the map", f"{100 * n.moved_outside:.1f} % of the taps"],
        ["mask", f"mean {n.mask_mean:.2f}, from {n.mask_p1:.2f} to {n.mask_p99:.2f} (1 to 99 %)"],
    ]
    there = {
        "effective dilation": n.dilation,
        "affine fit": n.scale + n.rotation + n.residual,
        "content-adaptive part": n.adaptive_share if varies else math.nan,
        "moved off the map": n.moved_outside if varies else math.nan,
        "mask": n.mask_mean,
    }
    return [fact for fact in told if math.isfinite(there.get(fact[0], n.mean))]


def _px(value: float) -> str:
    """Three digits.

    >>> _px(0.0), _px(1.234), _px(0.0001)
    ('0 px', '1.23 px', '0.0001 px')
    """
    return f"{value:.3g} px"


def _status(sampling: Sampling, layer: Layer | None) -> str:
    (kh, kw), (height, width), groups = sampling.kernel.size, sampling.input_size, sampling.groups
    name = sampling.name if layer is None else f"{sampling.name}, {layer.family}"
    plural = "s" if groups > 1 else ""
    return f"{name}, {kh} × {kw}, {groups} offset group{plural}, map {height} × {width}"


def _assumed(layer: Layer | None) -> str:
    if layer is None or not layer.assumed:
        return ""
    return f"Assumed: {', '.join(sorted(layer.assumed)).replace('_', ' ')}."
