"""The browser's back and forward: from step to step of a lesson, and from tab to tab."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from lessons_page import LessonsPage
from playwright.sync_api import Page, expect
from test_lessons import OpenLessons, lessons
from viewer_page import WAIT

pytestmark = pytest.mark.browser

__all__ = ["lessons"]  # the fixture

LESSON = "from-offset-to-point"


def query(page: Page) -> dict[str, str]:
    """The page's address."""
    found = parse_qs(urlsplit(page.url).query, keep_blank_values=True)
    return {name: value for name, (value,) in found.items()}


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def is_open(page: Page, name: str) -> None:
    tab = page.get_by_role("tab", name=name)
    expect(tab).to_have_attribute("aria-selected", "true", timeout=WAIT)


def on_step(page: LessonsPage, step: int) -> None:
    """The step is seen, and the address is its link."""
    is_open(page.page, "Lessons")
    page.wait_step(LESSON, step)
    expect(page.part("count")).to_contain_text(f" {step} ")
    assert query(page.page) == {"lesson": LESSON, "step": str(step)}


def on_list(page: LessonsPage) -> None:
    is_open(page.page, "Lessons")
    expect(page.part("list")).to_be_visible(timeout=WAIT)
    assert query(page.page) == {"lesson": ""}


def on_explore(page: Page) -> None:
    """The Explore page is seen, and the address is its state."""
    is_open(page, "Explore")
    page.wait_for_function("() => location.search.includes('operator=')", timeout=WAIT)
    assert not query(page).keys() & {"lesson", "train"}


def test_back_and_forward_walk_over_steps_and_out_of_the_lesson(lessons: OpenLessons) -> None:
    page = lessons()
    open_tab(page.page, "Explore")
    on_explore(page.page)
    open_tab(page.page, "Lessons")
    on_list(page)
    page.card(LESSON).click()
    on_step(page, 1)
    page.part("next").click()
    on_step(page, 2)
    page.page.keyboard.press("ArrowRight")
    on_step(page, 3)
    page.page.locator("#lessons .dv-lesson-dots button").nth(4).click()
    on_step(page, 5)
    page.page.keyboard.press("ArrowRight")  # there is none after it: no entry either
    for step in (3, 2, 1):
        page.page.go_back()
        on_step(page, step)
    page.page.go_back()
    on_list(page)
    page.page.go_back()
    on_explore(page.page)
    page.page.go_forward()
    on_list(page)
    for step in (1, 2, 3):
        page.page.go_forward()
        on_step(page, step)
    page.part("back").click()  # a way of one's own is an entry too, and ends those that followed
    on_step(page, 2)
    page.page.go_back()
    on_step(page, 3)


def test_a_link_is_one_entry_even_where_it_asks_for_too_much(lessons: OpenLessons) -> None:
    page = lessons()
    page.page.goto("about:blank")
    page.page.goto(f"{page.address}/?lesson={LESSON}&step=99")
    on_step(page, 5)
    page.part("back").click()
    on_step(page, 4)
    page.page.reload()
    on_step(page, 4)
    page.page.go_back()
    on_step(page, 5)
    page.page.go_back()
    assert page.page.url == "about:blank"
    page.complaints.clear()  # Gradio's own, of what it could not finish before the page was left


def test_tabs_are_entries_and_what_is_open_in_them_stays(lessons: OpenLessons) -> None:
    page = lessons(lesson=LESSON, step=2)
    page.fill("morph", 0.25)
    open_tab(page.page, "Explore")
    on_explore(page.page)
    open_tab(page.page, "Checkpoint")
    is_open(page.page, "Checkpoint")
    open_tab(page.page, "Train")
    page.page.wait_for_function("() => location.search.includes('train=')", timeout=WAIT)
    open_tab(page.page, "Lessons")
    on_step(page, 2)

    page.page.go_back()
    is_open(page.page, "Train")
    assert query(page.page) == {"train": "scale"}
    page.page.go_back()
    is_open(page.page, "Checkpoint")
    page.page.go_back()
    on_explore(page.page)
    page.page.go_back()
    on_step(page, 2)
    assert page.root.evaluate("(root) => root.viewer.state.morph") == 0.25
    page.page.go_forward()
    on_explore(page.page)
    # Its address still follows what is seen, without an entry for each move.
    length = page.page.evaluate("history.length")
    page.page.locator("#viewer .dv-viewer [data-control='morph']").evaluate(
        "(slider) => { slider.value = 0.5; slider.dispatchEvent(new Event('input')); }"
    )
    page.page.wait_for_function("() => location.search.includes('morph=0.5')", timeout=WAIT)
    assert page.page.evaluate("history.length") == length
