"""How many children the server has at once that read strangers' files, whoever asks and how."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

MOST_CHILDREN = 2
PATIENCE = 60.0
"""Seconds that a file waits for its turn."""

_SLOTS = BoundedSemaphore(MOST_CHILDREN)


@contextmanager
def child_slot() -> Iterator[None]:
    """Wait for one of the places.

    The queue of an event bounds that event alone, and not for those who go around it.

    Raises:
        ValueError: none became free in time.

    Example:
        >>> with child_slot():
        ...     print("reading")
        reading
    """
    if not _SLOTS.acquire(timeout=PATIENCE):
        raise ValueError(
            "The server is busy with other files: expected a free place within "
            f"{PATIENCE:.0f} seconds. Try again in a minute."
        )
    try:
        yield
    finally:
        _SLOTS.release()
