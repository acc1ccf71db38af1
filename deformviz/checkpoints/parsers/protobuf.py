"""The wire format of protocol buffers: fields, each a number and a value or a place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .refusal import Refused, damaged
from .source import Source

_FIELDS = 200_000
"""Fields that are looked at. A network of 2,000 layers has some 30,000."""

_WINDOW = 4_096
_LONGEST_VARINT = 10
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``value`` is the number of a varint, else the length in bytes from ``at`` on."""

    number: int
    wire: int
    value: int
    at: int


class Message:
    """Reads fields through a small window; long ones, such as weights, are stepped over."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = _FIELDS
        self._base = 0
        self._window = b""

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """Yield the fields of the message between two places.

        Raises:
            Refused: they do not end where the message ends, or the file has too many.
        """
        at = start
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise Refused("This ONNX file has more parts than a network. Simplify it first.")
            tag, at = self.varint(at)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                value, behind = self.varint(at)
            elif wire == BYTES:
                value, at = self.varint(at)
                behind = at + value
            elif wire in (FIXED_32, FIXED_64):
                value = 4 if wire == FIXED_32 else 8
                behind = at + value
            else:
                raise damaged("is damaged, or no ONNX model")
            if behind > end or number == 0:
                raise damaged("is an ONNX model that is damaged or cut short")
            yield Field(number, wire, value, at)
            at = behind

    def varint(self, at: int) -> tuple[int, int]:
        """Read a number of seven bits a byte; return it and the place behind it."""
        offset = at - self._base
        if not 0 <= offset <= len(self._window) - _LONGEST_VARINT:
            self._base = at
            count = min(_WINDOW, self._source.size - at)
            if not count:
                raise damaged("is an ONNX model that is damaged or cut short")
            self._window, offset = self._source.read(at, count), 0
        if self._window[offset : offset + 1] < b"\x80":  # most have one byte
            return self._window[offset], at + 1
        value = 0
        for shift, byte in enumerate(self._window[offset : offset + _LONGEST_VARINT]):
            value |= (byte & 0x7F) << (7 * shift)
            if byte < 0x80:
                return value, at + shift + 1
        raise damaged("is an ONNX model that is damaged or cut short")

    def text(self, field: Field, longest: int) -> str:
        """Read a string; Refused where it is longer, or no text."""
        if field.wire != BYTES or field.value > longest:
            raise damaged("has a name that is no name, or is too long")
        return self._source.read(field.at, field.value).decode("utf-8")
