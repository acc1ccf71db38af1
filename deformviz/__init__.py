"""deformviz: see where a deformable convolution reads its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .geometry import ImageMap, Kernel
from .sampling import Sampling

if TYPE_CHECKING:
    from .checkpoints.capture import capture

__version__ = "0.1.0"

__all__ = ["ImageMap", "Kernel", "Sampling", "__version__", "capture"]


def __getattr__(name: str) -> object:
    """Load `capture` when it is asked for: it brings every operator and code base with it."""
    if name == "capture":
        from .checkpoints.capture import capture

        return capture
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
