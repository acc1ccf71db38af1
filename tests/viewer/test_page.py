"""The viewer as one file, read as a browser reads it: nothing fetched, no name run as code."""

from __future__ import annotations

import base64
import gzip
import re
import webbrowser
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from records import PHOTO, attention, pixels, run, strict
from safetensors.torch import load

from deformviz import Sampling
from deformviz.explore import OPERATORS
from deformviz.viewer import View, ViewState
from deformviz.viewer.bundle import script
from deformviz.viewer.wire import to_bytes

LOADING = {
    "src", "href", "srcset", "srcdoc", "data", "poster", "action", "formaction", "background",
    "xlink:href", "ping", "manifest", "code", "codebase",
}  # fmt: skip
"""Attributes that make a browser load something or go somewhere."""

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    '"></iframe><script>alert(1)</script>',
    "'onload='alert(1)",
    "$numbers ${script} $$ $",
    "&lt;script&gt; &amp;amp;",
    "]]> --> {{x}}",
    "\u2028\u2029\u0000\u202e 变形 🙂",
]
"""Names as a stranger's checkpoint may have them."""


class Page(HTMLParser):
    """A page's elements with what is directly in them, and its attributes unescaped."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.declarations: list[str] = []
        self.comments: list[str] = []
        self._open: list[list[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), tag
        text: list[str] = []
        self.elements.append((tag, dict(attrs), text))
        if tag not in ("meta", "input"):  # which have no end
            self._open.append(text)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1].append(data)

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def texts(self, tag: str, **attributes: str) -> list[str]:
        """What is in the elements of a tag that have these attributes."""
        return [
            "".join(text)
            for name, found, text in self.elements
            if name == tag and attributes.items() <= found.items()
        ]

    def text(self, tag: str, **attributes: str) -> str:
        """What is in the one element of a tag that has these attributes."""
        (found,) = self.texts(tag, **attributes)
        return found

    @property
    def view(self) -> Any:
        """What the viewer is given."""
        return strict(self.text("script", id="view"))

    @property
    def numbers(self) -> bytes:
        """The record's numbers, unpacked."""
        return gzip.decompress(base64.b64decode(self.text("script", id="numbers"), validate=True))


def small(name: str = "Deformable Conv v2") -> Sampling:
    return replace(run("Deformable Conv v2", field="wave"), name=name)


# One file


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_page_is_one_file(operator: str) -> None:
    s = run(operator, field="random")
    page = Page(View(s, PHOTO).html())
    assert page.declarations == ["doctype html"]
    assert page.text("title") == f"{operator} · deformviz"
    loads = [
        (tag, name, value)
        for tag, attributes, _ in page.elements
        for name, value in attributes.items()
        if name in LOADING
    ]
    assert loads == []
    assert not {"link", "iframe", "object", "embed", "base", "img"} & {
        tag for tag, *_ in page.elements
    }


def test_a_page_holds_the_viewer_and_the_call_that_starts_it() -> None:
    view, numbers, viewer, start = Page(View(small()).html()).texts("script")
    assert strict(view)
    assert numbers
    assert viewer == script()
    assert "deformviz.mount(root).show(" in start


def test_nothing_of_ours_names_an_address() -> None:
    """But for the name of SVG, which nothing is loaded from, and `#` parts of a picture itself."""
    page = Page(View(small(), PHOTO).html())
    ours = [*page.texts("style"), *page.texts("script")]
    for text in ours:
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.[\w./-]*", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}
        assert not re.search(r"@import|url\((?!#)|importScripts|WebSocket|XMLHttpRequest", text)
    for ground in page.view["grounds"].values():
        assert ground["source"].startswith("data:image/")


def test_attributes_run_nothing() -> None:
    """No onclick and its like: a page's policy may forbid them, and names could end up there."""
    page = Page(View(small()).html())
    names = {name for _, attributes, _ in page.elements for name in attributes}
    assert {"class", "data-part"} <= names
    assert [name for name in names if name.startswith("on")] == []


# What it holds


