"""The lessons over HTTP: every answer is JSON, and what goes wrong is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deformviz.lessons import LessonError
from deformviz.web.lesson_server import Library, routes, script_path
from deformviz.web.lesson_words import words
from deformviz.words import speaking

HOSTILE = """
title = "<script>alert(1)</script>"
learn = "<img src=x onerror=alert(1)>"
minutes = 1
view = "side=32"
[[step]]
title = "</div><b>"
text = "<svg onload=alert(1)> {n}"
numbers = { n = "base y 8" }
[[step]]
title = "beyond"
text = "{n}"
numbers = { n = "base y 9" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lessons")
    (folder / "hostile.toml").write_text(HOSTILE)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes(Library("cpu", [folder])))) as client:
        yield client


def test_the_list_has_all_lessons_and_words(client: TestClient) -> None:
    found = client.get("/deformviz-lessons").json()
    assert found["lessons"][0]["title"] == "Why move the taps?"
    assert found["lessons"][-1]["name"] == "hostile"  # without an order, it comes last
    assert found["words"]["next"] == "Next"
    chinese = client.get("/deformviz-lessons?lang=zh").json()
    assert chinese["lessons"][0]["title"] == "为什么要移动采样点？"
    assert chinese["words"]["next"] == "下一步"
    assert client.get("/deformviz-lessons?lang=<b>").json() == found


def test_a_step_has_its_text_tasks_and_view(client: TestClient) -> None:
    step = client.get("/deformviz-lessons/dilated-and-ordinary/1?lang=zh").json()
    assert step["title"] == "同样九个点，看得更远"
    assert step["tasks"][0]["done"] == {"kind": "control", "name": "dilation", "is": 4, "within": 0}
    assert step["controls"][0]["value"] == "1"
    assert step["view"]["header"]["name"] == "Convolution"
    assert "dilation=1" in step["view"]["query"]
    changed = client.get("/deformviz-lessons/dilated-and-ordinary/1?dilation=4").json()
    assert changed["controls"][0]["value"] == "4"


def test_options_are_in_one_language(client: TestClient) -> None:
    step = client.get("/deformviz-lessons/why-move-the-taps/5?lang=zh").json()
    assert step["tasks"][1]["done"]["options"][0] == "人工标注"


def test_hostile_text_stays_text(client: TestClient) -> None:
    step = client.get("/deformviz-lessons/hostile/1").json()
    assert step["title"] == "</div><b>"
    assert step["text"][0]["parts"] == [{"text": "<svg onload=alert(1)> 91"}] or (
        step["text"][0]["parts"][0]["text"].startswith("<svg onload=alert(1)> ")
    )


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("nothing/1", 404, "There is no such step."),
        ("the-mask/0", 404, "There is no such step."),
        ("the-mask/99", 404, "There is no such step."),
        ("the-mask/3?mask_strength=7", 422, "the-mask.toml, step 3: the link's mask_strength"),
        ("the-mask/3?operator=DRConv", 422, "the-mask.toml, step 3: the step has no control"),
        ("hostile/2", 422, "hostile.toml, step 2: there is no tap 9: the kernel has 9"),
    ],
)
def test_what_cannot_be_shown_is_said(
    client: TestClient, path: str, status: int, message: str
) -> None:
    answer = client.get(f"/deformviz-lessons/{path}")
    assert answer.status_code == status
    assert answer.json()["problem"].startswith(message)


def test_a_fault_says_nothing_of_the_server(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("/etc/secret")

    monkeypatch.setattr("deformviz.web.lesson_views.open_link", fail)
    answer = client.get("/deformviz-lessons/five-shifts/1?lang=en")
    if answer.status_code == 200:  # it was made before
        answer = client.get("/deformviz-lessons/five-shifts/2?border=circular")
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_the_script_is_kept_by_browsers(client: TestClient) -> None:
    answer = client.get(script_path())
    assert "immutable" in answer.headers["cache-control"]
    assert "window.deformvizLessons = { mountLessons }" in answer.text


def test_a_file_that_is_no_lesson_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(HOSTILE.replace("side=32", "side=31"))
    with pytest.raises(LessonError, match=r"^mine\.toml, step 1: the view's side was left out"):
        Library("cpu", [tmp_path])


def test_every_word_is_there_in_chinese() -> None:
    english = words()
    with speaking("zh"):
        chinese = words()
    assert json.dumps(chinese, ensure_ascii=False) != json.dumps(english)
    assert [name for name in english if english[name] == chinese[name]] in ([], ["copy", "copied"])
