"""Which state dict of a file is meant: checkpoints wrap it in dictionaries of every name."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from .budget import Budget
from .inert import Inert, Mapping, Tensor
from .modules import module_tensors, parts_of
from .refusal import CONVERT, Refused, quoted

_EMA = re.compile(r"(.*[_.-])?ema([_.-].*)?", re.IGNORECASE)
_KNOWN = ["state_dict", "model_state_dict", "model_state", "model", "params", "generator", "g"]
_KNOWN += ["netg", "net_g", "net", "network", "weights", "module", "teacher", "backbone"]
_NEVER = re.compile(r"optim|lr_?sched|sched|scaler|hooks$|_metadata", re.IGNORECASE)
_DEEPEST = 4
_NESTING_COSTS = 10
_LONGEST_KEY = 100
_SHOWN_OTHERS = 20

Path = tuple[str, ...]


@dataclass
class Choice:
    """The state dict that is taken, and what is to be said about it."""

    tensors: dict[str, Tensor]
    taken: str | None
    others: list[str]
    notes: list[str] = field(default_factory=list)


@dataclass
class _Candidate:
    path: Path
    tensors: dict[str, Tensor]
    left_out: int = 0
    whole: str | None = None  # the class of a whole model

    @property
    def name(self) -> str:
        """The keys on the way, as text that can be sent: half a character cannot."""
        return ".".join(self.path).encode("utf-8", "replace").decode()

    @property
    def is_ema(self) -> bool:
        return any(_EMA.fullmatch(part) for part in self.path)


def choose(root: object, take: str | None) -> Choice:
    """Find the state dict in the value of a pickle.

    A dictionary with tensors of its own is one, unless something in it has more. Of several, an
    average of weights (EMA) comes first, as it is what a network is used with; then the names that
    wrappers usually have; then the largest. An average that covers less than half of the weights
    is none.

    Args:
        root: the value.
        take: the name of another one to take, out of ``others``.

    Raises:
        Refused: there is none, or none of that name.
    """
    candidates = list(_candidates(root))
    if not candidates:
        raise _nothing_found(root)
    chosen = _named(candidates, take) if take is not None else _best(candidates)
    others = [c.name for c in candidates if c is not chosen and c.path]
    return Choice(chosen.tensors, chosen.name or None, others[:_SHOWN_OTHERS], list(_notes(chosen)))


def _best(candidates: list[_Candidate]) -> _Candidate:
    most = max(len(c.tensors) for c in candidates)
    bare = next((c for c in candidates if not c.path), None)
    if bare is not None and len(bare.tensors) == most:
        return bare
    wrapped = [c for c in candidates if c.path]

    def rank(c: _Candidate) -> tuple[bool, int, int]:
        first = c.path[0].lower()
        known = len(_KNOWN) - _KNOWN.index(first) if first in _KNOWN else 0
        return c.is_ema and 2 * len(c.tensors) >= most, known, len(c.tensors)

    return max(wrapped, key=rank)


def _named(candidates: list[_Candidate], take: str) -> _Candidate:
    for candidate in candidates:
        if candidate.name == take:
            return candidate
    known = ", ".join(quoted(c.name) for c in candidates[:5])
    raise Refused(f"Expected one of {known}, but {quoted(take)} was asked for.")


def _notes(chosen: _Candidate) -> Iterator[str]:
    if chosen.is_ema:
        yield "EMA weights taken"
    if chosen.whole:
        shown = quoted(chosen.whole).strip('"')
        yield f"whole model {shown} read without its classes: buffers and parameters by name"
    if chosen.left_out == 1:
        yield "1 entry that is no tensor left out"
    elif chosen.left_out:
        yield f"{chosen.left_out:,} entries that are no tensors left out"


# -------------------------------------------------------------------------------------- the search


def _candidates(root: object) -> Iterator[_Candidate]:
    """Yield what holds tensors, nearest first; each value is looked at once."""
    budget = Budget()
    waiting: deque[tuple[Path, object]] = deque([((), root)])
    seen: set[int] = set()
    while waiting:
        path, value = waiting.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        parts = parts_of(value, budget)
        if parts is None:
            candidate, inside = _looked_through(path, value, budget)
            waiting.extend(inside)
        else:
            assert isinstance(value, Inert)
            candidate = _Candidate(path, module_tensors(parts, budget), whole=value.path)
        if candidate.tensors:
            yield candidate


def _looked_through(
    path: Path, value: object, budget: Budget
) -> tuple[_Candidate, list[tuple[Path, object]]]:
    """Return a dictionary or list as a candidate, and what in it is to be looked at next."""
    candidate = _Candidate(path, {})
    inside: list[tuple[Path, object]] = []
    for key, item in _entries(value, budget):
        if not isinstance(key, str | int):
            candidate.left_out += 1
        elif isinstance(item, Tensor):
            candidate.tensors[str(key)] = item
        else:
            candidate.left_out += 1
            name = str(key)[:_LONGEST_KEY]
            nests = isinstance(item, Mapping | Inert | list | tuple) and len(path) < _DEEPEST
            if nests and not _NEVER.search(name):
                budget.spend(_NESTING_COSTS)
                inside.append(((*path, name), item))
    return candidate, inside


def _entries(value: object, budget: Budget) -> Iterator[tuple[object, object]]:
    if isinstance(value, Mapping):
        yield from budget.pairs(value)
    elif isinstance(value, list | tuple):
        budget.spend(len(value))
        yield from enumerate(value)
    elif isinstance(value, Inert):
        pairs, elements = value.pairs or [], value.elements or []
        budget.spend(len(pairs) + len(elements))
        yield from pairs
        yield from enumerate(elements)
        yield from budget.pairs(value.state)


def _nothing_found(root: object) -> Refused:
    if not isinstance(root, Inert):
        return Refused("This file holds no state dict: no names with tensors. Save one instead.")
    last = root.path.rpartition(".")[2]
    if not last[:1].isupper():  # a function, by the custom of naming: no model, and no advice
        return Refused(
            f"This file holds no weights but a call of {quoted(root.path)}, which was not made. "
            "Do not open it with torch.load; ask its author for safetensors."
        )
    return Refused(
        f"This file holds an object of the class {quoted(root.path)}, which is not loaded, as "
        f"loading one runs its program. {CONVERT}"
    )
