"""deformviz: see where a deformable convolution reads its input."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoints.capture import capture
    from .geometry import ImageMap, Kernel
    from .inspection import inspect_checkpoint, inspect_network, inspect_series, run_checkpoint
    from .sampling import Sampling
    from .viewer import show

__version__ = "0.1.0"

__all__ = [
    "ImageMap",
    "Kernel",
    "Sampling",
    "__version__",
    "capture",
    "inspect_checkpoint",
    "inspect_network",
    "inspect_series",
    "run_checkpoint",
    "show",
]

_PLACES = {
    "ImageMap": "geometry",
    "Kernel": "geometry",
    "Sampling": "sampling",
    "capture": "checkpoints.capture",
    "inspect_checkpoint": "inspection",
    "inspect_network": "inspection",
    "inspect_series": "inspection",
    "run_checkpoint": "inspection",
    "show": "viewer",
}


def __getattr__(name: str) -> object:
    """Load a name when it is asked for.

    `deformviz --help` needs no torch, `capture` brings every code base with it, `show` plotly.
    """
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_PLACES[name]}", __name__), name)
    globals()[name] = found
    return found
