"""deformviz: see where a deformable convolution reads its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .geometry import ImageMap, Kernel
from .sampling import Sampling

if TYPE_CHECKING:
    from .checkpoints.capture import capture
    from .viewer import show

__version__ = "0.1.0"

__all__ = ["ImageMap", "Kernel", "Sampling", "__version__", "capture", "show"]


def __getattr__(name: str) -> object:
    """Load when asked for: `capture` brings every operator with it, `show` brings plotly."""
    if name == "capture":
        from .checkpoints.capture import capture

        return capture
    if name == "show":
        from .viewer import show

        return show
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
