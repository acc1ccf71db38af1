"""The Lessons page around its tasks: links, keys, marks, lights, projector mode, and looks."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from lessons_page import LessonsPage
from playwright.sync_api import Browser, Route, expect
from test_access import violations
from test_lessons import OpenLessons, lessons
from viewer_page import WAIT

pytestmark = pytest.mark.browser

__all__ = ["lessons"]  # the fixture


def query(page: LessonsPage) -> dict[str, str]:
    """The page's address."""
    found = parse_qs(urlsplit(page.page.url).query, keep_blank_values=True)
    return {name: value for name, (value,) in found.items()}


def test_a_link_opens_on_its_step_and_the_keys_walk_on(lessons: OpenLessons) -> None:
    page = lessons(lesson="from-offset-to-point", step=3)
    expect(page.part("title")).to_have_text("Eighteen channels")
    for key, step in (
        ("ArrowRight", 4),
        ("PageDown", 5),
        ("ArrowRight", 5),
        ("ArrowLeft", 4),
        ("PageUp", 3),
    ):
        page.page.keyboard.press(key)
        page.wait_step("from-offset-to-point", step)
        assert query(page) == {"lesson": "from-offset-to-point", "step": str(step)}
    before = page.root.get_attribute("data-position")
    page.press("ArrowRight")  # in the picture, the keys are the picture's
    page.until("(root, before) => root.dataset.position !== before", before)
    assert query(page)["step"] == "3"
    typed = page.tasks.nth(1).locator("input")
    typed.fill("12")
    typed.press("ArrowLeft")
    assert query(page)["step"] == "3"


def test_the_other_language_opens_on_the_same_step(lessons: OpenLessons) -> None:
    page = lessons(lesson="the-mask", step=2)
    page.page.locator("#language a").click()
    page.wait_step("the-mask", 2)
    expect(page.part("title")).to_have_text("在哪里打开")
    assert urlsplit(page.page.url).path == "/zh"


def test_the_address_is_explores_again_when_the_lesson_is_left(lessons: OpenLessons) -> None:
    page = lessons(lesson="the-mask", step=2)
    page.page.get_by_role("tab", name="Explore").click()
    page.page.wait_for_url(lambda url: "operator=" in url, timeout=WAIT)
    assert "lesson" not in query(page)
    page.page.get_by_role("tab", name="Lessons").click()
    page.page.wait_for_url(lambda url: "lesson=the-mask&step=2" in url, timeout=WAIT)


def test_marks_last_and_can_be_forgotten(lessons: OpenLessons) -> None:
    page = lessons(lesson="from-offset-to-point", step=3)
    page.tasks.nth(0).locator('[data-option="2"]').click()
    expect(page.done).to_have_count(1)
    page.page.reload()
    page.wait_step("from-offset-to-point", 3)
    expect(page.done).to_have_count(1)
    page.part("all").click()
    expect(page.card("from-offset-to-point").locator(".dv-state")).to_have_text("1 of 8 tasks")
    page.page.get_by_role("button", name="forget what I have done").click()
    expect(page.card("from-offset-to-point").locator(".dv-state")).to_have_text("")


def test_words_light_up_what_they_speak_of(lessons: OpenLessons) -> None:
    page = lessons(lesson="from-offset-to-point", step=2)
    words = page.part("text").get_by_role("button", name="regular grid")
    seen = page.seen()
    words.hover()
    page.until("(root) => root.viewer.state.morph === 0")
    assert [dot.place.tolist() for dot in page.seen().image.values()] != [
        dot.place.tolist() for dot in seen.image.values()
    ]
    page.leave()
    page.until("(root) => root.viewer.state.morph === 1")
    page.part("text").get_by_role("button", name="kernel's panel").hover()
    expect(page.page.locator(".dv-kernels.dv-lesson-lit")).to_be_visible()
    page = lessons(lesson="from-offset-to-point", step=1)
    words = page.part("text").get_by_role("button", name="Tap 5")
    words.focus()
    page.page.keyboard.press("Enter")
    assert page.seen().lit("image") == [5]
    expect(words).to_have_attribute("aria-pressed", "true")
    page.page.keyboard.press("Enter")
    page.leave()
    page.page.keyboard.press("Tab")
    assert page.seen().lit("image") == []


