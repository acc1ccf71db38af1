"""Findings are about one offset group, or about the layer where all groups have them."""

from __future__ import annotations

from torch import Tensor


def groups_of(hit: Tensor) -> list[int | None]:
    """Which groups [G] bool a finding is about; [None] for all of them.

    >>> import torch
    >>> groups_of(torch.tensor([True, False, True])), groups_of(torch.tensor([True]))
    ([0, 2], [None])
    """
    if bool(hit.all()):
        return [None]
    return [int(group) for group in hit.nonzero().flatten()]


def pick(values: Tensor, group: int | None) -> Tensor:
    """The values [G, ...] of one group, or of all: [1, ...] or [G, ...]."""
    return values if group is None else values[group : group + 1]


def said(group: int | None, sentence: str) -> str:
    """The sentence, with the group that it is about.

    >>> said(3, "The taps fall together.")
    'In group 3, the taps fall together.'
    """
    return sentence if group is None else f"In group {group}, {sentence[0].lower()}{sentence[1:]}"


def percent(share: float) -> str:
    """A share for a person.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{100 * share:.3g} %"
