"""What a parser found: a list of tensors, each with its place in the file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

from .dtypes import BYTES
from .limits import Limits
from .refusal import Refused, damaged, quoted

_MAX_DIMENSIONS = 16
_MAX_ELEMENTS = 1 << 48
_PREFIXES = ("module.", "_orig_mod.")
_MAX_NAMES = 4 << 20  # characters of all names together


@dataclass(frozen=True, slots=True)
class Found:
    """One tensor: element (i, j, …) lies ``i * stride[0] + j * stride[1] + …`` elements after at.

    Attributes:
        name: as in the file.
        dtype: torch's name of the type.
        shape: sizes.
        stride: in elements; None where the elements lie in order without gaps.
        at: byte of the file at which the first element begins.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...] | None
    at: int

    def row(self) -> list[object]:
        """As JSON has it."""
        stride = None if self.stride is None else list(self.stride)
        return [self.name, self.dtype, list(self.shape), stride, self.at]


@dataclass
class Listing:
    """All that the child says of a file."""

    kind: str
    found: list[Found]
    taken: str | None = None
    others: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def checked(self, limits: Limits) -> Listing:
        """Refuse too many tensors, none at all, and names that cannot be names; strip prefixes."""
        if not self.found:
            raise Refused("This file holds no tensors with names. Choose the one with the weights.")
        check_count(len(self.found), limits)
        for found in self.found:
            _check_name(found.name, limits)
        if sum(len(found.name) for found in self.found) > _MAX_NAMES:
            raise Refused("The names of this file's tensors fill megabytes. Shorten them first.")
        self._strip()
        return self

    def _strip(self) -> None:
        """Take off what DataParallel and torch.compile put before every name.

        An average of weights counts its steps beside its ``module.``, so that most names must have
        the prefix, not all. Two names never become one.
        """
        for prefix in _PREFIXES * 2:  # in either order
            having = sum(found.name.startswith(prefix) for found in self.found)
            short = [found.name.removeprefix(prefix) for found in self.found]
            if 2 * having > len(short) and len(set(short)) == len(short) and "" not in short:
                pairs = zip(self.found, short, strict=True)
                self.found = [replace(found, name=name) for found, name in pairs]
                self.notes.append(f'the prefix "{prefix}" taken off the names')


def check_count(count: int, limits: Limits) -> None:
    """Refuse a file with more tensors than the limit."""
    if count > limits.tensors:
        raise Refused(
            f"Expected at most {limits.tensors:,} tensors, but this file lists more. "
            "Save the network's state_dict alone."
        )


def _check_name(name: str, limits: Limits) -> None:
    """Refuse a name that is too long or is no text. Any other is data, however odd it looks."""
    if len(name) > limits.name_length:
        raise Refused(
            f"Expected names of at most {limits.name_length:,} characters, but this file has a "
            f"tensor called {quoted(name)} with more. Rename it first."
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise damaged("names a tensor by something that is no text") from None


def checked_shape(shape: object) -> tuple[int, ...]:
    """Sizes that can be sizes: few, whole, not negative, and with a product that is no joke."""
    if not isinstance(shape, list | tuple) or len(shape) > _MAX_DIMENSIONS:
        raise damaged(f"has a tensor whose shape is no list of at most {_MAX_DIMENSIONS} sizes")
    if not all(type(size) is int and 0 <= size <= _MAX_ELEMENTS for size in shape):
        raise damaged("has a tensor with an impossible size")
    if prod(max(size, 1) for size in shape) > _MAX_ELEMENTS:
        raise damaged("has a tensor that no computer could hold")
    return tuple(shape)


def packed_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor whose elements lie in order without gaps."""
    return prod(shape) * BYTES[dtype]
