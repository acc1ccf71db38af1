"""Sums of floating-point numbers without rounding, so that no order of adding them matters.

A float64 is a whole number times a power of two. Sums are kept as whole numbers of one such power,
which Python has of any size: to add is exact, and what two machines added up is added up the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from torch import Tensor

_UNIT = 1074
"""All float64 are whole multiples of 2**-1074."""


class ExactSums:
    """A row of sums that start at zero.

    Example:
        >>> a, b = ExactSums(1), ExactSums(1)
        >>> a.add([1e16]), b.add([1.0]), b.add([-1e16])
        (None, None, None)
        >>> a.merge(b)
        >>> a.floats()  # in float64, 1e16 + 1 - 1e16 is 0
        [1.0]
    """

    def __init__(self, count: int) -> None:
        self._units = [0] * count

    def __len__(self) -> int:
        return len(self._units)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExactSums) and self._units == other._units

    __hash__ = None  # type: ignore[assignment]

    def add(self, numbers: Tensor | Sequence[float]) -> None:
        """Add a number to each sum.

        Raises:
            ValueError: a number that is not finite, or not as many as there are sums.
        """
        values = numbers.tolist() if isinstance(numbers, Tensor) else numbers
        added = [_units(value) for value in values]
        self._units = [a + b for a, b in zip(self._units, added, strict=True)]

    def merge(self, other: ExactSums) -> None:
        """Add another row to this one."""
        self._units = [a + b for a, b in zip(self._units, other._units, strict=True)]

    def floats(self) -> list[float]:
        """The sums, each rounded once."""
        return [_float(units) for units in self._units]

    def texts(self) -> list[str]:
        """Each as a short text, for JSON.

        >>> sums = ExactSums(1)
        >>> sums.add([0.75])
        >>> sums.texts()
        ['3p-2']
        """
        return [_text(units) for units in self._units]

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> ExactSums:
        """What `texts` wrote.

        Raises:
            ValueError: something else.
        """
        sums = cls(0)
        sums._units = [_of_text(text) for text in texts]
        return sums


def _units(value: float) -> int:
    try:
        numerator, denominator = value.as_integer_ratio()
    except (OverflowError, ValueError):
        raise ValueError(f"only finite numbers can be added up, got {value}") from None
    return numerator << (_UNIT - denominator.bit_length() + 1)


def _float(units: int) -> float:
    try:
        return units / (1 << _UNIT)
    except OverflowError:
        return math.inf if units > 0 else -math.inf


def _text(units: int) -> str:
    """Hexadecimal digits, and the power of two that they count."""
    zeros = (units & -units).bit_length() - 1 if units else _UNIT
    return f"{units >> zeros:x}p{zeros - _UNIT}"


def _of_text(text: str) -> int:
    digits, _, power = text.partition("p")
    shift = int(power) + _UNIT
    if not 0 <= shift <= 4 * _UNIT or len(digits) > 4 * _UNIT:
        raise ValueError(f"{text[:40]!r} is no sum")
    return int(digits, 16) << shift
