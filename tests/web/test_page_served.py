"""The page itself, as a running server hands it out."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import httpx
import pytest
from safetensors.torch import load
from served import Served, direct

from deformviz import examples
from deformviz.viewer.bundle import script
from deformviz.web.explore_tab import FIRST_IMAGE, FIRST_STATE
from deformviz.words import LANGUAGES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio")


def opened(served: Served) -> Any:
    """What the viewer shows when the English page, which comes first, is opened."""
    components = httpx.get(f"{served.url}config").json()["components"]
    viewers = [c for c in components if c["props"].get("elem_id") == "viewer"]
    assert len(viewers) == len(LANGUAGES)
    return viewers[0]["props"]


def test_the_page_and_its_scripts_are_served_from_here(served: Served) -> None:
    for path, language in (("", "en"), ("zh", "zh")):
        page = httpx.get(served.url + path, follow_redirects=True)
        assert page.status_code == 200
        (path,) = re.findall(r"'(/deformviz-static/\w+/viewer\.js\?v=\w+)'", page.text)
        answer = httpx.get(served.url.rstrip("/") + path)
        assert answer.status_code == 200
        assert answer.content == script(language).encode()
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]  # its address has a tag of it
    for name in ("style.css", "../server.py", "", "mount.js", "viewer.js", "xx/viewer.js"):
        assert httpx.get(f"{served.url}deformviz-static/{name}").status_code == 404


def test_the_page_opens_on_an_example_that_is_there_already(served: Served) -> None:
    view = json.loads(opened(served)["value"])
    ours = direct(examples.path(FIRST_IMAGE)).sampling
    assert view["header"] == ours.header()
    assert (view["state"]["y"], view["state"]["x"]) == (FIRST_STATE.y, FIRST_STATE.x)
    assert (view["reading"]["y"], view["reading"]["x"]) == (FIRST_STATE.y, FIRST_STATE.x)
    checks = httpx.get(served.url.rstrip("/") + view["data"]["checks"]).json()
    assert [check["passed"] for check in checks] == [True, True]
    content = httpx.get(served.url.rstrip("/") + view["data"]["url"]).content
    sent = load(content)
    assert sent["offset"].numpy() == pytest.approx(ours.offset.numpy(), abs=1e-4)
    assert ours.output is not None
    assert sent["output"].numpy() == pytest.approx(ours.output.numpy(), abs=1e-5)


def test_numbers_come_as_long_as_they_say(served: Served) -> None:
    """The viewer makes room for them by their length, which no packing on the way may change."""
    url = served.url.rstrip("/") + json.loads(opened(served)["value"])["data"]["url"]
    answer = httpx.get(url, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "no-store" in answer.headers["cache-control"]


def test_the_files_to_take_along_are_served(served: Served) -> None:
    downloads = json.loads(opened(served)["value"])["downloads"]
    beginnings = {
        "html": b"<!doctype html>",
        "gif": b"GIF89a",
        "npz": b"PK\x03\x04",
        "safetensors": None,
    }
    assert {url.rpartition(".")[2] for url in downloads.values()} == set(beginnings)
    for url in downloads.values():
        answer = httpx.get(served.url.rstrip("/") + url, timeout=60)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        begins = beginnings[url.rpartition(".")[2]]
        if begins is not None:
            assert answer.content.startswith(begins)
        else:
            assert load(answer.content)["offset"].dim() == 5


def test_the_numbers_of_others_are_not_listed(served: Served) -> None:
    for path in ("deformviz-run", "deformviz-run/", "deformviz-run/x/numbers"):
        assert httpx.get(served.url + path).status_code == 404


def test_an_upload_that_is_too_large_is_refused(served: Served) -> None:
    with io.BytesIO(bytes(212_000_000)) as large:
        answer = httpx.post(
            f"{served.url}gradio_api/upload", files={"files": ("x.png", large)}, timeout=60
        )
    assert answer.status_code == 413
    served.assert_alive()
