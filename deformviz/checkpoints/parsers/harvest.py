"""From the value of a pickle to a listing: each tensor's view of its storage is checked."""

from __future__ import annotations

from math import prod

from .dtypes import BYTES
from .inert import Tensor
from .limits import Limits
from .listing import Found, Listing, check_count, checked_shape
from .machine import Machine
from .refusal import Refused, damaged, quoted
from .wrappers import choose

Places = dict[str, tuple[int, int]]
"""Of each storage: the byte of the file at which it begins, and how many bytes it truly has."""

_SHOWN_CLASSES = 3
_FARTHEST = 1 << 56


def harvest(
    kind: str, value: object, machine: Machine, places: Places, limits: Limits, take: str | None
) -> Listing:
    """List the tensors of the state dict in a value.

    Raises:
        Refused: there is none, or one of its tensors reaches out of its storage.
    """
    choice = choose(value, take)
    check_count(len(choice.tensors), limits)
    found = [_located(name, tensor, places) for name, tensor in choice.tensors.items()]
    notes = list(choice.notes)
    if machine.unread:
        notes.append(_unread_note(list(machine.unread)))
    return Listing(kind, found, choice.taken, choice.others, notes)


def _unread_note(paths: list[str]) -> str:
    more = "" if len(paths) <= _SHOWN_CLASSES else f" and {len(paths) - _SHOWN_CLASSES} more"
    shown = ", ".join(quoted(path).strip('"') for path in paths[:_SHOWN_CLASSES])
    return f"Python objects left unread: {shown}{more}"


def _located(name: str, tensor: Tensor, places: Places) -> Found:
    """Check a view against the numbers that the file truly has.

    torch itself does not: a shape whose strides are 0 makes 10 GB of one number.
    """
    shape, size = checked_shape(tensor.shape), BYTES[tensor.dtype]
    stride, offset = _steps(name, tensor, len(shape))
    start, elements = _storage(name, tensor, places)
    if 0 in shape:
        return Found(name, tensor.dtype, shape, None, 0)
    if any(n > 1 and step == 0 for n, step in zip(shape, stride, strict=True)):
        raise _expanded(name)
    if offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) >= elements:
        raise damaged(f"has a tensor, {quoted(name)}, that reaches out of its numbers")
    if prod(shape) > elements:
        raise _expanded(name)
    return Found(name, tensor.dtype, shape, _unpacked(shape, stride), start + offset * size)


def _steps(name: str, tensor: Tensor, dimensions: int) -> tuple[tuple[int, ...], int]:
    """Strides and offset, in elements."""
    stride, offset = tensor.stride, tensor.offset
    if not isinstance(stride, tuple) or len(stride) != dimensions:
        raise damaged(f"has no strides that fit the shape of {quoted(name)}")
    if not all(type(step) is int and 0 <= step <= _FARTHEST for step in stride):
        raise damaged(f"has impossible strides for {quoted(name)}")
    if type(offset) is not int or not 0 <= offset <= _FARTHEST:
        raise damaged(f"has an impossible offset for {quoted(name)}")
    return stride, offset


def _storage(name: str, tensor: Tensor, places: Places) -> tuple[int, int]:
    """Where a tensor's numbers begin in the file, and how many of its type there are."""
    storage = tensor.storage
    place = places.get(storage.key)
    if place is None:
        raise damaged(f"lacks the numbers of {quoted(name)}")
    at, size = place
    first = storage.first * storage.item_bytes
    available = min(size - first, storage.view * storage.item_bytes)
    return at + first, max(available, 0) // BYTES[tensor.dtype]


def _unpacked(shape: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...] | None:
    """None for elements in order without gaps, else the strides; of a size 1 they say nothing."""
    step = 1
    for n, given in zip(reversed(shape), reversed(stride), strict=True):
        if n > 1 and given != step:
            return stride
        step *= n
    return None


def _expanded(name: str) -> Refused:
    return Refused(
        f"This file's {quoted(name)} is an expanded tensor: few numbers that claim to be many. "
        "Call .contiguous() on it and save again."
    )
