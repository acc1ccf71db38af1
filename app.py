"""`python app.py`: the web app."""

from __future__ import annotations

import argparse
import ctypes
import os
from contextlib import suppress
from pathlib import Path

# Before torch is loaded: its threads are to sleep while they wait for each other. They would spin,
# and where the cores have other work, as a browser next door, a run takes up to 50 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from deformviz import device
from deformviz.lessons import LessonError
from deformviz.web import server
from deformviz.web.tidy import MOST_MIB
from deformviz.web.turns import MOST_WAITING

_M_ARENA_MAX = -8
"""By glibc's malloc.h."""


def share_memory() -> None:
    """Let all threads take memory from two heaps, where the system's library can be told so.

    Each thread would get a heap of its own, which keeps what the thread has freed: with 50 visitors
    memory would go on growing for minutes, without anything in it.
    """
    with suppress(AttributeError, OSError, TypeError):  # Windows, macOS, musl
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def main() -> None:
    """Read the command line and serve the page until Ctrl-C."""
    share_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", help="cuda, cuda:1, mps or cpu; the fastest by default")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 serves other machines, too")
    parser.add_argument("--port", type=int, help="7860 or the next that is free by default")
    parser.add_argument(
        "--root-path", metavar="PATH", help="where a proxy has the page, as in /deformviz"
    )
    parser.add_argument(
        "--queue",
        type=_at_least_one,
        default=MOST_WAITING,
        metavar="N",
        help="how many jobs may wait, %(default)s by default; one more is refused with a message",
    )
    parser.add_argument(
        "--keep",
        type=_at_least_one,
        default=MOST_MIB,
        metavar="MIB",
        help="of runs, photos and checkpoints that are kept at most, %(default)s by default",
    )
    parser.add_argument("--browser", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--lessons", action="append", default=[], type=Path, metavar="FOLDER",
        help="a folder with lessons of your own, see docs/lessons.md; may be given again",
    )  # fmt: skip
    options = parser.parse_args()
    try:
        chosen = device.choose(options.device)
    except ValueError as error:
        parser.error(str(error))
    try:
        server.launch(
            chosen,
            options.host,
            options.port,
            options.queue,
            options.lessons,
            options.keep,
            root_path=options.root_path,
            inbrowser=options.browser,
        )
    except LessonError as error:
        parser.error(str(error))


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


if __name__ == "__main__":
    main()
