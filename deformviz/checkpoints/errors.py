"""What a person reads who chose a checkpoint that cannot be used."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A file that is not read: what was expected, what came, what to do.

    The message is one line, meant for the person who chose the file. It never holds a path of the
    server, and of the file's own words only letters, digits and a few signs.
    """
