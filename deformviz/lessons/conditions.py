"""How the app knows that a task is done: a closed set of conditions, evaluated in the browser.

A number may be the name of one of the step's numbers, in quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..viewer import ViewState
from ..viewer.state import short

SHOWN = (
    "over", "arrows", "tap", "group", "output_channel", "input_channel", "morph", "layer",
    "about", "quantity", "finding", "bar_tap", "follow", "points", "pinned",
)  # fmt: skip
"""What of the viewer's state a condition may ask for, see `deformviz.viewer.ViewState`."""

PARTS = ("dy", "dx", "value", "mask", "weight", "product")
"""Of a term, what a condition may ask for."""

Numbers = Mapping[str, Any]
Text = dict[str, str]
Reader = Callable[[object, Numbers], Any]


def read_text(value: object, _: Numbers | None = None) -> Text:
    """A text by language, or one for all of them.

    Raises:
        ValueError: neither.

    Example:
        >>> read_text("9 taps")
        {'en': '9 taps'}
    """
    if isinstance(value, str):
        value = {"en": value}
    ours = isinstance(value, dict) and value and set(value) <= {"en", "zh"}
    if not ours or not all(isinstance(text, str) and text.strip() for text in value.values()):  # type: ignore[attr-defined]
        raise ValueError(f"expected a text, or one for each of en and zh, got {short(value)}")
    return value  # type: ignore[return-value]


def _number(value: object, numbers: Numbers) -> float | str:
    if isinstance(value, str):
        if value not in numbers:
            known = ", ".join(numbers) or "none"
            raise ValueError(f"{short(value)} names no number of this step, which has: {known}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise ValueError(f"expected a number or the name of one, got {short(value)}")
    return value


def _within(value: object, _: Numbers) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f"expected a number of 0 or more, got {short(value)}")
    return value


def _tap(value: object, _: Numbers) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 121 * 64:
        raise ValueError(f"expected the number of a tap, got {short(value)}")
    return value


def _range(value: object, numbers: Numbers) -> list[float | str]:
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) != 2:
        raise ValueError(f"expected a number, or [lowest, highest], got {short(value)}")
    return [_number(end, numbers) for end in ends]


def _switch(value: object, _: Numbers) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {short(value)}")
    return value


def _shown(value: object, _: Numbers) -> str:
    if value not in SHOWN:
        raise ValueError(f"expected one of {', '.join(SHOWN)}, got {short(value)}")
    return str(value)


def _part(value: object, _: Numbers) -> str:
    if value not in PARTS:
        raise ValueError(f"expected one of {', '.join(PARTS)}, got {short(value)}")
    return str(value)


def _plain(value: object, _: Numbers) -> Any:  # noqa: ANN401
    if not isinstance(value, str | bool | int | float):
        raise ValueError(f"expected a text, a number, true or false, got {short(value)}")
    return value


def _name(value: object, _: Numbers) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected the name of a control, got {short(value)}")
    return value


def _options(value: object, _: Numbers) -> list[Text]:
    if not isinstance(value, list) or not 2 <= len(value) <= 8:
        raise ValueError(f"expected 2 to 8 answers to choose from, got {short(value)}")
    return [read_text(option) for option in value]


_NEEDED = object()

CONDITIONS: dict[str, dict[str, tuple[Reader, Any]]] = {
    "position": {"y": (_range, _NEEDED), "x": (_range, _NEEDED), "within": (_within, 0),
                 "pinned": (_switch, True)},
    "tap": {"tap": (_tap, _NEEDED)},
    "tap moved": {"tap": (_tap, _NEEDED), "dy": (_number, _NEEDED), "dx": (_number, _NEEDED),
                  "within": (_within, 0.5)},
    "tap at": {"tap": (_tap, _NEEDED), "y": (_number, _NEEDED), "x": (_number, _NEEDED),
               "within": (_within, 0.5)},
    "term": {"tap": (_tap, _NEEDED), "part": (_part, _NEEDED), "is": (_number, _NEEDED),
             "within": (_within, 0.01)},
    "sum": {"is": (_number, _NEEDED), "within": (_within, 0.01)},
    "shows": {"name": (_shown, _NEEDED), "is": (_plain, _NEEDED), "within": (_within, 0)},
    "number": {"is": (_number, _NEEDED), "within": (_within, 0.01)},
    "choice": {"options": (_options, _NEEDED), "right": (_tap, _NEEDED)},
    "control": {"name": (_name, _NEEDED), "is": (_plain, _NEEDED), "within": (_within, 0)},
}  # fmt: skip
"""The kinds, and of each its fields: how they are read, and what they are where they are missing.

position   the pin lies in a box of output positions; y and x are a number or [lowest, highest]
tap        a tap is pointed at, or chosen by [ and ]
tap moved  a tap lies (dy, dx) from its regular place, by hand or by its offset
tap at     a tap lies at a place of the map
term       at the pin, a part of a tap's term is a number: dy, dx, value, mask, weight, product
sum        the formula's sum is a number
shows      the viewer's state has a value: which overlay, layer, morph, quantity, …
number     a number was typed
choice     the right one of several answers was chosen, counted from 0
control    one of the step's controls has a value, as a link has it
"""


def read_condition(value: object, numbers: Numbers) -> dict[str, Any]:
    """A condition with all its fields.

    Args:
        value: the table of a file.
        numbers: those of the step, by name.

    Raises:
        ValueError: an unknown kind or field, one that is missing, or one that makes no sense.

    Example:
        >>> read_condition({"kind": "sum", "is": 0}, {})
        {'kind': 'sum', 'is': 0, 'within': 0.01}
    """
    if not isinstance(value, dict) or value.get("kind") not in list(CONDITIONS):
        raise ValueError(f"done must have a kind of {', '.join(CONDITIONS)}; got {short(value)}")
    kind = value["kind"]
    fields = CONDITIONS[kind]
    if unknown := value.keys() - fields.keys() - {"kind"}:
        raise ValueError(
            f"done of kind {kind!r} has {', '.join(fields)}; got {sorted(unknown)[0]!r}"
        )
    condition = {"kind": kind}
    for name, (reader, default) in fields.items():
        if name not in value and default is _NEEDED:
            raise ValueError(f"done of kind {kind!r} needs {name!r}")
        try:
            condition[name] = reader(value[name], numbers) if name in value else default
        except ValueError as error:
            raise ValueError(f"done's {name!r}: {error}") from None
    _check_together(condition)
    return condition


def _check_together(condition: Mapping[str, Any]) -> None:
    """What its fields must be together."""
    if condition["kind"] == "choice" and condition["right"] >= len(condition["options"]):
        count = len(condition["options"])
        raise ValueError(f"done's 'right' must be 0 to {count - 1}, got {condition['right']}")
    if condition["kind"] == "shows":
        try:
            ViewState(**{condition["name"]: condition["is"]})
        except ValueError as error:
            raise ValueError(f"done's 'is': {error}") from None


def with_numbers(condition: Mapping[str, Any], numbers: Mapping[str, float]) -> dict[str, Any]:
    """The condition with numbers in the place of their names.

    >>> with_numbers({"kind": "sum", "is": "total"}, {"total": 0.5})
    {'kind': 'sum', 'is': 0.5}
    """
    named = CONDITIONS[condition["kind"]]

    def of(value: object) -> object:
        return numbers[value] if isinstance(value, str) else value

    def resolved(name: str, value: Any) -> Any:  # noqa: ANN401
        if name in named and named[name][0] is _number:
            return of(value)
        return [of(end) for end in value] if name in named and named[name][0] is _range else value

    return {name: resolved(name, value) for name, value in condition.items()}
