"""A short training as a person has it: curves grow, points move, and one goes back in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, expect
from viewer_page import IMAGE, ViewerPage

pytestmark = pytest.mark.browser

LONG = 240_000
FOUND = "const train = document.querySelector('#train .dv-train').train;"


class TrainPage(ViewerPage):
    """Wraps a Playwright page that has the app on it, at this tab."""

    scope = "#train .dv-viewer"

    def __init__(self, context: BrowserContext, address: str, query: str = "") -> None:
        super().__init__(context.new_page())
        self.page.goto(f"{address}/?train=scale{query}")
        self.page.wait_for_selector("#train .dv-train[data-moment]", timeout=LONG)

    def part(self, name: str) -> Any:
        return self.page.locator(f'#train [data-train="{name}"]')

    def ask(self, script: str) -> Any:
        return self.page.evaluate(f"() => {{ {FOUND} return {script}; }}")

    def until(self, script: str) -> None:
        self.page.wait_for_function(f"() => {{ {FOUND} return {script}; }}", timeout=LONG)

    def line(self, kind: str) -> Any:
        """A curve of the loss: of the run that is looked at, or of a former one."""
        return self.part("loss").locator(f"path.dv-network-0.{kind}")

    def scrub(self, index: int) -> None:
        """Move the slider, and wait for the moment's picture."""
        self.part("scrub").evaluate(
            "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input')); }",
            index,
        )
        step = self.ask(f"train.shown.moments[{index}].step")
        self.until(f"train.root.dataset.moment === `${{train.shown.name}} {step}`")


@pytest.fixture
def train(context: BrowserContext, server: str) -> Iterator[TrainPage]:
    page = TrainPage(context, server, "&train_steps=60&train_offset_rate=1&train_twin=equal+time")
    yield page
    assert page.errors == []
    page.page.close()


def test_it_opens_on_a_finished_run_and_goes_back_in_time(train: TrainPage) -> None:
    assert train.ask("train.shown.recorded")
    assert train.seen().position == (16, 22)
    moved = train.seen().points("kernel")
    train.over("magnitude")
    train.scrub(0)
    regular = [[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert abs(train.seen().points("kernel") - regular).max() < 0.02  # zero offsets at the start
    assert abs(moved - regular).max() > 0.2
    assert train.seen().position == (16, 22)
    assert '"over":"magnitude"' in (train.root.get_attribute("data-layers") or "")
    assert train.part("loss").locator(".dv-now").get_attribute("data-step") == "0"
    assert train.seen().total == pytest.approx(train.seen().given, abs=2e-5)
    # The link has what is chosen, and what is not as by default.
    assert "train=scale" in train.page.url
    assert "train_steps=60" in train.page.url


def test_a_training_that_one_watches_stops_and_begins_again_beside(
    train: TrainPage, context: BrowserContext, server: str
) -> None:
    train.part("start").click()
    train.until("train.shown.moments.length >= 3 && train.shown.state === 'running'")
    before = int(train.line("dv-present").get_attribute("data-points"))
    train.until(f"train.shown.moments.length > {before + 1}")
    assert int(train.line("dv-present").get_attribute("data-points")) > before
    expect(train.line("dv-former")).to_have_count(1)
    # The twin that trains for as long has a curve and a name; that of the run before has none.
    longer = train.part("loss").locator("path.dv-network-2")
    expect(longer).to_have_count(1)
    expect(longer).to_have_attribute("data-network", "plain, equal time")
    expect(train.part("loss").locator(".dv-key.dv-network-2")).to_contain_text("plain, equal time")

    # Explore answers meanwhile.
    explore = context.new_page()
    explore.goto(server)
    explore.wait_for_selector("#viewer .dv-viewer[data-ready]", timeout=LONG)
    explore.close()

    train.click(IMAGE, 34, 24)
    place = train.seen().position
    train.scrub(0)
    count = train.ask("train.shown.moments.length")
    train.until(f"train.shown.moments.length > {count}")
    assert train.ask("train.index") == 0  # nobody is led away from where they look
    assert train.seen().position == place
    train.part("stop").click()
    train.until("train.shown.state === 'stopped'")
    first = train.ask("train.shown.name")

    # Another choice, beside it: the first one's curve stays, and it can be looked at again.
    train.page.locator('#train [data-knob="start"] label').nth(1).click()
    train.part("start").click()
    train.until(f"train.shown.name !== '{first}' && train.shown.moments.length >= 2")
    expect(train.line("dv-former")).to_have_count(2)
    names = train.part("runs").locator("b").all_inner_texts()
    assert "random" in names[0]
    assert "zero" in names[1]
    train.part("stop").click()
    train.until("train.shown.state === 'stopped'")
    train.part("runs").locator("button").nth(1).click()
    train.until(f"train.root.dataset.moment.startsWith('{first}')")
    assert train.seen().position == place
    # Nothing is left behind in the address of Explore.
    train.page.get_by_role("tab", name="Explore").click()
    train.page.wait_for_function("() => !location.search.includes('train')", timeout=LONG)


def test_another_task_opens_where_there_is_something_to_see(train: TrainPage) -> None:
    train.over("magnitude")
    train.page.locator("#train [data-knob='task'] label").filter(has_text="Shifts").click()
    train.page.locator("#train [data-knob='start'] label").filter(has_text="random").click()
    train.part("start").click()
    train.until("train.root.dataset.moment === `${train.runs[1]?.name} 0`")
    train.part("stop").click()
    assert train.seen().position == (8, 8)  # the middle, not a corner that the other picture had
    # The scatter: all channels' shifts, one unit for both axes, and the axes named.
    box = train.part("beside")
    dots = box.locator("circle.dv-shift").evaluate_all(
        "(dots) => dots.map((dot) => [dot.cy.baseVal.value, dot.cx.baseVal.value])"
    )
    shifts = train.seen().points("kernel")
    assert len(dots) == len(shifts) == 32
    unit = (np.array(dots) * shifts).sum() / (shifts**2).sum()
    assert abs(np.array(dots) - unit * shifts).max() < 0.05 * unit  # in pixels, as drawn
    assert {"dx", "dy"} <= set(box.locator("text").all_text_contents())
    rings = box.locator("text").filter(has_text="px").all_text_contents()
    assert rings
    radii = box.locator("circle.dv-grid").evaluate_all("(all) => all.map((c) => c.r.baseVal.value)")
    assert radii == pytest.approx([unit * float(ring.split()[0]) for ring in rings], rel=1e-3)

    train.part("runs").locator("button").nth(1).click()
    train.until("train.root.dataset.moment.startsWith('example')")
    assert train.seen().position == (16, 22)
    assert '"over":"magnitude"' in (train.root.get_attribute("data-layers") or "")
