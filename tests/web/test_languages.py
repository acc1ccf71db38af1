"""The page in both languages: the same controls with the same values, and words of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from deformviz.web import server
from deformviz.web.guard import clear_errors
from deformviz.words import say, speaking

SAID = ("label", "info", "placeholder")
NAMES = re.compile(
    "deformviz|CPU|EN|DRConv|CoordConv|Active Shift|CycleFC|Sobel|deform_conv2d|grid_sample|roll|"
    "slice|depthwise|unit|signed|imagenet|mmcv DCNv2|safetensors|torch.save|pth|ckpt|bin|onnx|pt|"
    "layer[123]|untrained|sigmoid|softmax|clamp-double|px|made-up network|"
    "Alt|Esc|PNG|SVG|HTML|NPZ|GIF"
)


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return server.build("cpu").get_config_file()


def components(config: dict[str, Any], page: str) -> list[dict[str, Any]]:
    mine = set(config["page"][page]["components"])
    return [one for one in config["components"] if one["id"] in mine]


def said(one: dict[str, Any]) -> Iterator[str]:
    """What a component shows."""
    props = one["props"]
    yield from (props[name] for name in SAID if props.get(name))
    if one["type"] not in ("html", "dropdown", "radio", "slider", "number", "checkbox"):
        yield from (text for text in [props.get("value")] if isinstance(text, str))
    yield from (str(shown) for shown, _ in props.get("choices") or ())
    if one["type"] == "html":
        texts = [props["html_template"]]
        if "dv-viewer" not in props["html_template"]:
            texts.append(props["value"])
        for text in texts:
            yield from re.findall(r">([^<>]+)<", re.sub("<(style|script).*?</", "", text))
            yield from re.findall(r'(?:title|aria-label|placeholder)="([^"]*)"', text)


def test_nothing_on_the_chinese_page_is_in_english(config: dict[str, Any]) -> None:
    texts = [
        text
        for one in components(config, "zh")
        if one["props"].get("elem_id") not in ("family", "order")  # names of code bases, layouts
        for text in said(one)
    ]
    assert len(texts) > 150
    left = [text for text in texts if re.search("[A-Za-z]{2,}", NAMES.sub("", text))]
    left = [text for text in left if "{" not in text]  # of a template
    assert left == []


def test_the_english_page_has_no_chinese_but_the_switch(config: dict[str, Any]) -> None:
    chinese = [
        text
        for one in components(config, "")
        for text in said(one)
        if re.search("[\u3000-\u9fff\uff00-\uffef]", text)
    ]
    assert chinese == ["中文"]


def test_values_are_the_same_in_both(config: dict[str, Any]) -> None:
    def values(page: str) -> list[tuple[str, str, Any, list[Any]]]:
        return [
            (one["type"], props.get("elem_id") or "", props.get("value"), choices)
            for one in components(config, page)
            if one["type"] in ("dropdown", "radio", "slider", "number", "checkbox", "state")
            for props in [one["props"]]
            for choices in [[value for _, value in props.get("choices") or ()]]
        ]

    shown = [row for row in values("") if row[1]]
    assert len(shown) > 30
    assert shown == [row for row in values("zh") if row[1]]


def test_endpoints_are_there_once(config: dict[str, Any]) -> None:
    public = [
        one["api_name"] for one in config["dependencies"] if one["api_visibility"] == "public"
    ]
    assert sorted(public) == ["compare_shifts", "explore", "options", "sampling"]


def test_a_handler_speaks_the_language_of_its_page() -> None:
    with speaking("zh"):

        @clear_errors
        def fails() -> None:
            raise ValueError("stride must be a whole number, got 1.5")

        @clear_errors
        def steps() -> Iterator[str]:
            yield say("Kernel")
            yield say("Mask")
            raise ValueError("choose a file")

    with pytest.raises(gr.Error) as caught:
        fails()
    assert caught.value.title == "无法执行"
    assert caught.value.message == "步幅必须是整数，收到 1.5"
    taken = steps()
    assert [next(taken), next(taken)] == ["卷积核", "掩码"]
    with pytest.raises(gr.Error, match="请选择一个文件"):
        next(taken)
    assert say("Kernel") == "Kernel"


def test_what_the_viewer_is_given_is_the_same(config: dict[str, Any]) -> None:
    """It tells it in its own words, so that programs and links have one."""
    views = [
        {k: v for k, v in json.loads(one["props"]["value"]).items() if k != "data"}
        for page in ("", "zh")
        for one in components(config, page)
        if one["props"].get("elem_id") == "viewer"
    ]
    assert len(views) == 2
    assert views[0] == views[1]
