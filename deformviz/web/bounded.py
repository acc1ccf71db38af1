"""What the server keeps for a while, so that nobody waits twice for the same: bounded in bytes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

IDLE = 3600.0
"""Seconds that something is kept for which nobody asks."""


class Bounded(Generic[Key, Value]):
    """Values by key, at most `most_bytes` of them together, each for `idle` seconds after its use.

    The one that was used longest ago goes first, never the latest. Whoever asks for what somebody
    else is making waits for it, and nothing is made twice.

    Args:
        most_bytes: of all values together.
        size: a value's bytes, taken once when it is put.
        most: values, however small they are.
        idle: seconds.
        clock: seconds by some clock that never goes back.
        gone: told of each value that is let go.

    Example:
        >>> squares = Bounded(1000, lambda number: 8)
        >>> squares.get_or_make(3, lambda: 3 * 3), squares.get(3), squares.get(4), squares.held
        (9, 9, None, 8)
    """

    def __init__(
        self,
        most_bytes: int,
        size: Callable[[Value], int],
        most: int = 10_000,
        idle: float = IDLE,
        clock: Callable[[], float] = time.monotonic,
        gone: Callable[[Value], None] = lambda value: None,
    ) -> None:
        self._kept: OrderedDict[Key, tuple[Value, int, float]] = OrderedDict()
        self._making: dict[Key, Future[Value]] = {}
        self._most_bytes, self._most = most_bytes, most
        self._size, self._idle, self._clock = size, idle, clock
        self._gone = gone
        self._lock = threading.Lock()
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes of all that is kept."""
        return self._held

    def bound(self, most_bytes: int) -> None:
        """Keep at most so many bytes from now on."""
        with self._lock:
            self._most_bytes = most_bytes
            self._make_room()

    def get(self, key: Key) -> Value | None:
        """What is kept under the key, or None."""
        with self._lock:
            return self._found(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, in place of what was there; the oldest make room."""
        size = self._size(value)
        with self._lock:
            self._drop(key)
            self._kept[key] = (value, size, self._clock())
            self._held += size
            self._make_room()
            self._drop_idle()

    def drop(self, key: Key) -> None:
        """Let it go, if it is there."""
        with self._lock:
            self._drop(key)

    def sweep(self) -> None:
        """Let go what nobody has asked for in time."""
        with self._lock:
            self._drop_idle()

    def get_or_make(self, key: Key, make: Callable[[], Value]) -> Value:
        """What is kept under the key, or else what `make` gives, which is kept from then on.

        An exception of `make` reaches all who wait for it; nothing is kept, and the next tries
        again.
        """
        with self._lock:
            found = self._found(key)
            if found is not None:
                return found
            made = self._making.get(key)
            ours = made is None
            if made is None:
                made = self._making[key] = Future()
        if ours:
            self._make(key, make, made)
        return made.result()

    def _make(self, key: Key, make: Callable[[], Value], made: Future[Value]) -> None:
        try:
            value = make()
            self.put(key, value)
            made.set_result(value)
        except BaseException as error:
            made.set_exception(error)
        finally:
            with self._lock:
                del self._making[key]

    def _found(self, key: Key) -> Value | None:
        if key not in self._kept:
            return None
        value, size, _ = self._kept[key]
        self._kept[key] = (value, size, self._clock())
        self._kept.move_to_end(key)
        return value

    def _make_room(self) -> None:
        while len(self._kept) > 1 and self._too_much():
            self._drop(next(iter(self._kept)))

    def _too_much(self) -> bool:
        return self._held > self._most_bytes or len(self._kept) > self._most

    def _drop(self, key: Key) -> None:
        if key in self._kept:
            value, size, _ = self._kept.pop(key)
            self._held -= size
            self._gone(value)

    def _drop_idle(self) -> None:
        """They lie in the order of their use."""
        before = self._clock() - self._idle
        while self._kept:
            key, (_, _, used) = next(iter(self._kept.items()))
            if used > before:
                return
            self._drop(key)
