"""Conditions: what a file may ask for, and what is said of what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from deformviz.lessons import with_numbers
from deformviz.lessons.conditions import CONDITIONS, read_condition

GOOD: list[dict[str, Any]] = [
    {"kind": "position", "y": [1, 4], "x": 3, "within": 1, "pinned": False},
    {"kind": "tap", "tap": 4},
    {"kind": "tap moved", "tap": 4, "dy": -1.5, "dx": 0, "within": 0.3},
    {"kind": "tap at", "tap": 0, "y": "py", "x": 12, "within": 0.5},
    {"kind": "term", "tap": 0, "part": "mask", "is": 0, "within": 0.1},
    {"kind": "sum", "is": "py", "within": 0},
    {"kind": "shows", "name": "over", "is": "mask", "within": 0},
    {"kind": "number", "is": 0.25, "within": 0.01},
    {"kind": "choice", "options": ["dy", {"en": "both", "zh": "都是"}], "right": 1},
    {"kind": "control", "name": "dilation", "is": 4, "within": 0},
]


def test_every_kind_is_read() -> None:
    assert [value["kind"] for value in GOOD] == list(CONDITIONS)
    for value in GOOD:
        read = read_condition(value, {"py": "point y 0"})
        assert read.keys() == {"kind", *CONDITIONS[value["kind"]]}
        for name in value.keys() - {"y", "x", "options"}:
            assert read[name] == value[name]


def test_a_number_alone_is_a_range_of_one() -> None:
    read = read_condition({"kind": "position", "y": 3, "x": [4, "a"]}, {"a": "x"})
    assert (read["y"], read["x"]) == ([3, 3], [4, "a"])
    assert with_numbers(read, {"a": 9.0})["x"] == [4, 9.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "done must have a kind of position, tap, "),
        ({"kind": "eval"}, "done must have a kind of position, tap, "),
        ({"kind": ["tap"]}, "done must have a kind of position, tap, "),
        ({"kind": "tap"}, "done of kind 'tap' needs 'tap'"),
        ({"kind": "tap", "tap": 1, "name": 2}, "done of kind 'tap' has tap; got 'name'"),
        ({"kind": "tap", "tap": -1}, "done's 'tap': expected the number of a tap, got -1"),
        ({"kind": "tap", "tap": True}, "done's 'tap': expected the number of a tap, got True"),
        ({"kind": "sum", "is": "total"}, "done's 'is': 'total' names no number of this step"),
        ({"kind": "sum", "is": float("nan")}, "done's 'is': expected a number or the name of one"),
        ({"kind": "sum", "is": 0, "within": -1}, "done's 'within': expected a number of 0 or more"),
        ({"kind": "position", "y": [1, 2, 3], "x": 0}, "done's 'y': expected a number, or"),
        ({"kind": "term", "tap": 0, "part": "x", "is": 0}, "done's 'part': expected one of dy, dx"),
        ({"kind": "shows", "name": "zoom", "is": 1}, "done's 'name': expected one of over, "),
        ({"kind": "shows", "name": "over", "is": "all"}, "done's 'is': over must be one of none"),
        ({"kind": "shows", "name": "morph", "is": 2}, "done's 'is': morph must be between 0 and 1"),
        ({"kind": "choice", "options": ["a"], "right": 0}, "expected 2 to 8 answers"),
        ({"kind": "choice", "options": ["a", 2], "right": 0}, "expected a text, or one for each"),
        ({"kind": "choice", "options": ["a", "b"], "right": 2}, "done's 'right' must be 0 to 1"),
        ({"kind": "control", "name": 3, "is": 1}, "expected the name of a control, got 3"),
        ({"kind": "control", "name": "a", "is": [1]}, "expected a text, a number, true or false"),
    ],
)
def test_what_makes_no_sense_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match="^" + _escaped(message)):
        read_condition(value, {})


def _escaped(message: str) -> str:
    import re

    if message.startswith("expected"):
        return ".*" + re.escape(message)
    return re.escape(message)
