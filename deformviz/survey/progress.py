"""How far a survey is, on one line of a terminal that is written anew."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_EVERY = 0.2
"""Seconds between two lines: as fast as anyone reads."""
_BAR = 20


class Progress:
    """A bar with images per second and the time that is left; silent where nobody watches.

    Args:
        stream: stderr by default.

    Example:
        >>> import io
        >>> stream = io.StringIO()
        >>> progress = Progress(stream)
        >>> progress.advance(5, 10)
        >>> stream.getvalue()  # no terminal
        ''
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()
        self._start: float | None = None
        self._done = self._before = 0
        self._next = 0.0

    def advance(self, images: int, total: int) -> None:
        """So many more images of all are done.

        The first call tells how many an earlier run did, which say nothing of this one's speed.
        """
        now = time.monotonic()
        if self._start is None:
            self._start, self._before = now, images
        self._done += images
        if self._shown and (now >= self._next or self._done >= total):
            self._next = now + _EVERY
            rate = (self._done - self._before) / max(now - self._start, 1e-9)
            self._write(f"\r{line(self._done, total, rate)}\x1b[K")

    def end(self) -> None:
        """Take the line away: what follows is the report."""
        if self._shown:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def line(done: int, total: int, rate: float) -> str:
    """The line itself.

    Args:
        done, total: images.
        rate: images per second.

    Example:
        >>> line(1250, 5000, 12.5)
        '[█████               ]  1,250 of 5,000 images, 12.5 images/s, 5 min left'
    """
    filled = _BAR * done // max(1, total)
    left = f", {_time((total - done) / rate)} left" if rate and done < total else ""
    speed = f"{rate:.3g}" if rate < 1000 else f"{rate:,.0f}"
    bar = "█" * filled + " " * (_BAR - filled)
    return f"[{bar}]  {done:,} of {total:,} images, {speed} images/s{left}"


def _time(seconds: float) -> str:
    """In words, as coarse as a guess is.

    >>> _time(42), _time(300), _time(9000)
    ('42 s', '5 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