def test_projector_mode_leaves_text_and_picture(lessons: OpenLessons) -> None:
    page = lessons(lesson="why-move-the-taps", step=4)
    size = "(node) => parseFloat(getComputedStyle(node).fontSize)"
    before = page.part("text").evaluate(size)
    page.page.keyboard.press("p")
    expect(page.page.locator("#header")).to_be_hidden()
    expect(page.page.get_by_role("tab", name="Explore")).to_be_hidden()
    expect(page.root.locator('[data-part="over"]')).to_be_visible()  # a task needs it
    expect(page.action("sweep")).to_be_hidden()
    assert page.part("text").evaluate(size) > 1.25 * before
    assert query(page)["projector"] == "on"
    page.page.keyboard.press("ArrowRight")
    page.wait_step("why-move-the-taps", 5)
    page.page.keyboard.press("p")
    expect(page.page.locator("#header")).to_be_visible()
    assert "projector" not in query(page)
    other = lessons(lesson="the-mask", step=1, projector="on")
    expect(other.page.locator("#header")).to_be_hidden()


def test_an_unknown_lesson_and_a_step_that_fails_are_said(lessons: OpenLessons) -> None:
    page = lessons()
    page.page.goto(f"{page.address}/?lesson=<b>x</b>")
    expect(page.part("list").get_by_role("alert")).to_have_text(
        "There is no lesson <b>x</b>. These are the lessons:", timeout=WAIT
    )

    def refuse(route: Route) -> None:
        route.fulfill(status=422, json={"problem": "the-mask.toml, step 2: <i>no</i>"})

    page.page.route("**/deformviz-lessons/the-mask/2?*", refuse)
    page.card("the-mask").click()
    page.wait_step("the-mask", 1)
    page.part("next").click()
    expect(page.part("text").get_by_role("alert")).to_contain_text("step 2: <i>no</i>")
    page.complaints.clear()  # the browser itself tells of the 422


def test_hostile_text_is_shown_as_text(lessons: OpenLessons) -> None:
    evil = "<img src=x onerror=document.title='gone'>"

    def poison(route: Route) -> None:
        step = route.fetch().json()
        step["title"] = evil
        step["text"] = [{"item": False, "parts": [{"text": evil}, {"text": evil, "code": True}]}]
        step["tasks"][0]["ask"] = [{"item": True, "parts": [{"text": evil, "light": ["tap", "0"]}]}]
        route.fulfill(body=json.dumps(step), content_type="application/json")

    page = lessons()
    page.page.route("**/deformviz-lessons/the-mask/1?*", poison)
    page.card("the-mask").click()
    page.wait_step("the-mask", 1)
    expect(page.part("title")).to_have_text(evil)
    expect(page.part("text")).to_have_text(evil + evil)
    assert page.page.locator("#lessons article img").count() == 0
    assert page.page.title() == "deformviz"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 820])
def test_it_fits_and_can_be_read(browser: Browser, server: str, width: int, theme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = LessonsPage(context.new_page(), server)
    page.open(__theme=theme)
    assert violations(page.page) == []
    for language, lesson, step in (("en", "the-mask", 3), ("zh", "five-shifts", 2)):
        page.open(language, lesson=lesson, step=step, __theme=theme)
        for projector in (False, True):
            assert page.page.evaluate("document.documentElement.scrollWidth") <= width
            assert violations(page.page) == []
            if not projector:
                page.part("article").focus()
                page.page.keyboard.press("p")
                expect(page.page.locator("#header")).to_be_hidden()
    assert page.errors == []
    context.close()
