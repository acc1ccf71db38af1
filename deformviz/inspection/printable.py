"""Text for a terminal: names out of files made harmless, and columns."""

from __future__ import annotations

from collections.abc import Sequence


def printable(name: str, most: int = 80) -> str:
    r"""A name out of a file without what a terminal would obey, and not too long.

    >>> printable("conv\x1b[2J")
    'conv\\x1b[2J'
    """
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return safe if len(safe) <= most else f"{safe[: most // 2]}…{safe[len(safe) - most // 2 + 1 :]}"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns that are as wide as their widest cell, the first to the left.

    >>> table([["file", "px"], ["a.pth", "10"]])
    ['file   px', 'a.pth  10']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
