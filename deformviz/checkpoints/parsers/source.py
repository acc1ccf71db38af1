"""The file, read at stated places and in stated amounts."""

from __future__ import annotations

import os

from .refusal import damaged


class Source:
    """An open regular file. It never hands out fewer bytes than were asked for."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, at: int, count: int) -> bytes:
        """Read ``count`` bytes from offset ``at``; Refused where the file does not reach so far."""
        if at < 0 or count < 0 or at + count > self.size:
            raise damaged("is damaged or cut short: it refers to bytes beyond its end")
        os.lseek(self._descriptor, at, os.SEEK_SET)  # os.pread is missing on Windows
        parts: list[bytes] = []
        while count:
            part = os.read(self._descriptor, count)
            if not part:
                raise damaged("became shorter while it was read")
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
