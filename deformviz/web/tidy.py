"""What the server keeps, all of it: how much together, and no longer than somebody asks for it."""

from __future__ import annotations

import threading
from functools import lru_cache

from . import asked, numbers, opened

MOST_MIB = 4096
"""Of all that is kept, files of opened checkpoints included."""

EVERY = 60.0
"""Seconds."""

_SIXTEENTHS = (
    (asked.PHOTOS, 1),
    (asked.RUNS, 3),
    (numbers.SHELF.passing, 4),
    (opened.OPENINGS, 8),
)
"""Who gets how much of it."""


def bound(most_mib: int = MOST_MIB) -> None:
    """Keep at most so many MiB together from now on."""
    for kept, sixteenths in _SIXTEENTHS:
        kept.bound(most_mib * 2**20 * sixteenths // 16)


def once() -> None:
    """Let go what is due."""
    for kept, _ in _SIXTEENTHS:
        kept.sweep()


@lru_cache(maxsize=1)
def start() -> threading.Thread:
    """Go on doing so in a thread of its own: one, however often it is asked for."""

    def go_on() -> None:
        never = threading.Event()
        while not never.wait(EVERY):
            once()

    thread = threading.Thread(target=go_on, name="deformviz-tidy", daemon=True)
    thread.start()
    return thread
