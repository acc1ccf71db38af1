"""Names in the order a person has them: epoch_2 before epoch_10."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

_NUMBER = re.compile(r"(\d+)")


P = TypeVar("P", str, Path, str | Path)


def natural_order(paths: Iterable[P]) -> list[P]:
    """Sort by names in which every number counts as one, whatever its zeros in front.

    Example:
        >>> natural_order(["epoch_10.pt", "epoch_2.pt", "epoch_1.pt"])
        ['epoch_1.pt', 'epoch_2.pt', 'epoch_10.pt']
    """
    return sorted(paths, key=lambda path: (_key(str(path)), str(path)))


def _key(name: str) -> list[tuple[bool, int, str]]:
    """Words and numbers in turn; a word comes before a number in the same place."""
    parts = _NUMBER.split(name)
    return [
        (True, int(part), "") if index % 2 else (False, 0, part.casefold())
        for index, part in enumerate(parts)
    ]
