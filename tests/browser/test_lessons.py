"""The lessons in a browser: every task of every one is really done, in both languages."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lessons_page import LessonsPage
from playwright.sync_api import Browser, expect
from tabs import DESKTOP
from viewer_page import WAIT

from deformviz.lessons import BUILT_IN, read_lessons

pytestmark = pytest.mark.browser

LESSONS = {lesson.name: lesson for lesson in read_lessons([BUILT_IN])}

OpenLessons = Callable[..., LessonsPage]


@pytest.fixture
def lessons(browser: Browser, server: str) -> Iterator[OpenLessons]:
    """Opens pages of a browser that has done nothing yet; no script may have failed at the end."""
    context = browser.new_context(viewport=DESKTOP)
    pages: list[LessonsPage] = []

    def opened(language: str = "en", **query: Any) -> LessonsPage:
        pages.append(LessonsPage(context.new_page(), server))
        return pages[-1].open(language, **query)

    yield opened
    for page in pages:
        assert page.errors == []
        assert page.complaints == []
    context.close()


def conditions(server: str, lesson: str, step: int) -> list[dict[str, Any]]:
    """What the tasks of a step ask for, its numbers in place."""
    with urllib.request.urlopen(f"{server}/deformviz-lessons/{lesson}/{step}") as answer:
        return [task["done"] for task in json.load(answer)["tasks"]]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", list(LESSONS))
def test_a_lesson_can_be_walked_to_its_end(
    lessons: OpenLessons, server: str, name: str, language: str
) -> None:
    lesson = LESSONS[name]
    page = lessons(language)
    expect(page.card(name)).to_contain_text(lesson.title[language])
    page.card(name).click()
    for number, step in enumerate(lesson.steps, start=1):
        page.wait_step(name, number)
        expect(page.part("title")).to_have_text(step.title[language])
        expect(page.tasks).to_have_count(len(step.tasks))
        page.page.wait_for_timeout(400)  # what shows from the beginning must not be taken for done
        expect(page.done).to_have_count(0)
        for i, done in enumerate(conditions(server, name, number)):
            page.do(i, done)
        expect(page.done).to_have_count(len(step.tasks))
        page.part("next").click()
    expect(page.part("list")).to_be_visible(timeout=WAIT)
    expect(page.card(name).locator(".dv-state")).to_have_text(
        "✓ 已完成" if language == "zh" else "✓ done"
    )
