"""The page's address is its state: what to run, and what the viewer shows of it.

A link can come from anyone. Each value is read by itself, checked by the rules of a run, and left
out with a sentence where it does not pass: one bad value does not cost the others, and whatever
the query holds, the page opens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_type_hints
from urllib.parse import parse_qsl

from .. import examples
from ..explore import OPERATORS, Settings, depends_on
from ..viewer import ViewState
from ..viewer.state import as_text, read_number, read_switch, read_whole, short
from .asked import Asked, whole

MIN_SIDE, MAX_SIDE, SIDE_STEP = 32, 1024, 32
"""Working sizes: pixels on the image's longer side."""

MAX_LENGTH = 4000
"""Characters of a query's names and values: the page itself writes less than half."""

MAX_PROBLEMS = 5
"""Sentences on what was refused; of more, only how many."""

_MAX_FIELDS = 64
_KERNEL = re.compile("([0-9]{1,2})x([0-9]{1,2})")
_DEFAULT_STRENGTH = "default"


@dataclass(frozen=True)
class Link:
    """What a link asks for.

    Attributes:
        asked: what to run.
        state: what the viewer opens with.
        kept: the view kept beside it for a comparison; it keeps none itself.
        problems: a sentence for each value that was refused, the kept view's included.
    """

    asked: Asked
    state: ViewState
    kept: Link | None
    problems: tuple[str, ...]


def to_query(asked: Asked) -> dict[str, str]:
    """The run's part of a link: the inverse of `from_query`, for what the operator depends on.

    A person's own photo is not part of it: the link's image is then that of whoever opens it.

    Args:
        asked: what a run has taken.

    Example:
        >>> query = to_query(replace(first, operator="CycleFC", kernel_width=5))
        >>> " ".join(query), query["kernel"]
        ('operator kernel image side stride seed', '3x5')
    """
    settings = asked.settings
    height, width = settings.kernel_size
    query = {"operator": settings.operator, "kernel": f"{height}x{width}"}
    if not asked.photo:
        query["image"] = asked.example
    query["side"] = str(whole("working size", asked.side))
    for name in (*depends_on(settings), "seed"):
        value = getattr(settings, name)
        unset = name == "strength" and value is None
        query[name] = _DEFAULT_STRENGTH if unset else as_text(value)
    return query


def from_query(query: Mapping[str, str], first: Asked) -> Link:
    """Read a link's query, whatever it holds.

    Names that are not ours are left alone: Gradio and others have their own.

    Args:
        query: names and decoded values.
        first: stands in for whatever is missing or refused. The strength is in its field's own
            unit: under another field than `first`'s it is that field's default, and so is one
            beyond the field's maximum.

    Example:
        >>> link = from_query({"stride": "2", "seed": "x", "tap": "4", "utm_source": "mail"}, first)
        >>> link.asked.stride, link.asked.seed, link.state.tap
        (2, 0, 4)
        >>> link.problems
        ("the link's seed was left out: expected a whole number, got 'x'",)
    """
    if sum(len(name) + len(text) for name, text in query.items()) > MAX_LENGTH:
        problem = f"the link was left out: it is longer than {MAX_LENGTH} characters"
        return Link(first, ViewState(), None, (problem,))
    asked, state, problems = _read(query, first)
    kept = None
    if "compare" in query:
        kept, told = _read_kept(query["compare"], first)
        problems += told
    return Link(asked, state, kept, _shortened(problems))


def _read_kept(text: str, first: Asked) -> tuple[Link | None, list[str]]:
    """The kept view and what to say of it; none where nothing in `text` is ours."""
    try:
        query = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:  # more fields than that
        query = {}
    if not query.keys() & (_READERS.keys() | ViewState.__dataclass_fields__.keys()):
        expected = "expected the query of the view to compare with"
        return None, [f"the link's compare was left out: {expected}, got {short(text)}"]
    asked, state, problems = _read(query, first)
    told = [f"in the view to compare with, {problem}" for problem in problems]
    return Link(asked, state, None, _shortened(problems)), told


def _read(query: Mapping[str, str], first: Asked) -> tuple[Asked, ViewState, list[str]]:
    """One view's own part of a query, and a sentence for each value that was refused."""
    changes: dict[str, Any] = {}
    problems = []
    for name, reader in _READERS.items():
        if name in query:
            try:
                changes |= reader(query[name])
            except ValueError as error:
                problems.append(f"the link's {name} was left out: {error}")
    asked = replace(first, **{"strength": _first_strength(changes, first)} | changes)
    try:
        _check(field=asked.field, strength=asked.strength)
    except ValueError as error:
        problems.append(f"the link's strength was left out: {error}")
        asked = replace(asked, strength=None)
    state, refused = ViewState.from_query(query)
    return asked, state, problems + refused


def _first_strength(changes: Mapping[str, Any], first: Asked) -> float | None:
    """None under another field: so many pixels are not so many degrees."""
    return first.strength if changes.get("field", first.field) == first.field else None


def _shortened(problems: Sequence[str]) -> tuple[str, ...]:
    more = len(problems) - MAX_PROBLEMS
    return (*problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else []))


# Values: each reader gives the fields of `Asked` that it sets, or says what it expected.


def _check(**settings: Any) -> None:  # noqa: ANN401
    """Refuse what no run takes; the message has room for a short value only."""
    try:
        Settings(**settings)
    except ValueError as error:
        message = str(error)
        for value in settings.values():
            message = message.replace(repr(value), short(value))
        raise ValueError(message) from None


def _setting(name: str, read: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    """The reader of a setting that can be checked by itself."""

    def reader(text: str) -> dict[str, Any]:
        value = read(text)
        _check(**{name: value})
        return {name: value}

    return reader


def _one_of(text: str, names: Sequence[str]) -> str:
    if text not in names:
        raise ValueError(f"expected one of {', '.join(names)}; got {short(text)}")
    return text


def _read_operator(text: str) -> dict[str, Any]:
    return {"operator": _one_of(text, list(OPERATORS))}


def _read_kernel(text: str) -> dict[str, Any]:
    found = _KERNEL.fullmatch(text)
    if found is None:
        raise ValueError(f"expected height x width, such as 3x5, got {short(text)}")
    height, width = map(int, found.groups())
    _check(kernel_size=(height, width))
    return {"kernel_height": height, "kernel_width": width}


def _read_image(text: str) -> dict[str, Any]:
    return {"photo": None, "example": _one_of(text, examples.names())}


def _read_side(text: str) -> dict[str, Any]:
    side = read_whole(text)
    if not MIN_SIDE <= side <= MAX_SIDE or side % SIDE_STEP:
        expected = f"expected a multiple of {SIDE_STEP} from {MIN_SIDE} to {MAX_SIDE}"
        raise ValueError(f"{expected}, got {side}")
    return {"side": side}


def _read_strength(text: str) -> dict[str, Any]:
    """Checked later, together with its field."""
    return {"strength": None if text == _DEFAULT_STRENGTH else read_number(text)}


_BY_KIND: dict[Any, Callable[[str], Any]] = {
    int: read_whole, float: read_number, bool: read_switch
}  # fmt: skip

_READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "operator": _read_operator,
    "kernel": _read_kernel,
    "image": _read_image,
    "side": _read_side,
    "strength": _read_strength,
    **{
        name: _setting(name, _BY_KIND.get(kind, str))
        for name, kind in get_type_hints(Settings).items()
        if name not in ("operator", "kernel_size", "strength")
    },
}
