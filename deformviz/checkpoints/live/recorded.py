"""`Recorded`: a list of records that also knows what several of them add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from ...sampling import Sampling


class Recorded(list[Sampling]):
    """Records, and the outputs that several of them add up to.

    Attributes:
        totals: by the names of the records, in their order: [O, h, w].
    """

    def __init__(
        self,
        samplings: Sequence[Sampling] = (),
        totals: Mapping[tuple[str, ...], Tensor] | None = None,
    ) -> None:
        super().__init__(samplings)
        self.totals = dict(totals or {})


def totals_of(samplings: Sequence[Sampling]) -> Mapping[tuple[str, ...], Tensor]:
    """What several of these records add up to; empty where that is not known.

    >>> totals_of([])
    {}
    """
    return samplings.totals if isinstance(samplings, Recorded) else {}
