"""A checkpoint's file, opened once for each use, and known again."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from .errors import CheckpointError
from .parsers.refusal import EXPECTED


@dataclass(frozen=True)
class Identity:
    """What tells that a path still leads to the same bytes."""

    device: int
    inode: int
    size: int
    modified_ns: int


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """Open a regular file, unbuffered. Symbolic links are followed.

    Hugging Face's cache, from which most checkpoints come, consists of links. What a link leads to
    is looked at before it is opened, as opening a pipe waits and opening a device may act.

    Raises:
        CheckpointError: there is no such file, it is a folder, a pipe or a device, or unreadable.
    """
    file = _open(path)
    with file:
        yield file


def identity(file: FileIO) -> Identity:
    """Return what tells this file from another, and from itself after a change."""
    status = os.fstat(file.fileno())
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _open(path: Path) -> FileIO:
    try:
        _check_regular(path.stat().st_mode)
        file = FileIO(path, opener=_without_waiting)
        _check_regular(os.fstat(file.fileno()).st_mode)
    except FileNotFoundError:
        raise CheckpointError(
            f"Expected {EXPECTED}, but there is no such file. Check its name."
        ) from None
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise CheckpointError(
            f"This file could not be read: {reason}. Choose another one."
        ) from None
    except ValueError as error:  # a path with a null character
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError("This is no name of a file. Choose another one.") from None
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _check_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise CheckpointError(
            f"Expected {EXPECTED}, but this is a folder. Choose the checkpoint in it."
        )
    if not stat.S_ISREG(mode):
        raise CheckpointError(
            f"Expected {EXPECTED}, but this is a pipe or a device. Save it as a file."
        )
