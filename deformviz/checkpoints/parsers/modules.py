"""The state dict of a pickled torch.nn.Module, read from what its pickle holds.

A whole-model pickle names classes of a program that is not here and must not be. But what every
module's state looks like is fixed by torch: dictionaries called ``_parameters``, ``_buffers`` and
``_modules``. They are walked as the dictionaries they are; no class is needed, none is loaded.
"""

from __future__ import annotations

from .budget import Budget
from .inert import Inert, Mapping, Tensor
from .refusal import damaged

_PARTS = ("_parameters", "_buffers", "_modules")
_DEEPEST = 60

Parts = dict[str, object]


def parts_of(value: object, budget: Budget) -> Parts | None:
    """Return the attributes of a module by name; None for anything else.

    Example:
        >>> parts_of(Inert("torch.nn.ReLU"), Budget()) is None
        True
    """
    if not isinstance(value, Inert):
        return None
    state = value.state
    if isinstance(state, tuple) and state:  # of a class with slots
        state = state[0]
    parts = {key: part for key, part in budget.pairs(state) if isinstance(key, str)}
    return parts if all(isinstance(parts.get(part), Mapping) for part in _PARTS) else None


def module_tensors(root: Parts, budget: Budget) -> dict[str, Tensor]:
    """Return what ``state_dict()`` would have, in its order.

    Raises:
        Refused: modules lie too deep in one another, or a module holds itself.
    """
    found: dict[str, Tensor] = {}
    waiting: list[tuple[str, int, Parts]] = [("", 0, root)]
    while waiting:
        prefix, depth, parts = waiting.pop()
        if depth > _DEEPEST:
            raise damaged("holds modules in modules without an end")
        for name, tensor in _own(parts, budget):
            budget.spend(1, len(prefix) + len(name))
            found[prefix + name] = tensor
        children: list[tuple[str, int, Parts]] = []
        for key, child in budget.pairs(parts["_modules"]):
            inner = parts_of(child, budget)
            if isinstance(key, str) and inner is not None:
                budget.spend(1, len(prefix) + len(key))
                children.append((f"{prefix}{key}.", depth + 1, inner))
        waiting += reversed(children)
    return found


def _own(parts: Parts, budget: Budget) -> list[tuple[str, Tensor]]:
    """The parameters and buffers of one module, without those that a state dict leaves out."""
    passing = parts.get("_non_persistent_buffers_set")
    names = passing if isinstance(passing, list) else []
    budget.spend(len(names))
    left_out = {name for name in names if isinstance(name, str)}
    pairs = budget.pairs(parts["_parameters"]) + [
        pair
        for pair in budget.pairs(parts["_buffers"])
        if not (isinstance(pair[0], str) and pair[0] in left_out)
    ]
    return [(k, v) for k, v in pairs if isinstance(k, str) and isinstance(v, Tensor)]
