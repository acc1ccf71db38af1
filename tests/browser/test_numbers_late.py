"""The picture comes before the numbers behind it; what is done in between, and without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from explore_page import ExplorePage, query_of
from playwright.sync_api import Route, expect
from shown import assert_dots, assert_shows
from truth import run
from viewer_page import IMAGE, OUTPUT

from deformviz.explore import Settings

pytestmark = pytest.mark.browser

SETTINGS = Settings(dilation=3, field="random", strength=1.0, weights="Gaussian")
NUMBERS = "**/deformviz-run/*/numbers*"


@pytest.fixture
def held_back(explore: ExplorePage) -> Callable[[], None]:
    """Holds every answer with numbers back; lets them come when it is called."""
    waiting: list[Route] = []
    held = True

    def hold(route: Route) -> None:
        if held:
            waiting.append(route)
        else:
            route.continue_()

    def let_come() -> None:
        nonlocal held
        held = False
        for route in waiting:
            route.continue_()

    explore.page.route(NUMBERS, hold)
    return let_come


def open_without_numbers(page: ExplorePage) -> None:
    page.goto(**query_of(SETTINGS, "cat"), y=20, x=30)
    page.wait_for("| 43 x 64 |")


def test_the_picture_and_its_position_are_there_first(
    explore: ExplorePage, held_back: Callable[[], None]
) -> None:
    sampling = run(SETTINGS, "cat").sampling
    open_without_numbers(explore)
    assert_dots(explore.seen(), sampling, 20, 30)
    assert explore.picture(OUTPUT)["columns"] == 64
    assert "0.0 of 0." in explore.text("loading")
    assert "on their way" in explore.seen().line
    explore.hover(IMAGE, 5, 50)
    explore.wait_at(5, 50)
    assert "on their way" in explore.seen().line
    held_back()
    explore.wait_loaded()
    assert_shows(explore.seen(), sampling, 5, 50)
    assert explore.text("loading") == ""
    expect(explore.page.locator(".dv-check.dv-passed")).to_have_count(2)
    explore.hover(IMAGE, 6, 51)
    explore.wait_text("output-caption", "pixel 6, 51")


def test_a_pinned_position_is_drawn_before_the_numbers_of_another_run(
    explore: ExplorePage,
) -> None:
    explore.open(**query_of(SETTINGS, "cat"), y=20, x=30)
    explore.click(IMAGE, 12, 40)
    explore.wait_at(12, 40)
    explore.page.wait_for_url("**&y=12&x=40&pinned=on*")
    late: list[Route] = []
    explore.page.route(NUMBERS, lambda route: late.append(route))
    settings = replace(SETTINGS, kernel_size=(5, 5))
    with explore.page.expect_request(NUMBERS):  # it is made after the picture's frame
        explore.page.locator('#kernel label[data-testid="5-radio-label"]').click()
    explore.wait_for("| 5 x 5 |")
    assert_dots(explore.seen(), run(settings, "cat").sampling, 12, 40)
    assert "on their way" in explore.seen().line
    for route in late:
        route.continue_()
    explore.wait_loaded()
    assert_shows(explore.seen(), run(settings, "cat").sampling, 12, 40)


COUNT = """(root) => {
  const seen = window.seen = {};
  let frame = 0;
  const next = () => { frame += 1; requestAnimationFrame(next); };
  next();
  const { json } = Response.prototype;
  Response.prototype.json = async function () {
    const answer = await json.call(this);
    if (answer.view) seen.answer = frame;
    return answer;
  };
  const { fetch, setTimeout } = window;
  window.fetch = (address, ...rest) => {
    if (String(address).includes('/numbers')) seen.numbers = frame;
    return fetch(address, ...rest);
  };
  // On a busy machine frames may be late; the numbers do not wait for ever, but here they do.
  window.setTimeout = (act, time, ...rest) => (time === 100 ? 0 : setTimeout(act, time, ...rest));
  new MutationObserver(() => { seen.view = frame; })
    .observe(root, { attributes: true, attributeFilter: ['data-view'] });
}"""


def test_all_that_is_new_comes_in_one_frame_and_the_numbers_wait_for_it(
    explore: ExplorePage,
) -> None:
    explore.open(**query_of(SETTINGS, "cat"), y=20, x=30)
    explore.root.evaluate(COUNT)
    explore.kernel(5)
    seen = explore.page.evaluate("window.seen")
    assert seen["view"] == seen["answer"]
    assert seen["numbers"] > seen["view"]


def test_a_page_that_is_shown_no_frames_gets_its_numbers(explore: ExplorePage) -> None:
    explore.open(**query_of(SETTINGS, "cat"), y=20, x=30)
    explore.page.evaluate("() => { window.requestAnimationFrame = () => 0; }")
    explore.slider("strength, pixels (std)", 1.5)
    explore.wait_for("random 1.5")
    explore.wait_loaded()


def test_what_is_chosen_in_between_is_drawn_when_they_come(
    explore: ExplorePage, held_back: Callable[[], None]
) -> None:
    open_without_numbers(explore)
    explore.over("mask")
    explore.control("arrowsOn").check()
    explore.fill("morph", 0.5)
    assert explore.canvas(IMAGE) is None
    held_back()
    explore.wait_loaded()
    assert explore.canvas(IMAGE) is not None
    assert explore.clip(IMAGE).locator(".dv-arrow").count() > 0


def test_another_run_in_between_has_its_own_numbers(
    explore: ExplorePage, held_back: Callable[[], None]
) -> None:
    open_without_numbers(explore)
    explore.choose("operator", "Convolution")
    explore.wait_for("Convolution | ")
    held_back()
    explore.wait_loaded()
    convolution = run(Settings(operator="Convolution", dilation=3, weights="Gaussian"), "cat")
    assert_shows(explore.seen(), convolution.sampling, 20, 30)


def wait_for_failure(page: ExplorePage) -> None:
    page.until(
        "(root) => root.querySelector('[data-part=loading]').innerText.includes('could not')"
    )


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "the server has let them go"), (500, "the server said 500")]
)
def test_numbers_that_do_not_come_are_told(explore: ExplorePage, status: int, reason: str) -> None:
    explore.page.route(NUMBERS, lambda route: route.fulfill(status=status, body="no"))
    open_without_numbers(explore)
    wait_for_failure(explore)
    assert reason in explore.text("loading")
    explore.hover(IMAGE, 5, 50)
    explore.wait_at(5, 50)
    explore.page.unroute(NUMBERS)
    explore.operator("Convolution")  # as the message says
    assert explore.text("loading") == ""
    assert len(explore.seen().rows) == 9


def test_a_connection_that_breaks_is_told(explore: ExplorePage) -> None:
    explore.page.route(NUMBERS, lambda route: route.abort())
    open_without_numbers(explore)
    wait_for_failure(explore)
    assert "Change any control to run again" in explore.text("loading")


def test_scripts_that_come_after_a_links_answer_draw_it_at_once(explore: ExplorePage) -> None:
    late: list[Route] = []
    explore.page.route("**/viewer.js*", lambda route: late.append(route))
    # Of a picture that does not come, the viewer waits ten seconds: here they never pass.
    explore.page.add_init_script(
        "const set = window.setTimeout;"
        "window.setTimeout = (act, time, ...rest) => time >= 9000 ? 0 : set(act, time, ...rest);"
    )
    settings = Settings(operator="DRConv", weights="Gaussian")
    explore.goto(**query_of(settings, "cat"), y=20, x=30)
    explore.page.wait_for_function(
        "() => document.querySelector('#operator input')?.value === 'DRConv'"
    )
    late[0].continue_()
    explore.wait_for("DRConv | ")
    explore.wait_loaded()
    assert_shows(explore.seen(), run(settings, "cat").sampling, 20, 30)
