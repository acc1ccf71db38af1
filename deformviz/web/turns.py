"""The device's turns: one run at a time, whoever asks and how, and a bound on who waits.

All runs are made by one thread, which lives as long as the server: torch keeps helpers for each
thread that it has worked in, and a new one would first have to get its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

MOST_WAITING = 64
"""Runs that wait for their turn; the next is refused."""

PATIENCE = 120.0
"""Seconds that one waits. What has begun is waited for: a run is bounded by its points."""

Result = TypeVar("Result")


class Turns:
    """One thread, and those who wait for it.

    Example:
        >>> Turns().take(lambda: 1 + 1)
        2
    """

    def __init__(self, most_waiting: int = MOST_WAITING, patience: float = PATIENCE) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._most = most_waiting
        self._patience = patience
        self._waiting = 0
        self._line: dict[object, str] = {}  # by work, its ticket, in order
        self._lock = threading.Lock()

    def take(self, work: Callable[[], Result]) -> Result:
        """Do the work when its turn has come; for a thread that may wait.

        Raises:
            ValueError: too many wait already, or the turn did not come in time.
        """
        future = self._line_up(work)
        try:
            return future.result(self._patience)
        except NotInTime:
            if future.cancel():
                raise _too_late(self._patience) from None
            return future.result()

    async def turn(self, work: Callable[[], Result], ticket: str = "") -> Result:
        """As `take`, for a coroutine: the server's loop goes on meanwhile.

        With a `ticket`, its `place` can be asked for.
        """
        future = self._line_up(work, ticket)
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.wait_for(asyncio.shield(waiting), self._patience)
        except TimeoutError:
            if not waiting.done() and future.cancel():
                raise _too_late(self._patience) from None
            return await waiting
        except asyncio.CancelledError:  # nobody waits for the answer any more
            future.cancel()
            raise

    def bound(self, most_waiting: int) -> None:
        """Let so many wait from now on."""
        self._most = most_waiting

    def place(self, ticket: str) -> tuple[int, int] | None:
        """The place of a ticket among those who wait, from 1, and their number; else None."""
        with self._lock:
            tickets = list(self._line.values())
        return (tickets.index(ticket) + 1, len(tickets)) if ticket in tickets else None

    def _line_up(self, work: Callable[[], Result], ticket: str = "") -> Future[Result]:
        place = object()

        def begun() -> Result:
            with self._lock:
                del self._line[place]
            return work()

        with self._lock:
            if self._waiting >= self._most:
                raise ValueError(
                    f"The server is busy: {self._most} runs wait for the device already. "
                    "Try again in a minute."
                )
            self._waiting += 1
            self._line[place] = ticket
            # Still under the lock: the order of the line is that of the thread.
            future = self._thread.submit(copy_context().run, begun)  # the language, for one
        future.add_done_callback(partial(self._left, place))
        return future

    def _left(self, place: object, _: Future[Any]) -> None:
        with self._lock:
            self._waiting -= 1
            self._line.pop(place, None)  # of one that gave up


def _too_late(patience: float) -> ValueError:
    return ValueError(
        f"The server is busy: expected a turn within {patience:.0f} seconds. Try again in a minute."
    )


DEVICE = Turns()
