"""The page in Chinese: the switch keeps what is shown, and no English is left to be seen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from checkpoint_page import CheckpointPage
from explore_page import ExplorePage
from playwright.sync_api import Browser, Page, Route, expect
from tabs import OpenFile
from truth import photo_pixels
from viewer_page import IMAGE, WAIT, ViewerPage

from deformviz.explore import OPERATORS, Settings, explore
from deformviz.viewer import View

pytestmark = pytest.mark.browser

# Every text that can be seen, and what is said of elements that can be.
TEXTS = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const { parentElement: box, data } = walk.currentNode;
    const seen = box.checkVisibility() && box.clientWidth !== 1 && !box.closest('script, style');
    if (data.trim() && seen) found.push(data.trim());
  }
  for (const node of document.querySelectorAll('[title], [aria-label], [placeholder]')) {
    if (!node.checkVisibility()) continue;
    for (const name of ['title', 'aria-label', 'placeholder']) {
      found.push(node.getAttribute(name) ?? '');
    }
  }
  for (const box of document.querySelectorAll('.gradio-container input[role="listbox"]')) {
    if (box.checkVisibility()) found.push(box.value);
  }
  return found;
}"""

NAMES = re.compile(
    r"deformviz|EN\b|CPU|px|ms|MB|NaN|Esc|Alt|Enter|PNG|JPEG|WebP|BMP|TIFF|SVG|HTML|NPZ|GIF|README|torchvision|"
    r"torch\.roll|conv2d|deform_conv2d|DRConv|CoordConv|Active Shift|CycleFC|Sobel|Middlebury|"
    r"grid_sample|depthwise|slice|roll|\bdy\b|\bdx\b|\bpk\b|Dai|"
    # Of files, code bases and layers.
    r"made-up network|example_epoch_\d+|\.?safetensors|torch\.save|\.(pt|pth|ckpt|bin|onnx)\b|"
    r"mmcv DCNv[12]|open-mmlab/mmcv, mmcv/ops/[a-z_]+\.py|untrained|layer\d|backbone|neck|smooth|"
    r"\bconv\d?\b|interleaved|sigmoid|\bunit\b|\bsigned\b|imagenet"
)


def english(page: Page) -> list[str]:
    """The texts in which there are English words."""
    texts = dict.fromkeys(page.evaluate(TEXTS))
    return [text for text in texts if re.search("[A-Za-z]{2,}", NAMES.sub("", text))]


class ChinesePage(ExplorePage):
    """The Explore page at /zh."""

    def goto(self, **query: Any) -> None:
        self.page.goto(f"{self.address}/zh?{urlencode(query)}", wait_until="commit")


