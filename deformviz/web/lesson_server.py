"""The lessons over HTTP: their list, and each step with its view when it is asked for."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..lessons import BUILT_IN, Lesson, Task, blocks, fill, read_lessons, said, with_numbers
from ..viewer.bundle import bundled
from ..words import Language, speaking
from .lesson_controls import controls_part
from .lesson_views import Views, check_step
from .lesson_words import words

_PATH = "/deformviz-lessons"
_SCRIPT = "/deformviz-static/lessons.js"
_log = logging.getLogger(__name__)


class Library:
    """The lessons of the app and of a teacher's own folders.

    Args:
        folders: beside the app's own; a lesson of theirs goes before one of the same name.
        device: where steps run.

    Raises:
        LessonError: a file that is no lesson; the message names it and the step.
    """

    def __init__(self, device: str, folders: Sequence[Path] = ()) -> None:
        found = read_lessons([BUILT_IN, *folders], check_step)
        self.lessons = {lesson.name: lesson for lesson in found}
        self._views = Views(device)

    def contents(self, language: Language) -> dict[str, Any]:
        """The list, and the words of the page itself."""
        with speaking(language):
            told = words()
        lessons = [_entry(lesson, language) for lesson in self.lessons.values()]
        return {"words": told, "lessons": lessons}

    def step(self, name: str, number: int, language: Language, changes: Mapping[str, str]) -> str:
        """A step, counted from 1, as JSON.

        Raises:
            KeyError: there is no such step.
            ValueError: it cannot be shown; the message names the file and the step.
        """
        lesson = self.lessons[name]
        if not 1 <= number <= len(lesson.steps):
            raise KeyError(number)
        step = lesson.steps[number - 1]
        try:
            with speaking(language):
                made = self._views.of(step, changes)
                asked = made.asked
                controls = [] if asked is None else controls_part(step.controls, asked)
        except ValueError as error:
            raise ValueError(f"{name}.toml, step {number}: {error}") from error
        part = {
            "title": said(step.title, language),
            "text": blocks(fill(said(step.text, language), made.numbers)),
            "tasks": [_task(task, made.numbers, language) for task in step.tasks],
            "controls": controls,
            "leads": asked is not None,
        }
        return f'{json.dumps(part, ensure_ascii=False)[:-1]}, "view": {made.text}}}'


def _entry(lesson: Lesson, language: str) -> dict[str, Any]:
    return {
        "name": lesson.name,
        "title": said(lesson.title, language),
        "learn": said(lesson.learn, language),
        "minutes": lesson.minutes,
        "version": lesson.version,
        "steps": [
            {"title": said(step.title, language), "tasks": len(step.tasks)} for step in lesson.steps
        ],
    }


def _task(task: Task, numbers: Mapping[str, float], language: str) -> dict[str, Any]:
    done = with_numbers(task.done, numbers)
    if "options" in done:
        done["options"] = [said(option, language) for option in done["options"]]
    texts = {"ask": task.ask, "hint": task.hint, "said": task.said}
    return {
        **{
            name: blocks(fill(said(text, language), numbers))
            for name, text in texts.items()
            if text
        },
        "done": done,
    }


def routes(library: Library) -> list[Route]:
    """What the server must serve for the lessons."""

    def contents(request: Request) -> Response:
        return _json(json.dumps(library.contents(_language(request)), ensure_ascii=False))

    def step(request: Request) -> Response:
        asked = dict(request.query_params)
        asked.pop("lang", None)
        name, number = request.path_params["name"], request.path_params["step"]
        return _answer(lambda: library.step(name, number, _language(request), asked))

    return [
        Route(_PATH, contents),
        Route(f"{_PATH}/{{name}}/{{step:int}}", step),
        Route(_SCRIPT, _serve_script),
    ]


def _answer(make: Callable[[], str]) -> Response:
    """JSON, or why there is none: a ValueError's own words, of anything else only that it was."""
    try:
        return _json(make())
    except KeyError:
        return _problem("There is no such step.", 404)
    except ValueError as error:
        return _problem(str(error), 422)
    except Exception:
        _log.exception("a lesson's step failed")
        return _problem("Something went wrong on the server; its log says more.", 500)


def _language(request: Request) -> Language:
    return "zh" if request.query_params.get("lang") == "zh" else "en"


def _json(text: str) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(text, media_type="application/json", headers=headers)


def _problem(message: str, status: int) -> Response:
    response = _json(json.dumps({"problem": message}))
    response.status_code = status
    return response


@lru_cache(maxsize=1)
def _script() -> str:
    return bundled("lessons.js", "deformvizLessons", ("mountLessons",))


def script_path() -> str:
    """The script's, with a tag of its content so that a browser may keep it."""
    return f"{_SCRIPT}?v={hashlib.sha256(_script().encode()).hexdigest()[:12]}"


def _serve_script(request: Request) -> Response:
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(_script(), media_type="text/javascript", headers=headers)
