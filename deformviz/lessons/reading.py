"""Lessons out of files, refused with one message that names the file and the step."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from ..viewer.state import short
from .conditions import Text, read_condition, read_text
from .markup import check_text
from .quantities import parsed

BUILT_IN = Path(__file__).parent
"""Where the lessons of the app lie."""

MOST_BYTES = 256 * 1024
"""Of a file."""
MOST_STEPS = 60
MOST_LESSONS = 200

_NAME = re.compile("[a-z0-9][a-z0-9-]{0,60}")
_NUMBER_NAME = re.compile("[a-z][a-z0-9_]{0,30}")


class LessonError(ValueError):
    """A lesson that cannot be shown; the message names the file and the step."""


@dataclass(frozen=True)
class Task:
    """What a reader is asked to do.

    Attributes:
        ask, hint, said: the task, a hint, and what is said when it is done.
        done: how the app knows, see `deformviz.lessons.conditions`.
    """

    ask: Text
    done: dict[str, Any]
    hint: Text | None = None
    said: Text | None = None


@dataclass(frozen=True)
class Step:
    """One screen of a lesson.

    Attributes:
        title, text: what is read.
        view: which state of the app it shows, as a link's query.
        network: the made-up network whose layers are shown instead of a run, or "".
        controls: the Explore page's controls that stand beside the picture.
        numbers: quantities by the names that the texts have for them.
        tasks: what the reader is asked to do.
    """

    title: Text
    text: Text
    view: dict[str, str]
    network: str = ""
    controls: tuple[str, ...] = ()
    numbers: dict[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True)
class Lesson:
    """A lesson.

    Attributes:
        name: of its file and in its link.
        title, learn: its title, and what one learns.
        minutes: that it takes.
        order: among the lessons.
        version: changes with the file, so that no mark is kept of another text.
        steps: at least one.
    """

    name: str
    title: Text
    learn: Text
    minutes: int
    order: float
    version: str
    steps: tuple[Step, ...]


CheckStep = Callable[[Step], None]


def said(text: Text | None, language: str) -> str:
    """A text in a language, or in the one that there is.

    >>> said({"en": "tap", "zh": "采样点"}, "zh"), said({"en": "tap"}, "zh")
    ('采样点', 'tap')
    """
    return "" if text is None else text.get(language) or next(iter(text.values()))


def read_lessons(folders: Sequence[Path], check: CheckStep = lambda step: None) -> list[Lesson]:
    """The lessons of some folders, in their order; of two with one name, the later one.

    Args:
        folders: each with files `NAME.toml`.
        check: refuses a step by a ValueError, for what this package does not know.

    Raises:
        LessonError: a folder that is none, a file that is no lesson, or too many of them.

    Example:
        >>> [lesson.name for lesson in read_lessons([BUILT_IN])][0]
        'why-move-the-taps'
    """
    found: dict[str, Lesson] = {}
    for folder in folders:
        if not folder.is_dir():
            raise LessonError(f"there is no folder {folder} to read lessons from")
        files = sorted(folder.glob("*.toml"))
        if len(files) > MOST_LESSONS:
            raise LessonError(f"{folder} has {len(files)} lessons, more than {MOST_LESSONS}")
        found |= {file.stem: read_lesson(file, check) for file in files}
    return sorted(found.values(), key=lambda lesson: (lesson.order, lesson.name))


def read_lesson(file: Path, check: CheckStep = lambda step: None) -> Lesson:
    """A lesson's file.

    Raises:
        LessonError: what is wrong with it, naming the file and the step.
    """
    try:
        return _lesson(file, check)
    except LessonError:
        raise
    except (ValueError, OSError, RecursionError) as error:
        reason = error if isinstance(error, ValueError | OSError) else "it is nested too deeply"
        raise LessonError(f"{file.name}: {reason}") from None


def _lesson(file: Path, check: CheckStep) -> Lesson:
    if not _NAME.fullmatch(file.stem):
        raise ValueError("its name must be of small letters, digits and hyphens")
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1024} KiB")
    table = tomllib.loads(data.decode())
    _check_names(table, {"title", "learn", "minutes", "order", "view", "network", "step"})
    steps = table.get("step")
    if not isinstance(steps, list) or not 1 <= len(steps) <= MOST_STEPS:
        raise ValueError(f"expected 1 to {MOST_STEPS} tables [[step]]")
    minutes, order = table.get("minutes"), table.get("order", 1000)
    if type(minutes) is not int or not 1 <= minutes <= 240:
        raise ValueError(f"minutes must be a whole number from 1 to 240, got {short(minutes)}")
    if type(order) not in (int, float):
        raise ValueError(f"order must be a number, got {short(order)}")
    return Lesson(
        name=file.stem,
        title=_text(table, "title"),
        learn=_text(table, "learn"),
        minutes=minutes,
        order=order,
        version=hashlib.sha256(data).hexdigest()[:12],
        steps=tuple(_named_step(file, i, step, table, check) for i, step in enumerate(steps)),
    )


def _named_step(file: Path, i: int, step: object, lesson: dict[str, Any], check: CheckStep) -> Step:
    try:
        read = _step(step, lesson)
        check(read)
    except ValueError as error:
        raise LessonError(f"{file.name}, step {i + 1}: {error}") from None
    return read


def _step(table: object, lesson: dict[str, Any]) -> Step:
    if not isinstance(table, dict):
        raise ValueError(f"expected a table, got {short(table)}")
    known = {"title", "text", "view", "network", "controls", "numbers", "task"}
    _check_names(table, known)
    numbers = _numbers(table.get("numbers", {}))
    text = _text(table, "text")
    for each in text.values():
        check_text(each, numbers)
    tasks = table.get("task", [])
    if not isinstance(tasks, list) or len(tasks) > 9:
        raise ValueError("expected at most 9 tables [[step.task]]")
    return Step(
        title=_text(table, "title"),
        text=text,
        view=_view(lesson.get("view", "")) | _view(table.get("view", "")),
        network=_string(table, "network", lesson.get("network", "")),
        controls=_controls(table.get("controls", [])),
        numbers=numbers,
        tasks=tuple(_named_task(i, task, numbers) for i, task in enumerate(tasks)),
    )


def _named_task(i: int, table: object, numbers: Mapping[str, str]) -> Task:
    try:
        return _task(table, numbers)
    except ValueError as error:
        raise ValueError(f"task {i + 1}: {error}") from None


def _task(table: object, numbers: Mapping[str, str]) -> Task:
    if not isinstance(table, dict):
        raise ValueError(f"expected a table, got {short(table)}")
    _check_names(table, {"ask", "done", "hint", "said"})
    texts = {name: _text(table, name) for name in ("hint", "said") if name in table}
    ask = _text(table, "ask")
    for text in (ask, *texts.values()):
        for each in text.values():
            check_text(each, numbers)
    return Task(ask, read_condition(table.get("done"), numbers), **texts)


def _check_names(table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(table.keys() - known):
        raise ValueError(f"expected {', '.join(sorted(known))}; got {short(unknown[0])}")


def _text(table: Mapping[str, Any], name: str) -> Text:
    try:
        return read_text(table.get(name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _string(table: Mapping[str, Any], name: str, default: object) -> str:
    value = table.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text, got {short(value)}")
    return value


def _view(value: object) -> dict[str, str]:
    """A link's query by name; what stands before a question mark is the page's address."""
    if not isinstance(value, str):
        raise ValueError(f"view must be a link or its query, got {short(value)}")
    query = value.partition("?")[2] if "?" in value else value
    try:
        return dict(
            parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=64)
        )
    except ValueError:
        raise ValueError(f"view must be a link's query, name=value&…, got {short(value)}") from None


def _controls(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"controls must be a list of names, got {short(value)}")
    return tuple(value)


def _numbers(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"numbers must be a table of quantities by name, got {short(value)}")
    for name, words in value.items():
        if not _NUMBER_NAME.fullmatch(name):
            raise ValueError(f"a number's name must be of small letters, got {short(name)}")
        if not isinstance(words, str):
            raise ValueError(f"the number {name} must be a quantity in quotes, got {short(words)}")
        try:
            parsed(words)
        except ValueError as error:
            raise ValueError(f"the number {name}: {error}") from None
    return value
