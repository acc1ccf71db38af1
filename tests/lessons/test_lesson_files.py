"""Files of lessons: what is read, and the one message that names file and step."""

from __future__ import annotations

from pathlib import Path

import pytest

from deformviz.lessons import LessonError, Step, read_lesson, read_lessons, said

GOOD = """
title = "A lesson"
learn.en = "All"
learn.zh = "全部"
minutes = 3
view = "https://example.org/?operator=DRConv&y=1"
[[step]]
title = "One"
text = "There are {n} taps."
view = "y=2"
controls = ["regions"]
numbers = { n = "taps" }
[[step.task]]
ask = "Type {n}."
done = { kind = "number", is = "n" }
[[step]]
title = "Two"
text = "More."
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_lesson_is_read(tmp_path: Path) -> None:
    lesson = read_lesson(write(tmp_path, GOOD))
    assert (lesson.name, lesson.minutes, lesson.title) == ("mine", 3, {"en": "A lesson"})
    one, two = lesson.steps
    assert one.view == {"operator": "DRConv", "y": "2"}  # the step's goes before the lesson's
    assert two.view == {"operator": "DRConv", "y": "1"}
    assert (one.controls, one.numbers) == (("regions",), {"n": "taps"})
    assert one.tasks[0].done == {"kind": "number", "is": "n", "within": 0.01}
    assert said(lesson.learn, "zh") == "全部"
    assert said(lesson.title, "zh") == "A lesson"


def test_another_text_is_another_version(tmp_path: Path) -> None:
    first = read_lesson(write(tmp_path, GOOD))
    assert read_lesson(write(tmp_path, GOOD)).version == first.version
    assert read_lesson(write(tmp_path, GOOD + "\n")).version != first.version


def test_a_later_folder_goes_before_an_earlier_one(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, GOOD.replace("A lesson", folder))
    write(tmp_path / "one", "order = 1\n" + GOOD, "first.toml")
    (tmp_path / "one" / "notes.txt").write_text("not a lesson")
    found = read_lessons([tmp_path / "one", tmp_path / "two"])
    assert [lesson.title["en"] for lesson in found] == ["A lesson", "two"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "A lesson"', "", "mine.toml: title: expected a text, or one for each"),
        ("minutes = 3", "minutes = 3.5", "mine.toml: minutes must be a whole number from 1 to 240"),
        ("minutes = 3", "minutes = 3\nauthor = 1", "mine.toml: expected .*; got 'author'"),
        ("minutes = 3", "minutes = ", "mine.toml: Invalid value"),
        (
            '[[step]]\ntitle = "Two"\ntext = "More."',
            "[[steps]]",
            "mine.toml: expected .*; got 'steps'",
        ),
        ('title = "Two"', "title = 2", "mine.toml, step 2: title: expected a text"),
        ('text = "More."', 'text = "**"', "mine.toml, step 2: a .. is not closed"),
        ('text = "More."', 'text = "{n}"', "mine.toml, step 2: {n} names no number"),
        ("y=2", "y", "mine.toml, step 1: view must be a link's query"),
        ('controls = ["regions"]', "controls = 3", "mine.toml, step 1: controls must be a list"),
        ('n = "taps"', 'n = "tap"', "mine.toml, step 1: the number n: expected one of taps, "),
        ('n = "taps"', 'n = "share 4 4"', "mine.toml, step 1: the number n: a point has the n"),
        ('n = "taps"', "n = 9", "mine.toml, step 1: the number n must be a quantity in quotes"),
        ('n = "taps"', 'N = "taps"', "mine.toml, step 1: a number's name must be of small"),
        ('is = "n"', 'is = "m"', "mine.toml, step 1: task 1: done's 'is': 'm' names no number"),
        ("Type {n}", "Type [n](light:x)", "mine.toml, step 1: task 1: a light must be"),
        ("ask =", "asks =", "mine.toml, step 1: task 1: expected .*; got 'asks'"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(LessonError, match="^" + message):
        read_lesson(write(tmp_path, GOOD.replace(old, new, 1)))


@pytest.mark.parametrize("name", ["My Lesson.toml", "<b>.toml", "-a.toml", "a.b.toml"])
def test_a_name_that_is_no_address_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LessonError, match="its name must be of small letters"):
        read_lesson(write(tmp_path, GOOD, name))


def test_large_deep_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match="it is larger than 256 KiB"):
        read_lesson(write(tmp_path, GOOD + "#" * 300_000))
    with pytest.raises(LessonError, match=r"mine\.toml: "):
        read_lesson(write(tmp_path, "a = " + "[" * 5000 + "]" * 5000))
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LessonError, match=r"mine\.toml: .*decode"):
        read_lesson(tmp_path / "mine.toml")


def test_what_others_know_is_asked_of_each_step(tmp_path: Path) -> None:
    def check(step: Step) -> None:
        if step.view.get("y") == "1":
            raise ValueError("no row 1")

    with pytest.raises(LessonError, match=r"^mine\.toml, step 2: no row 1$"):
        read_lesson(write(tmp_path, GOOD), check)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match=r"there is no folder .*nowhere"):
        read_lessons([tmp_path / "nowhere"])
