"""What nobody asks for any more is let go, also while nobody comes."""

from __future__ import annotations

import threading
from functools import lru_cache

from . import asked, numbers
from .opened import OPENINGS

EVERY = 60.0
"""Seconds."""


def once() -> None:
    """Let go what is due."""
    for kept in (asked.PHOTOS, asked.RUNS, numbers.SHELF.passing, OPENINGS):
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
