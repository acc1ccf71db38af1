"""Run one operator with made-up parameters on one image: what the Explore page shows.

Settings + image  ──▶  explore()  ──▶  Exploration (Sampling, picture, checks, time)
"""

from .recipe import Check, Operator
from .run import MAX_POINTS, OPERATORS, Exploration, explore, largest_side, points
from .settings import GUIDE_NAMES, LEARNED, MASK_NAMES, MAX_KERNEL, OFFSETS, Settings

__all__ = [
    "GUIDE_NAMES",
    "LEARNED",
    "MASK_NAMES",
    "MAX_KERNEL",
    "MAX_POINTS",
    "OFFSETS",
    "OPERATORS",
    "Check",
    "Exploration",
    "Operator",
    "Settings",
    "explore",
    "largest_side",
    "points",
]
