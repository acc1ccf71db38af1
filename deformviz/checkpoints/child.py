"""Starts the confined child that reads a stranger's file, and believes little of what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .parsers.limits import Limits

# -I: no environment, no current folder, no user's packages. -S: no installed packages at all. The
# folder of the parsers comes last, so that nothing in it can stand in for the standard library.
_START = "import sys; sys.path.append(sys.argv[1]); from parsers.entry import main; main()"
_FOLDER = Path(__file__).resolve().parent

_TOO_SLOW = (
    "Listing this file takes longer than that of any network. "
    "Save the network's state_dict alone, as .safetensors, and try that."
)
_ENDED = (
    "The reader of this file ended early, for lack of time or memory, and the file was not read. "
    "Save the network's state_dict alone, as .safetensors, and try that."
)


def listing_from_child(file: FileIO, limits: Limits, take: str | None) -> dict[str, Any]:
    """Let a child of its own list the tensors of an open file.

    The file is the child's standard input: it learns no path and can open no other.

    Returns:
        The fields of a Listing, out of JSON.

    Raises:
        CheckpointError: the file is refused, or the child used up its time or memory.
    """
    command = [sys.executable, "-I", "-S", "-c", _START]
    command += [str(_FOLDER), json.dumps(asdict(limits)), json.dumps(take)]
    with subprocess.Popen(
        command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            answer, _ = process.communicate(timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            raise CheckpointError(_TOO_SLOW) from None
        finally:
            process.kill()  # nothing, where it has ended
    return _parsed(answer, process.returncode)


def _parsed(answer: bytes, status: int) -> dict[str, Any]:
    try:
        listing = json.loads(answer) if status == 0 else None
    except ValueError:
        listing = None
    if not isinstance(listing, dict):
        raise CheckpointError(_ENDED)
    if "refused" in listing:
        raise CheckpointError(str(listing["refused"]))
    return listing
