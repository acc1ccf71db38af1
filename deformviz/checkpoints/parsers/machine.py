"""The state of the pickle machine: the bytes, the stack, the memo, and a budget."""

from __future__ import annotations

import struct

from .inert import Inert, Storage
from .known import call, storage_of, view_of
from .refusal import Refused, damaged

OPERATIONS = 1_000_000
"""Steps that one pickle may take. A tensor takes about 30, a module of a whole model 150; an
optimiser's state triples a file. A step costs at most 150 bytes of memory beside the file's own,
and a microsecond."""

_TEXT = 4_096
"""Bytes that are kept of a string. Names are shorter; a longer one is refused where it names."""

_LINE = 1 << 16


class Machine:
    """One pickle, walked from ``at`` on; afterwards ``at`` is where it ended."""

    __slots__ = ("at", "budget", "data", "marks", "memo", "stack", "storages", "unread")

    def __init__(self, data: bytes, at: int = 0, budget: int = OPERATIONS) -> None:
        self.data = data
        self.at = at
        self.budget = budget
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.storages: dict[str, Storage] = {}
        self.unread: dict[str, None] = {}  # names of classes and functions that stayed names

    # -------------------------------------------------------------------------------------- bytes

    def take(self, count: int) -> bytes:
        """Return the next bytes; those of an argument are never fewer than announced."""
        start = self.at
        self.skip(count)
        return self.data[start : self.at]

    def skip(self, count: int) -> None:
        """Step over bytes."""
        end = self.at + count
        if end > len(self.data):
            raise damaged("is damaged or cut short: its pickle ends in the middle")
        self.at = end

    def unsigned(self, count: int) -> int:
        """Read a little-endian number of so many bytes."""
        return int.from_bytes(self.take(count), "little")

    def unpack(self, form: str) -> object:
        """Read one number in a form of struct."""
        value: object = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def line(self) -> bytes:
        """Read up to the end of a line, without it."""
        start = self.at
        end = self.data.find(b"\n", start, start + _LINE)
        if end < 0:
            raise damaged("is damaged: its pickle has a line without an end")
        self.at = end + 1
        return self.data[start:end]

    def text(self, count: int) -> str:
        """Read a string of so many bytes, or the beginning of a very long one."""
        start = self.at
        self.skip(count)
        if count > _TEXT:
            return self.data[start : start + _TEXT].decode("utf-8", "replace")
        return self.data[start : self.at].decode("utf-8", "surrogatepass")

    # -------------------------------------------------------------------------------------- stack

    def pop_mark(self) -> list[object]:
        """Take everything since the last mark off the stack."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def call(self, function: object, args: object) -> object:
        """Say what a call would have made; the names of what is unknown are kept for a note."""
        made = call(function, args)
        if type(made) is Inert and len(self.unread) < 1_000:
            self.unread[made.path] = None
        return made

    def remember(self, index: int) -> None:
        """Put the top of the stack into the memo."""
        if not 0 <= index < 1 << 32:
            raise damaged("is damaged: its pickle numbers its values strangely")
        self.memo[index] = self.stack[-1]

    def persistent(self, key: object) -> object:
        """Return the storage that a persistent id names: the same record for the same key."""
        if not isinstance(key, tuple):
            raise Refused(
                "This file is of the form that torch.save wrote before 2017, or no checkpoint. "
                "Load it with an old torch and save it again."
            )
        if key and key[0] == "module" and len(key) > 1:  # whole models of the legacy format
            return key[1]
        found = storage_of(key)
        if found is not None:
            found = self.storages.setdefault(found.key, found)
            if len(key) == 6 and key[5] is not None:
                found = view_of(found, key[5])
        if found is None:
            raise damaged("is damaged: it refers to its numbers in an unknown way")
        return found
