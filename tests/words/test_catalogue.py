"""The catalogue has what the page says, and nothing else."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import gradio
import pytest

import deformviz
from deformviz import examples
from deformviz.analysis.finding import Kind, Severity
from deformviz.checkpoints.family import Activation, Outside
from deformviz.explore import OPERATORS, PARAMETER_NAMES
from deformviz.explore.recipe import COLORS
from deformviz.fields import FIELDS, MASKS
from deformviz.guides import GUIDES
from deformviz.kernels import KERNELS
from deformviz.operators.spatial_shift import BORDERS, DIRECTIONS, Border
from deformviz.training import EQUAL_TIME, TASKS
from deformviz.words import catalogue, patterns
from deformviz.words.catalogue import PLACEHOLDER, placeholders

PACKAGE = Path(deformviz.__file__).parent
FILE = PACKAGE / "words" / "static" / "zh.toml"
STATIC = PACKAGE / "viewer" / "static"
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
PAGES = (STATIC / "viewer.html", PACKAGE / "web" / "static" / "train.html")
MARKUP = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
TREES = {
    path: ast.parse(path.read_text(encoding="utf-8"))
    for path in PACKAGE.rglob("*.py")
    if path.parent.name != "words"
}
CHINESE = catalogue("zh")
LITERAL = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")


def first_argument(source: str, start: int) -> str:
    """A call's first argument, from behind its parenthesis."""
    depth, quote = 0, ""
    for i in range(start, len(source)):
        letter = source[i]
        if quote:
            quote = "" if letter == quote and source[i - 1] != "\\" else quote
        elif letter in "'\"`":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}," and depth == 0:
            return source[start:i]
        elif letter in ")]}":
            depth -= 1
    raise ValueError(source[start : start + 40])


def said_in_script(source: str) -> Iterator[str]:
    """The texts of t('...'), each of t(a ? 'one' : 'other')."""
    for call in re.finditer(r"(?<![\w.$])t\(", source):
        argument = first_argument(source, call.end())
        for found in LITERAL.finditer(argument):
            if not argument[: found.start()].rstrip().endswith("==="):
                yield (found[1] if found[1] is not None else found[2]).replace("\\'", "'")


def said_in_python(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
            argument = node.args[0]
            options = [argument]
            if isinstance(argument, ast.IfExp):
                options = [argument.body, argument.orelse]
            for option in options:
                if isinstance(option, ast.Constant):
                    yield option.value
                assert not isinstance(option, ast.JoinedStr), "an f-string is no key"


def said_in_markup() -> Iterator[str]:
    """What stands between the viewer's elements, and what is said of them."""
    for text in re.findall(r">([^<>]+)<", MARKUP):
        if re.search("[a-z]", text):
            yield text.strip()
    yield from re.findall(r'(?:title|aria-label|placeholder|alt)="([^"]+)"', MARKUP)


def names() -> Iterator[str]:
    """What there is to choose from."""
    yield from (*OPERATORS, *FIELDS, *MASKS, *GUIDES, *KERNELS, *DIRECTIONS, *BORDERS, *COLORS)
    yield from PARAMETER_NAMES
    yield from (*get_args(Border), *examples.names(), *get_args(Kind), *get_args(Severity))
    yield from (*get_args(Activation), *get_args(Outside))
    yield from (row.unit for row in FIELDS.values())


def test_the_scanner_finds_what_is_said() -> None:
    source = "t('a {b}', { b }); t(x === 'no' ? 'one' : \"it's\"); set('no'); act(t(`no`))"
    assert list(said_in_script(source)) == ["a {b}", "one", "it's"]


def test_what_a_script_says_has_a_line() -> None:
    said = [text for source in SCRIPTS.values() for text in said_in_script(source)]
    assert len(said) > 100
    assert [text for text in said if text not in CHINESE] == []


def test_what_a_module_says_has_a_line() -> None:
    said = [text for tree in TREES.values() for text in said_in_python(tree)]
    assert len(said) > 50
    assert [text for text in said if text not in CHINESE] == []


def test_the_viewers_markup_has_its_lines() -> None:
    assert [text for text in said_in_markup() if text not in CHINESE] == []


def test_names_have_their_lines() -> None:
    assert [name for name in names() if name not in CHINESE] == []


@pytest.mark.parametrize("name", list(TASKS))
def test_what_a_training_says_has_a_line(name: str) -> None:
    task = TASKS[name]
    settled = task.settle()
    said = [task.title, task.lesson, task.measure, "seed", EQUAL_TIME, *task.build(settled)]
    said += [kind for kind in task.held_out(settled, 2) if kind != "shown"]
    for knob in task.knobs.values():
        said += [knob.label, *(value for value in knob.values if isinstance(value, str))]
    assert [text for text in said if text not in CHINESE] == []


def test_placeholders_are_the_same_in_both() -> None:
    differ = [k for k, v in CHINESE.items() if sorted(placeholders(k)) != sorted(placeholders(v))]
    assert differ == []


def test_a_line_is_there_once() -> None:
    """TOML itself refuses a key twice in a section, but not in two."""
    lines = re.findall(r"^(\".*?\"|'.*?') = ", FILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) == len(CHINESE)
    assert len(set(lines)) == len(lines)


def test_a_line_is_said_somewhere() -> None:
    """Each piece between its placeholders stands in the package; a name's underscore is a space.

    Of Gradio's own words, in the script of its page.
    """
    texts = [
        node.value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    texts += [text.replace("_", " ") for text in texts if len(text) < 40]
    everything = "\n".join([*texts, *SCRIPTS.values(), MARKUP, *examples.names()])
    frontend = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
    gradios = "\n".join(path.read_text(encoding="utf-8") for path in frontend.glob("*.js"))
    of_gradio = tomllib.loads(FILE.read_text(encoding="utf-8"))["sentences"]["gradio"]
    unused = [
        text
        for text in CHINESE
        for source in [gradios if text in of_gradio else everything]
        if any(piece.strip() not in source for piece in PLACEHOLDER.split(text)[::2])
    ]
    assert unused == []


def test_a_pattern_has_words_of_its_own() -> None:
    """One without them would stand for whatever a person's file is called."""
    assert len(patterns("zh")) > 50
    for text in patterns("zh"):
        assert re.search("[a-z]{2}|□|●|±", PLACEHOLDER.sub("", text)), text


def test_chinese_is_chinese() -> None:
    kept = {key for key, words in CHINESE.items() if key == words}
    assert len(kept) < 0.1 * len(CHINESE)
    for key in CHINESE.keys() - kept:
        own = PLACEHOLDER.sub("", CHINESE[key])
        assert re.search("[\u3000-\u9fff\uff00-\uffef]", own) or not re.search("[A-Za-z]", own), key
