"""A `Sampling` as arrays, for programs that have no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .sampling import Sampling


def save_npz(sampling: Sampling, path: str | Path) -> None:
    """Write the record, and the points derived from it, to a compressed .npz file.

    Holds every tensor that is known by its field's name, `points` [G, K, 2, h, w] in (y, x), and
    `header`, a JSON text of sizes and the kernel. `np.load(path)` reads it without pickling.
    """
    arrays: dict[str, Any] = {name: _array(t) for name, t in sampling.tensors().items()}
    arrays["points"] = _array(sampling.points())
    arrays["header"] = np.array(json.dumps(sampling.header()))
    np.savez_compressed(path, **arrays)


def _array(tensor: Tensor) -> np.ndarray:
    """As numpy has no bfloat16, that one becomes float32."""
    known = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return known.detach().cpu().numpy()