@pytest.mark.parametrize("most", [64, 1000])
def test_many_numbers_come_in_pieces(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("deformviz.viewer.page._PIECE", most)
    page = Page(View(small()).html())
    count = len(page.texts("script", type="application/octet-stream"))
    assert count > 1
    pieces = [page.text("script", id=f"numbers+{i}" if i else "numbers") for i in range(count)]
    assert max(map(len, pieces)) <= most
    # Each by itself, as the browser reads them.
    content = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    assert gzip.decompress(content) == to_bytes(small())


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_numbers_are_the_records(operator: str) -> None:
    s = run(operator, field="random", mask="random")
    page = Page(View(s, PHOTO).html())
    assert page.view["data"] == {"id": "here", "element": "numbers", "size": len(page.numbers)}
    sent = load(page.numbers)
    assert torch.equal(sent["offset"].expand(s.offset.shape), s.offset)
    assert s.output is not None
    assert torch.equal(sent["output"], s.output)
    assert page.numbers == to_bytes(s)


def test_the_view_is_the_record_on_its_photo() -> None:
    s = small()
    view = Page(View(s, PHOTO, ViewState(y=3, x=5, over="mask", zoom=(0, 1, 9, 8))).html()).view
    assert view["header"] == s.header()
    assert view["id"] == "Deformable Conv v2"
    assert view["status"] == "Deformable Conv v2, 3 × 3, output 24 × 17"
    assert (view["notes"], view["checks"]) == ([], [])
    assert np.array_equal(pixels(view["grounds"]["image"]["source"]), PHOTO)
    state = view["state"]
    assert (state["y"], state["x"], state["over"]) == (3, 5, "mask")
    assert state["zoom"] == [0, 1, 9, 8]
    assert (view["reading"]["y"], view["reading"]["x"]) == (3, 5)


def test_the_view_opens_on_the_middle() -> None:
    view = Page(View(small()).html()).view
    assert (view["state"]["y"], view["state"]["x"]) == (None, None)
    assert (view["reading"]["y"], view["reading"]["x"]) == (12, 8)


def test_a_position_that_the_record_does_not_have_is_no_failure() -> None:
    """A state may have been made for another record: the viewer goes to the nearest, too."""
    view = Page(View(small(), state=ViewState(y=999, x=3)).html()).view
    assert (view["reading"]["y"], view["reading"]["x"]) == (23, 3)


def test_what_else_is_to_be_told_is_told() -> None:
    checks = [{"claim": "<b>all</b>", "difference": 0.5, "passed": False}]
    view = Page(View(small(), told={"checks": checks, "notes": ["shrunk"]}).html()).view
    assert (view["checks"], view["notes"]) == (checks, ["shrunk"])


def test_a_photo_that_the_map_does_not_cover_is_refused() -> None:
    with pytest.raises(ValueError, match="does not cover an image of"):
        View(small(), np.zeros((96, 68, 3), np.uint8)).html()


# Names from outside


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_name_is_never_markup(name: str) -> None:
    channels = (name, f"{name}{name}", "x")
    s = replace(small(name), channel_names=channels)
    page = Page(View(s, PHOTO, told={"notes": [name]}).html())
    plain = Page(View(small(), PHOTO).html())
    assert [tag for tag, *_ in page.elements] == [tag for tag, *_ in plain.elements]
    assert page.comments == []
    assert [a for _, a, _ in page.elements] == [a for _, a, _ in plain.elements]
    assert page.texts("script")[2:] == plain.texts("script")[2:]
    assert page.view["header"]["name"] == name
    assert page.view["channels"]["input"] == list(channels)
    assert page.view["status"] == f"{name}, 3 × 3, output 24 × 17"
    assert page.view["notes"] == [name]
    # HTML has no NUL; all else is there to the letter.
    assert page.text("title") == f"{name} · deformviz".replace("\0", page.text("title")[2:3])


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_no_script_begins_in_a_name(name: str) -> None:
    """As browsers have it: in a script, `<!--` followed by `<script` hides the end that follows."""
    html = View(small(name), told={"notes": [name]}).html()
    begin = html.index('<script type="application/json" id="view">')
    data = html[begin : html.index("</script>", begin)].partition(">")[2]
    assert strict(data)["header"]["name"] == name
    assert "<" not in data


def test_half_a_character_is_no_failure(tmp_path: Path) -> None:
    """JSON can hold one, and so can the header of a file; UTF-8 cannot."""
    view = View(small("layer \ud83d"))
    view.save(tmp_path / "view.html")
    page = Page((tmp_path / "view.html").read_text(encoding="utf-8"))
    assert page.text("title") == "layer ? · deformviz"
    assert page.view["header"]["name"] == "layer \ud83d"
    view._repr_html_().encode()


# In a notebook, in a file, in a browser


@pytest.mark.parametrize("name", ["Deformable Conv v2", *HOSTILE], ids=repr)
def test_in_a_notebook_it_is_one_frame_of_its_own(name: str) -> None:
    view = View(small(name), PHOTO)
    ((tag, attributes, text),) = Page(view._repr_html_()).elements
    assert (tag, text) == ("iframe", [])
    inside = Page(attributes["srcdoc"] or "")
    assert inside.view == Page(view.html()).view
    assert inside.numbers == to_bytes(view.sampling)
    assert len(inside.texts("script")) == 4
    allowed = set((attributes["sandbox"] or "").split())
    assert allowed == {"allow-scripts", "allow-downloads"}  # neither the notebook's origin nor tab
    assert set(attributes) == {"srcdoc", "width", "height", "style", "sandbox", "title"}


def test_the_frame_holds_the_page_to_the_letter() -> None:
    view = View(small())
    ((_, attributes, _),) = Page(view._repr_html_()).elements
    expected, got = (
        re.sub(r'(id="numbers">)[^<]*', r"\1", text)  # gzip notes the time
        for text in (view.html(), attributes["srcdoc"] or "")
    )
    assert got == expected


@pytest.mark.parametrize("kind", [str, Path])
def test_it_is_saved(tmp_path: Path, kind: type) -> None:
    view = View(attention())
    path = tmp_path / "view.html"
    path.write_text("what was there before, and longer" * 10**6)
    view.save(kind(path))
    page = Page(path.read_text(encoding="utf-8"))
    assert page.numbers == to_bytes(view.sampling)
    assert page.view["header"]["name"] == "attention"


def test_it_is_opened_in_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    path = View(small()).open()
    try:
        assert path.is_file()
        assert opened == [path.as_uri()]
        assert opened[0].startswith("file://")
        assert Page(path.read_text(encoding="utf-8")).text("title")
    finally:
        path.unlink()
        path.parent.rmdir()


def test_it_is_opened_beside_those_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, second = (View(small(name)).open() for name in ("one", "two"))
    assert [Page(path.read_text("utf-8")).view["id"] for path in (first, second)] == ["one", "two"]


def test_a_view_is_not_changed() -> None:
    view = View(small())
    with pytest.raises(AttributeError):
        view.image = PHOTO
