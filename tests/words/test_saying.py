"""Saying things: which line a text is told by, in Python and in the viewer's script alike."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deformviz.viewer import bundle
from deformviz.words import catalogue, patterns, say, speaking, spoken
from deformviz.words.saying import matched

TOLD = {
    "Kernel": "卷积核",
    "tap {tap}": "采样点 {tap}",
    "dilation 6": "膨胀率 6",
    "In group 3, the offsets move 12 % of the taps off the map, more than 5 %: what those read is "
    "zero.": "第 3 组：偏移把 12 % 的采样点移到图外（超过 5 %），它们读到的都是零。",
    "the link's seed was left out: expected a whole number, got 'x'": (
        "已忽略链接中的 seed：应为整数，收到 'x'"
    ),
    "Assumed: mask activation, order.": "推测的项：掩码激活，顺序。",
    "The file has no layer of this name. Its masks are sigmoid, not softmax.": (
        "文件中没有此名称的层。其掩码为 sigmoid，而非 softmax。"
    ),
    "equals the strategy roll, on the middle 64 × 64": "等于实现方式 roll（中央 64 × 64）",
    "what nobody has written a line for": "what nobody has written a line for",
    "from mask to tap 3 of group 4": "from mask to tap 3 of group 4",
    "{reason} of {tap}": "{reason} of {tap}",
    "": "",
}


@pytest.mark.parametrize("text", TOLD)
def test_a_text_is_told_by_its_line(text: str) -> None:
    with speaking("zh"):
        assert say(text) == TOLD[text]
    assert say(text) == text


def test_placeholders_take_values_and_values_none() -> None:
    with speaking("zh"):
        assert say("compare with {file}", file="{tap} <b>") == "与 {tap} <b> 对比"
    assert say("compare with {file}", file="{file}") == "compare with {file}"


def test_a_language_is_spoken_where_it_is_asked_for() -> None:
    heard = []
    with speaking("zh"):
        other = threading.Thread(target=lambda: heard.append(spoken()))
        other.start()
        other.join()
        with speaking("en"):
            heard.append(spoken())
        heard.append(spoken())
    assert [*heard, spoken()] == ["en", "en", "zh", "en"]


def test_an_error_ends_it() -> None:
    with pytest.raises(KeyError), speaking("zh"):
        raise KeyError
    assert spoken() == "en"


@given(st.lists(st.text("ab ,:", min_size=1), min_size=2, max_size=4))
def test_what_a_pattern_finds_gives_the_text_again(parts: list[str]) -> None:
    template = "{a}, got {b}: {c}, {d}"
    rests = (", got ", ": ", ", ", "")[: len(parts)]
    text = "".join(f"{part}{rest}" for part, rest in zip(parts, rests, strict=True))
    found = matched(template, text)
    if len(parts) == 4:
        assert found is not None
    if found is not None:
        assert re.sub(r"\{(\w)\}", lambda name: found[name[1]], template) == text
        assert all(found.values())


def test_a_strangers_long_name_costs_no_time() -> None:
    """Backtracking would take years."""
    text = "Not opened: " + ": " * 5000 + "expected , got " * 5000
    with speaking("zh"):
        assert say(text).startswith("未打开：")


def test_patterns_with_more_words_come_first() -> None:
    lengths = [len(re.sub(r"\{\w+\}", "", text)) for text in patterns("zh")]
    assert all(before >= after for before, after in pairwise(lengths))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_says_the_same() -> None:
    """`words.js` as the bundle has it, on every line and on what patterns stand for."""
    source = (bundle.STATIC / "words.js").read_text(encoding="utf-8").replace("export ", "")
    texts = [*catalogue("zh"), *TOLD, *(re.sub(r"\{\w+\}", "mask", p) for p in patterns("zh"))]
    program = (
        f"const CATALOGUE = {json.dumps(catalogue('zh'))};\n"
        f"const PATTERNS = {json.dumps(patterns('zh'))};\n{source}\n"
        f"console.log(JSON.stringify({json.dumps(texts)}.map((text) => t(text))));"
    )
    done = subprocess.run(["node"], input=program, capture_output=True, text=True, check=True)
    with speaking("zh"):
        assert json.loads(done.stdout) == [say(text) for text in texts]
