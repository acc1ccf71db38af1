"""Modules whose operator the dispatcher does not know, and what reads each kind of them.

A kind is told by what a module has, not by where it was imported from: the same layers are copied
from project to project. To add one, write its reader and add it to `READERS`.
"""

from __future__ import annotations

from torch import nn

from .aggregations import Aggregation
from .attention import MultiScaleAttention
from .given_offsets import GivenOffsets
from .own import Own
from .packs import Pack
from .reader import Reader

READERS: tuple[type[Reader], ...] = (Own, MultiScaleAttention, Aggregation, Pack, GivenOffsets)
"""In the order in which they are asked."""


def reader_of(module: nn.Module, path: str) -> Reader | None:
    """What reads a module, or None where it is of no known kind.

    Args:
        module: any.
        path: its name in the model, by which code bases are told apart too.
    """
    return next((found for kind in READERS if (found := kind.of(module, path)) is not None), None)