@pytest.fixture
def chinese(browser: Browser, server: str) -> Any:
    """In a browser that asks for English."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page = ChinesePage(context.new_page(), server)
    yield page
    assert page.errors == []
    context.close()


def test_the_switch_keeps_what_is_shown(explore: ExplorePage) -> None:
    explore.open(operator="DRConv", image="coffee", side=64, regions=3, y=30, x=40, pinned="on")
    html, switch = explore.page.locator("html"), explore.page.locator(".dv-language a")
    assert html.get_attribute("lang") == "en"
    expect(explore.page).to_have_url(re.compile("guide=.*pinned="))  # all is in the address
    asked = parse_qs(urlsplit(explore.page.url).query)
    for path, language, name in (("/zh", "zh-CN", "引导图"), ("/", "en", "Guide map")):
        switch.click()
        expect(explore.page).to_have_url(re.compile(rf"{path}\?"))
        explore.wait_at(30, 40)
        explore.wait_for("DRConv | ")
        assert html.get_attribute("lang") == language
        explore.wait_loaded()
        assert parse_qs(urlsplit(explore.page.url).query) == asked
        expect(explore.page.locator("#guide")).to_contain_text(name)
        assert explore.root.locator('[data-action="pin"]').get_attribute("aria-pressed") == "true"


def test_the_switch_keeps_the_theme(explore: ExplorePage) -> None:
    explore.open()
    explore.page.locator("#theme").click()
    explore.page.locator(".dv-language a").click()
    expect(explore.page).to_have_url(re.compile(r"/zh\?"))
    explore.wait_loaded()
    assert "dark" in (explore.page.locator("body").get_attribute("class") or "")


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_english_is_left(chinese: ChinesePage, operator: str) -> None:
    """With everything unfolded, in a browser that asks for English."""
    over = {"DRConv": "regions", "CoordConv": "radius"}.get(operator, "output")
    chinese.open(operator=operator, side=64, about="on", y=3, x=5, pinned="on", over=over)
    chinese.page.locator("#controls").get_by_role("button", name="更多").click()
    for menu in chinese.page.locator("#viewer details > summary").all():
        if not menu.evaluate("(node) => node.parentElement.open"):
            menu.evaluate("(node) => { node.parentElement.open = true; }")
    chinese.until("(root) => root.dataset.counted && root.querySelector('.dv-about-parts td')")
    chinese.until("(root) => root.querySelector('.dv-check')")
    assert english(chinese.page) == []
    chinese.root.locator('[data-action="compare"]').click()
    chinese.hover(IMAGE, 8, 8)
    assert english(chinese.page) == []


def test_the_dropdowns_offer_chinese_and_mean_english(chinese: ChinesePage) -> None:
    chinese.open()
    for name in ("operator", "field", "mask", "weights"):
        chinese.page.locator(f"#{name} input").click()
        assert english(chinese.page) == []
        chinese.page.keyboard.press("Escape")
    chinese.choose("operator", "空间移位")
    chinese.wait_for("Spatial shift | ")
    chinese.choose("directions", "四个对角")
    expect(chinese.page).to_have_url(re.compile("directions=diagonals"))


def test_the_first_picture_speaks_chinese_and_stays(chinese: ChinesePage) -> None:
    late: list[Route] = []
    chinese.page.route("**/assets/Blocks-*.js", lambda route: late.append(route))
    chinese.goto()
    early = ViewerPage(chinese.page)
    early.wait_for("| 170 x 256 |")
    early.wait_loaded()
    assert chinese.page.locator("#explore").count() == 0
    assert english(chinese.page) == []
    before = early.root.bounding_box()
    for route in late:
        route.continue_()
    chinese.until("(root) => root.viewer")
    after = chinese.root.bounding_box()
    assert before is not None
    assert after is not None
    assert [after[k] for k in ("x", "y")] == pytest.approx([before[k] for k in ("x", "y")], abs=1)
    assert english(chinese.page) == []


def test_what_is_refused_is_said_in_chinese(chinese: ChinesePage, tmp_path: Path) -> None:
    chinese.open(stride="x", side=64)
    notes = chinese.root.locator('[data-part="notes"]')
    assert "已忽略链接中的 stride：应为整数，收到 'x'" in notes.inner_text()
    file = tmp_path / "page.png"
    file.write_bytes(b"<html>")
    chinese.upload(file)
    expect(chinese.toast).to_contain_text("但此文件是网页", timeout=WAIT)
    expect(chinese.toast).to_contain_text("注意")
    assert english(chinese.page) == []


def test_the_checkpoint_page_has_no_english_left(chinese: ChinesePage) -> None:
    chinese.open()
    page = chinese.page
    page.get_by_role("tab", name="检查点").click()
    tab = CheckpointPage.__new__(CheckpointPage)
    ViewerPage.__init__(tab, page)
    tab.wait_for("made-up network")
    tab.wait_loaded()
    tab.root.get_by_label("追踪采样点").check()
    tab.root.locator('[data-part="about"] > summary').click()
    tab.until("(root) => root.dataset.counted")
    expect(tab.root.locator('[data-part="followed-text"]')).to_contain_text("层，")
    assert english(page) == []
    page.locator("#made-up-epochs").click()
    tab.wait_for("example_epoch_10")
    tab.wait_loaded()
    tab.until("(root) => root.querySelector('.dv-findings li, .dv-findings p')")
    expect(page.locator("#timeline svg.dv-timeline")).to_be_visible()
    assert english(page) == []
    tab.look_at("backbone.layer4.0.conv2")
    expect(tab.words).to_contain_text("偏移爆炸")
    assert english(page) == []


def test_a_saved_page_speaks_the_language_that_it_is_given(
    open_file: OpenFile, tmp_path: Path
) -> None:
    run = explore(photo_pixels(), Settings(operator="Deformable Conv v2"))
    for language, name in (("en", "kernel"), ("zh", "卷积核")):
        path = tmp_path / f"{language}.html"
        View(run.sampling, photo_pixels(), language=language).save(path)  # type: ignore[arg-type]
        viewer = open_file(path)
        expect(viewer.root.locator(".dv-kernel figcaption")).to_contain_text(name)
        assert (english(viewer.page) == []) == (language == "zh")
