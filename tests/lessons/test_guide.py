"""docs/lessons.md: its example is a lesson that runs, and what it lists is what there is."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deformviz.lessons import BUILT_IN, Lesson, LessonError, read_lesson, read_lessons
from deformviz.lessons.conditions import CONDITIONS, PARTS, SHOWN, read_condition
from deformviz.lessons.markup import PLACES, VIEW_CONTROLS, check_text
from deformviz.lessons.quantities import QUANTITIES, parsed
from deformviz.lessons.reading import MOST_STEPS
from deformviz.viewer.state import OVERLAYS
from deformviz.web.lesson_controls import CONTROLS
from deformviz.web.lesson_server import Library
from deformviz.web.lesson_views import check_step

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "lessons.md").read_text(encoding="utf-8")
NAME = "points-that-spread"
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
((_, EXAMPLE),) = [each for each in FENCED if each[0] == "toml"]
((_, MESSAGES),) = [each for each in FENCED if each[0] == ""]
PARTS_OF_GUIDE = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL))


def write(folder: Path, text: str) -> Path:
    file = folder / f"{NAME}.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return read_lesson(write(tmp_path, EXAMPLE), check_step)


def first_cells(part: str) -> list[str]:
    """Of the rows of a part's tables, what stands in the first column."""
    rows = re.findall(r"^\| (.*?) \|", PARTS_OF_GUIDE[part], re.MULTILINE)
    return [row for row in rows if not row.startswith("---")]


def names_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# The example


def test_the_example_is_told_in_both_languages(lesson: Lesson) -> None:
    told = [lesson.title, lesson.learn]
    for step in lesson.steps:
        told += [step.title, step.text]
        told += [text for t in step.tasks for text in (t.ask, t.hint, t.said) if text]
    assert all(set(text) == {"en", "zh"} for text in told)
    assert f"/?lesson={lesson.name}" in GUIDE


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_example_runs_and_asks_for_what_is_so(tmp_path: Path, language: Any) -> None:
    write(tmp_path, EXAMPLE)
    library = Library("cpu", [tmp_path])
    one, two = (json.loads(library.step(NAME, n, language, {})) for n in (1, 2))
    # With dilation 4, tap 0 stands 4 rows above row 80; 2 times larger, it is read 12 above.
    assert one["tasks"][0]["done"]["is"] == pytest.approx(80 - 4 * (1 + 2))
    assert [control["name"] for control in two["controls"]] == ["strength"]
    assert float(two["controls"][0]["value"]) == 2
    assert two["view"]["state"]["over"] == "magnitude"


def test_the_messages_are_those_that_are_told(tmp_path: Path) -> None:
    changes = [('kind = "number"', 'kind = "numer"'), ("{row}.", "{rows}.")]
    for (old, new), message in zip(changes, MESSAGES.splitlines(), strict=True):
        assert old in EXAMPLE
        with pytest.raises(LessonError) as refused:
            read_lesson(write(tmp_path, EXAMPLE.replace(old, new, 1)), check_step)
        assert str(refused.value) == message


# What it lists


def test_all_fields_are_told(tmp_path: Path) -> None:
    """Of a lesson, a step and a task: where it is asked another, the reader names all it takes."""
    told = {name for cell in first_cells("The file") for name in names_in(cell)}
    step = "title = 'a'\nlearn = 'a'\nminutes = 1\n[[step]]\n"
    task = f"{step}title = 'a'\ntext = 'a'\n[[step.task]]\n"
    for text in ("", step, task):
        with pytest.raises(LessonError, match="; got 'other'") as refused:
            read_lesson(write(tmp_path, f"{text}other = 1"))
        found = re.search(r"expected (.*); got", str(refused.value))
        assert found is not None
        tables = {"step": "[[step]]", "task": "[[step.task]]"}
        assert {tables.get(name, name) for name in found[1].split(", ")} <= told


def test_the_conditions_are_those_that_there_are() -> None:
    numbers = {"total": "sum"}
    told = [tomllib.loads(f"done = {names_in(cell)[0]}")["done"]
            for cell in first_cells("Conditions")[1:]]  # fmt: skip
    assert [condition["kind"] for condition in told] == list(CONDITIONS)
    for condition in told:
        assert read_condition(condition, numbers)["kind"] == condition["kind"]
    named = names_in(PARTS_OF_GUIDE["Conditions"])
    assert {*SHOWN, *PARTS} <= set(named)


def test_the_quantities_are_those_that_there_are() -> None:
    told = [name for cell in first_cells("Numbers")[1:] for name in names_in(cell)]
    for words in told:
        parsed(words)
    assert [re.sub(r"( \d+)+$", "", words) for words in told] == list(QUANTITIES)


def test_the_lights_and_controls_are_those_that_there_are() -> None:
    text = PARTS_OF_GUIDE["The file"]
    named = set(names_in(text))
    assert {*PLACES, *VIEW_CONTROLS, *OVERLAYS} - {"none"} <= named
    targets = text[text.index("| `TARGET`") :].splitlines()[2:]
    for row in targets:
        for target in names_in(row.split(" | ")[0]):
            check_text(f"[words](light:{target})", {})
    assert set(names_in(PARTS_OF_GUIDE["Controls"])) - {"controls"} == set(CONTROLS)
    assert f"up to {MOST_STEPS} |" in text


def test_what_it_links_to_is_there() -> None:
    linked = re.findall(r"\]\((?!light:|http)([^)]+)\)", GUIDE)
    assert linked
    assert [
        path for path in linked if path != "light:TARGET" and not (ROOT / "docs" / path).exists()
    ] == []
    orders = [lesson.order for lesson in read_lessons([BUILT_IN])]
    assert orders[:2] == [10, 20]
