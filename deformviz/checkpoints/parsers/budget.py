"""One budget for looking through the value of a pickle, however often it holds the same part."""

from __future__ import annotations

from .inert import Mapping
from .refusal import Refused

_STEPS = 1_000_000
_PER_LETTERS = 16


class Budget:
    """What a search may still look at: entries, and the letters of the names that it joins."""

    def __init__(self) -> None:
        self._left = _STEPS

    def spend(self, entries: int, letters: int = 0) -> None:
        """Pay for entries that are looked at and for letters that are joined."""
        self._left -= entries + letters // _PER_LETTERS
        if self._left < 0:
            raise Refused(
                "This file holds far more than the weights of a network, or the same ones again "
                "and again. Save the network's state_dict alone."
            )

    def pairs(self, value: object) -> list[tuple[object, object]]:
        """Return the entries of a mapping, paid for; none of anything else."""
        pairs = value.pairs if isinstance(value, Mapping) else []
        self.spend(1 + len(pairs))
        return pairs
