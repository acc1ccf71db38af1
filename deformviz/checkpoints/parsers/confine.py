"""What the child gives up before it reads the first byte of a stranger's file.

The parsers bound their own work. This stands behind them, for what was overlooked: the operating
system's limits on memory and processor time, no new files, no writing, no child processes, and an
audit hook under which Python itself refuses to import, open, compile or start anything.
"""

from __future__ import annotations

import contextlib
import sys

try:
    import resource
except ImportError:  # Windows has none of this: the parent's clock is the limit there
    resource = None  # type: ignore[assignment]

from .limits import Limits, RunLimits
from .refusal import Refused

_HARMLESS = {"builtins.id", "object.__getattr__"}


def confine(limits: Limits | RunLimits) -> None:
    """Take away what reading does not need. Everything must have been imported before."""
    if resource is not None:
        seconds = limits.cpu_seconds
        _limit("RLIMIT_CORE", 0, 0)
        _limit("RLIMIT_CPU", seconds, seconds + 1)  # the signal that says why, then the other
        _limit("RLIMIT_DATA", limits.memory_bytes, limits.memory_bytes)
        _limit("RLIMIT_FSIZE", 0, 0)
        _limit("RLIMIT_NOFILE", 3, 3)  # the file, the answer and the bin are open; no fourth
        _limit("RLIMIT_NPROC", 0, 0)
    sys.addaudithook(_deny)


def _limit(name: str, soft: int, hard: int) -> None:
    """Set one limit where the system knows it; not above what is already in force."""
    number = getattr(resource, name, None)
    if number is None:
        return
    _, ceiling = resource.getrlimit(number)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses some that it lists
        resource.setrlimit(number, (soft, hard))


def _deny(event: str, _: tuple[object, ...]) -> None:
    if event not in _HARMLESS:
        raise Refused("This file made its reader do something that reading does not need.")
