"""A training in a process of its own: told what to do by a line of JSON, it answers in frames.

Its standard input stays open for as long as someone wants it: "stop" ends the training with what it
has learned, and the end of the input, as when the server has died, ends the process.
"""

from __future__ import annotations

import json
import os
import sys
from threading import Event, Thread
from typing import Any, BinaryIO

from .frames import END, MOMENT, REFUSED, to_bytes, write_frame

STOP = b"stop\n"
NICE = 10
"""How much it steps back behind whoever is waited for, as the page's pictures are."""


def main() -> None:
    """Train as the first line of the standard input says."""
    given, taken = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever else is printed is no frame
    told = json.loads(given.readline())
    _step_back(int(told["threads"]), told["memory_bytes"])
    stopped = Event()
    Thread(target=_listen, args=(given, stopped), daemon=True).start()
    try:
        _train(told, stopped, taken)
    except (ValueError, MemoryError, RuntimeError) as error:
        write_frame(taken, REFUSED, _words(error, told["memory_bytes"]).encode())
    # Without waiting for the listener, which holds the input.
    os._exit(0)


def _train(told: dict[str, Any], stopped: Event, pipe: BinaryIO) -> None:
    from . import train

    for moment in train(
        told["task"], told["knobs"], told["seed"], stopped.is_set, told["device"], told["moments"]
    ):
        write_frame(pipe, MOMENT, to_bytes(moment))
    write_frame(pipe, END)


def _listen(given: BinaryIO, stopped: Event) -> None:
    if given.readline() != STOP:
        os._exit(1)
    stopped.set()
    given.readline()
    os._exit(1)


def _step_back(threads: int, memory_bytes: int | None) -> None:
    import torch

    torch.set_num_threads(threads)
    if hasattr(os, "nice"):
        os.nice(NICE)
    if memory_bytes is None:
        return
    try:
        import resource
    except ImportError:  # Windows has none of this
        return
    _, ceiling = resource.getrlimit(resource.RLIMIT_DATA)
    if ceiling != resource.RLIM_INFINITY:
        memory_bytes = min(memory_bytes, ceiling)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, ceiling))


def _words(error: Exception, memory_bytes: int | None) -> str:
    """A ValueError's own; of others, whether it was for lack of memory."""
    if isinstance(error, ValueError):
        return str(error)
    text = str(error)
    if isinstance(error, MemoryError) or "alloc" in text or "memory" in text:
        if memory_bytes is None:
            return "This training asks for more memory than there is. Choose a smaller kernel."
        room = f"{memory_bytes / 2**30:.3g} GB"
        return f"This training asks for more than {room} of memory. Choose a smaller kernel."
    return f"The training failed: {text.splitlines()[0] if text else type(error).__name__}"
