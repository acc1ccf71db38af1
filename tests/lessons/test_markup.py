"""The light markup: what each mark becomes, and that nothing else is read as one."""

from __future__ import annotations

from typing import Any

import pytest

from deformviz.lessons import blocks, fill
from deformviz.lessons.markup import check_text, written


def parts(text: str) -> list[dict[str, Any]]:
    (block,) = blocks(text)
    return list(block["parts"])


def test_paragraphs_and_lists() -> None:
    found = blocks("One\nand two.\n\n- first\n- second\n\nLast.")
    texts = ["".join(part["text"] for part in block["parts"]) for block in found]
    assert texts == ["One and two.", "first", "second", "Last."]
    assert [block["item"] for block in found] == [False, True, True, False]


def test_lines_of_chinese_are_joined_without_a_space() -> None:
    assert parts("卷积核\n移动，\n采样点 dy\n向下")[0]["text"] == "卷积核移动，采样点 dy 向下"


def test_marks() -> None:
    assert parts("a **b `c`** [d e](light:tap=4).") == [
        {"text": "a "},
        {"text": "b ", "bold": True},
        {"text": "c", "bold": True, "code": True},
        {"text": " "},
        {"text": "d e", "light": ["tap", "4"]},
        {"text": "."},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "&lt;b&gt; and &amp;",
        "[link] (http://example.org)",
        "a * b _ c # d",
        "x[:, :c, 1:] = x[:, :c, :-1]",
    ],
)
def test_all_else_is_the_characters_it_is(text: str) -> None:
    assert parts(text) == [{"text": text}]


@pytest.mark.parametrize(
    "target",
    [
        "light:output",
        "light:more",
        "light:tap=0",
        "light:overlay=field colours",
        "light:morph=1",
        "light:control=morph",
    ],
)
def test_lights(target: str) -> None:
    (part,) = parts(f"[words]({target})")
    assert "=".join(each for each in part["light"] if each) == target.removeprefix("light:")


@pytest.mark.parametrize(
    "target",
    [
        "light:tap=x",
        "light:tap=-1",
        "light:tap",
        "light:output=1",
        "light:overlay=colours",
        "light:morph=0.5",
        "light:control=innerHTML",
        "light:body",
        "tap=4",
        "javascript:alert",
        "http://example.org",
        "",
    ],
)
def test_other_targets_are_refused(target: str) -> None:
    with pytest.raises(ValueError, match="a light must be"):
        blocks(f"[words]({target})")


@pytest.mark.parametrize("text", ["a **b", "`c", "a {b", "b} c", "{Name}", "{a.b}"])
def test_marks_that_are_not_closed_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not closed|stands alone"):
        check_text(text, {})


def test_numbers_take_their_names_places() -> None:
    assert fill("{a} {b:3} {b:0} {a:1}", {"a": 2.0, "b": -1.23456}) == "2 −1.235 −1 2.0"


def test_an_unknown_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\{c\} names no number of this step, which has: a, b"):
        check_text("{a} {c}", {"a": "", "b": ""})


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (18.0, None, "18"),
        (-3.0, None, "−3"),
        (0.125, None, "0.12"),
        (-0.004, "2", "0.00"),
        (2.5, "0", "2"),
        (1e6, None, "1000000"),
    ],
)
def test_written(value: float, digits: str | None, text: str) -> None:
    assert written(value, digits) == text
