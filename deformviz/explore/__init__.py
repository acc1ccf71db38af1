"""Run one operator, with made-up or learned parameters, on one image: what the Explore page shows.

Settings + image  ──▶  explore()  ──▶  Exploration (Sampling, picture, checks, time)
"""

from .recipe import Check, Operator
from .run import (
    MAX_POINTS,
    OPERATORS,
    Exploration,
    depends_on,
    explore,
    largest_side,
    points,
)
from .settings import (
    GUIDE_NAMES,
    LEARNED,
    LEARNED_LAYERS,
    MASK_NAMES,
    MAX_KERNEL,
    OFFSETS,
    PARAMETER_NAMES,
    Settings,
)

__all__ = [
    "GUIDE_NAMES",
    "LEARNED",
    "LEARNED_LAYERS",
    "MASK_NAMES",
    "MAX_KERNEL",
    "MAX_POINTS",
    "OFFSETS",
    "OPERATORS",
    "PARAMETER_NAMES",
    "Check",
    "Exploration",
    "Operator",
    "Settings",
    "depends_on",
    "explore",
    "largest_side",
    "points",
]
