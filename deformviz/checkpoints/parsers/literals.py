"""The operations of pickle that push a plain value: numbers, strings, and bytes, left unread."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from .inert import OPAQUE
from .machine import Machine

_LONGEST_INTEGER = 16  # bytes; longer ones are states of random generators, and cost to convert
_LONGEST_LINE = 40  # the same, in digits

Operation = Callable[[Machine], None]


def push(value: object) -> Operation:
    """One value that is always the same."""
    return lambda m: m.stack.append(value)


def new(make: Callable[[], object]) -> Operation:
    """A container of its own."""
    return lambda m: m.stack.append(make())


def unsigned(count: int) -> Operation:
    """A number of so many bytes."""
    return lambda m: m.stack.append(m.unsigned(count))


def number(form: str) -> Operation:
    """A number in a form of struct."""
    return lambda m: m.stack.append(m.unpack(form))


def text(count: int) -> Operation:
    """A string; of Python 2's byte strings, some are no text, and then they name nothing."""

    def operation(m: Machine) -> None:
        try:
            m.stack.append(m.text(m.unsigned(count)))
        except UnicodeDecodeError:
            m.stack.append(OPAQUE)

    return operation


def skipped(count: int) -> Operation:
    """Bytes: no list of tensors needs them."""

    def operation(m: Machine) -> None:
        m.skip(m.unsigned(count))
        m.stack.append(OPAQUE)

    return operation


def long(count: int) -> Operation:
    """A number of any length; the length stands before it."""

    def operation(m: Machine) -> None:
        size = m.unsigned(count)
        if size > _LONGEST_INTEGER:
            m.skip(size)
            m.stack.append(OPAQUE)
        else:
            m.stack.append(int.from_bytes(m.take(size), "little", signed=True))

    return operation


def integer_line(m: Machine) -> None:
    """A number or a truth value in digits."""
    line = m.line().removesuffix(b"L")
    if line in (b"00", b"01"):
        m.stack.append(line == b"01")
    else:
        m.stack.append(int(line) if len(line) <= _LONGEST_LINE else OPAQUE)


def float_line(m: Machine) -> None:
    """A number with a point, in digits."""
    m.stack.append(float(m.line()))


def string_line(m: Machine) -> None:
    """A string of Python 2, in quotes."""
    raw, _ = codecs.escape_decode(m.line()[1:-1])
    m.stack.append(raw.decode("utf-8", "replace"))


def unicode_line(m: Machine) -> None:
    """A string with escapes, without quotes."""
    text, _ = codecs.raw_unicode_escape_decode(m.line())
    m.stack.append(text)
