"""By what something was made that takes minutes to make again: versions, command, commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import torch

from .. import __version__

_CODE = Path(__file__).resolve().parents[1]


def versions() -> dict[str, str]:
    """Of what learns."""
    return {"deformviz": __version__, "torch": str(torch.__version__)}


def origin_of(command: str) -> dict[str, str]:
    """By what something is made.

    Ask before it is made: what counts is the code that is loaded, not what comes after.

    Args:
        command: makes the same again.

    Example:
        >>> list(origin_of("python -m deformviz.training scale"))
        ['deformviz', 'torch', 'command', 'commit']
    """
    return {**versions(), "command": command, "commit": commit_of(_CODE)}


def commit_of(folder: Path) -> str:
    """The commit that a folder of code is at, "-dirty" where the folder has changed since.

    What lies elsewhere in the repository may have changed: of several things that are made one
    after the other, each changes a file, and none the code.

    Returns:
        "unknown" where git does not know the folder, or is not there.
    """
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
