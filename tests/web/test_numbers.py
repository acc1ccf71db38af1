"""What is kept of a run, and what comes of it over HTTP."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load
from starlette.applications import Starlette
from starlette.testclient import TestClient
from torch import Tensor

from deformviz import Sampling
from deformviz.analysis import findings
from deformviz.explore import OPERATORS, Exploration, Settings, explore
from deformviz.web import numbers
from deformviz.web.numbers import ROUTES, Kept, Shelf, downloads_part, numbers_part

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 17, 3), dtype=np.uint8)


@cache
def ran(operator: str = "Deformable Conv v2") -> Exploration:
    return explore(PIXELS, Settings(operator=operator, field="random", mask="random"))


def kept(operator: str = "Deformable Conv v2") -> Kept:
    """As the page keeps a run: for the same run, the same Sampling."""
    return Kept(ran(operator).sampling, PIXELS)


def another(operator: str = "Deformable Conv v2") -> Kept:
    """A record of its own, of the same tensors."""
    return Kept(replace(ran(operator).sampling), PIXELS)


def tensors(sampling: Sampling) -> dict[str, Tensor]:
    values = {field.name: getattr(sampling, field.name) for field in fields(sampling)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def size(run: Kept) -> int:
    """The bytes of a run's tensors, without what is expanded, and of the photo."""
    return PIXELS.nbytes + sum(
        tensor.element_size()
        * int(np.prod([n for n, s in zip(tensor.shape, tensor.stride(), strict=True) if s]))
        for tensor in tensors(run.sampling).values()
    )


# The shelf


def test_a_run_is_kept_under_its_name() -> None:
    shelf, run = Shelf(), another()
    name = shelf.put(run)
    assert shelf.get(name) is run
    assert shelf.get("") is None
    assert shelf.get(name[:-1]) is None


def test_the_same_run_has_one_name() -> None:
    shelf, run, other = Shelf(), another(), another()
    name = shelf.put(run)
    assert shelf.put(other) != name
    assert shelf.put(run) == name
    assert shelf.put(run, for_good=True) == name


def test_names_cannot_be_guessed() -> None:
    """128 bits of chance in each, and none in common."""
    shelf = Shelf()
    runs = [another() for _ in range(50)]
    names = [shelf.put(run) for run in runs]
    assert len(set(names)) == 50
    assert {len(name) for name in names} == {22}  # of 6 bits
    assert all(name.replace("-", "").replace("_", "").isalnum() for name in names)
    assert Shelf().put(runs[0]) not in names


def test_the_oldest_go_when_there_is_no_more_room() -> None:
    runs = [another() for _ in range(5)]
    shelf = Shelf(3 * size(runs[0]))
    names = [shelf.put(run) for run in runs]
    assert [shelf.get(name) is not None for name in names] == [False, False, True, True, True]


def test_one_that_is_asked_for_again_is_not_the_oldest() -> None:
    runs = [another() for _ in range(4)]
    shelf = Shelf(3 * size(runs[0]))
    names = [shelf.put(run) for run in runs[:3]]
    shelf.put(runs[0])
    names.append(shelf.put(runs[3]))
    assert [shelf.get(name) is not None for name in names] == [True, False, True, True]


def test_room_is_counted_to_the_byte() -> None:
    runs = [another(), another()]
    for room, kept in [(2 * size(runs[0]), True), (2 * size(runs[0]) - 1, False)]:
        shelf = Shelf(room)
        first, _ = (shelf.put(run) for run in runs)
        assert (shelf.get(first) is not None) == kept


@pytest.mark.parametrize("operator", ["Convolution", "Active Shift"])
def test_what_takes_no_memory_takes_no_room(operator: str) -> None:
    runs = [another(operator) for _ in range(3)]
    assert size(runs[0]) < sum(t.nbytes for t in tensors(runs[0].sampling).values())
    shelf = Shelf(3 * size(runs[0]))
    assert all(shelf.get(name) for name in [shelf.put(run) for run in runs])


def test_the_latest_is_kept_however_large_it_is() -> None:
    shelf = Shelf(most_bytes=0)
    first, second = shelf.put(another()), shelf.put(another())
    assert shelf.get(first) is None
    assert shelf.get(second) is not None


@pytest.mark.parametrize("again", [False, True], ids=["at first", "later"])
def test_what_is_kept_for_good_outlives_all_others(again: bool) -> None:
    """The example that every page opens on is the first run of all, but never the first to go."""
    shelf, example = Shelf(most_bytes=0), another()
    if again:
        shelf.put(example)
    name = shelf.put(example, for_good=True)
    for _ in range(5):
        latest = shelf.put(another())
        shelf.put(example)  # as whoever opens the page does
        assert shelf.get(name) is not None
        assert shelf.get(latest) is not None


def test_what_is_kept_for_good_takes_no_room_of_others() -> None:
    runs = [another() for _ in range(4)]
    shelf = Shelf(2 * size(runs[0]))
    names = [shelf.put(run, for_good=i < 2) for i, run in enumerate(runs)]
    assert all(shelf.get(name) is not None for name in names)


def test_a_run_that_was_let_go_comes_back_under_another_name() -> None:
    shelf, run = Shelf(most_bytes=0), another()
    name = shelf.put(run)
    shelf.put(another())
    again = shelf.put(run)
    assert again != name
    assert shelf.get(name) is None
    assert shelf.get(again) is not None


def test_what_the_viewer_was_told_takes_room() -> None:
    """Most of it are pictures as text."""
    told = {"grounds": {"image": "x" * 700}, "notes": ["y" * 300], "groups": 3}
    for room, kept in [(size(another()) * 2 + 1000, True), (size(another()) * 2 + 999, False)]:
        shelf = Shelf(room)
        first = shelf.put(Kept(another().sampling, PIXELS, told))
        shelf.put(another())
        assert (shelf.get(first) is not None) == kept


def test_what_nobody_asks_for_goes_in_time() -> None:
    now = 0.0
    shelf = Shelf(idle=100, clock=lambda: now)
    example = shelf.put(another(), for_good=True)
    run, other = another(), another()
    name, gone = shelf.put(run), shelf.put(other)
    now = 60
    assert shelf.get(name) is run
    now = 120
    shelf.passing.sweep()
    assert shelf.get(gone) is None
    assert shelf.get(name) is run
    assert shelf.get(example) is not None
    assert shelf.put(other) != gone
    assert shelf.passing.held == 2 * size(run)


def test_many_may_put_the_same_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one still looks for a name, the others wait for it."""
    chance = numbers.secrets.token_urlsafe

    def slow(length: int) -> str:
        time.sleep(0.02)
        return chance(length)

    monkeypatch.setattr(numbers.secrets, "token_urlsafe", slow)
    shelf, run, ready = Shelf(), another(), threading.Barrier(8)

    def put(_: int) -> str:
        ready.wait()
        return shelf.put(run)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(put, range(8)))) == 1


def test_many_may_put_and_get_at_once() -> None:
    runs = [another() for _ in range(40)]
    shelf = Shelf(5 * size(runs[0]))
    example = shelf.put(another(), for_good=True)

    def use(run: Kept) -> str:
        name = shelf.put(run)
        found = shelf.get(name)
        assert found is None or found is run
        assert shelf.get(example) is not None
        return name

    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(use, runs * 5))
    assert sum(shelf.get(name) is not None for name in set(names)) == 5


# Over HTTP


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(numbers, "SHELF", Shelf())
    with TestClient(Starlette(routes=ROUTES)) as asking:
        yield asking


@pytest.fixture
def downloads(client: TestClient) -> dict[str, str]:
    """The addresses of a run's files, by their ends."""
    return {url.rpartition(".")[2]: url for url in downloads_part(kept()).values()}


def test_a_view_says_where_its_numbers_are(client: TestClient) -> None:
    part = numbers_part(kept())
    answer = client.get(str(part["url"]))
    assert answer.status_code == 200
    sent = load(answer.content)
    assert part["size"] == sum(tensor.nbytes for tensor in sent.values())
    assert str(part["id"]) in str(part["url"])


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_numbers_are_the_records(client: TestClient, operator: str) -> None:
    run = kept(operator)
    sent = load(client.get(str(numbers_part(run)["url"])).content)
    expected = tensors(run.sampling)
    assert set(sent) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(sent[name].expand(tensor.shape), tensor), name


def test_findings_and_facts_are_asked_for_apart(client: TestClient) -> None:
    answer = client.get(str(numbers_part(kept())["facts"])).json()
    assert [found["kind"] for found in answer["findings"]] == [
        found.kind for found in findings(ran().sampling)
    ]
    assert len(answer["facts"]) > 5
    told = Kept(replace(ran().sampling), PIXELS, {"findings": []})
    assert client.get(str(numbers_part(told)["facts"])).json() == {**answer, "findings": []}


def test_one_run_has_one_address(client: TestClient) -> None:
    assert numbers_part(kept()) == numbers_part(kept())
    assert numbers_part(another())["id"] != numbers_part(kept())["id"]
    files = downloads_part(kept()).values()
    name = str(numbers_part(kept())["id"])
    assert all(f"/{name}/" in url for url in files)


def test_there_are_four_files(downloads: dict[str, str]) -> None:
    assert set(downloads) == {"html", "gif", "npz", "safetensors"}


def test_the_safetensors_is_the_record(
    client: TestClient, downloads: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "sampling.safetensors"
    path.write_bytes(client.get(downloads["safetensors"]).content)
    loaded, expected = Sampling.load(path), ran().sampling
    assert loaded.header() == expected.header()
    assert set(tensors(loaded)) == set(tensors(expected))
    for name, tensor in tensors(expected).items():
        assert torch.equal(tensors(loaded)[name], tensor), name


def test_the_npz_is_the_record(client: TestClient, downloads: dict[str, str]) -> None:
    with np.load(io.BytesIO(client.get(downloads["npz"]).content), allow_pickle=False) as file:
        arrays = dict(file)
    expected = ran().sampling
    assert set(arrays) == {*tensors(expected), "points", "header"}
    assert np.array_equal(arrays["offset"], expected.offset.numpy())
    assert np.array_equal(arrays["points"], expected.points().numpy())


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_gif_is_a_film_over_the_photo(client: TestClient, operator: str) -> None:
    (url,) = [u for u in downloads_part(kept(operator)).values() if u.endswith(".gif")]
    with Image.open(io.BytesIO(client.get(url).content)) as film:
        assert film.format == "GIF"
        assert film.n_frames > 20
        width, height = film.size
        assert height / width == pytest.approx(24 / 17, rel=0.01)
        film.seek(0)
        first = np.asarray(film.convert("RGB")).astype(float)
    # Under the marks lies the photo, whatever the film's 256 colours made of it.
    small = np.asarray(Image.fromarray(PIXELS).resize((width, height), Image.Resampling.NEAREST))
    assert np.corrcoef(first.ravel(), small.astype(float).ravel())[0, 1] > 0.6


def test_the_html_is_the_viewer_on_the_photo(client: TestClient, downloads: dict[str, str]) -> None:
    text = client.get(downloads["html"]).content.decode("utf-8")
    assert text.startswith("<!doctype html>")
    assert "<title>Deformable Conv v2 · deformviz</title>" in text
    assert '"output_size":[24,17]' in text


def test_a_large_answer_waits_on_disk(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And nothing of it is left there."""
    monkeypatch.setattr(numbers.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(numbers, "IN_MEMORY", 2**40)
    url = str(numbers_part(kept())["url"])
    expected = client.get(url)
    monkeypatch.setattr(numbers, "IN_MEMORY", 100)
    found = client.get(url)
    assert found.content == expected.content
    assert dict(found.headers) == dict(expected.headers)
    assert not list(tmp_path.iterdir())


# What is said of them


def every_answer(client: TestClient) -> list[Any]:
    urls = [numbers_part(kept())["url"], *downloads_part(kept()).values()]
    return [client.get(str(url)) for url in urls]


def test_a_browser_keeps_none_of_it_and_takes_it_for_nothing_else(client: TestClient) -> None:
    """Not even the HTML is a page of this server: it is a file to be saved."""
    for answer in every_answer(client):
        assert answer.status_code == 200
        assert "no-store" in answer.headers["cache-control"]
        assert "private" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/octet-stream"
        # The viewer makes room by it before the numbers come.
        assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_run_that_was_let_go_is_answered_with_what_to_do(client: TestClient) -> None:
    for file in ("numbers", "facts", "deformviz.html", "deformviz.gif", "sampling.npz"):
        for name in ("x", "AAAAAAAAAAAAAAAAAAAAAA", "..", "%2e%2e", "<script>"):
            answer = client.get(f"/deformviz-run/{name}/{file}")
            assert answer.status_code == 404
    answer = client.get("/deformviz-run/AAAAAAAAAAAAAAAAAAAAAA/numbers")
    assert answer.text == "This run has been let go: run it again on the page."
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "file", ["nothing", "numbers.txt", "NUMBERS", "sampling", "..%2fnumbers", "%2e%2e/app.py", ""]
)
def test_a_file_that_there_is_not(client: TestClient, file: str) -> None:
    name = numbers_part(kept())["id"]
    assert client.get(f"/deformviz-run/{name}/numbers").status_code == 200
    assert client.get(f"/deformviz-run/{name}/{file}").status_code == 404


def test_nothing_can_be_sent_to_it(client: TestClient) -> None:
    url = str(numbers_part(kept())["url"])
    for method in ("POST", "PUT", "DELETE"):
        assert client.request(method, url, content=b"x").status_code == 405
    assert client.get(url).status_code == 200


def test_what_is_let_go_is_gone(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SHELF", Shelf(most_bytes=0))
    before = str(numbers_part(another())["url"])
    assert client.get(before).status_code == 200
    after = str(numbers_part(another())["url"])
    assert client.get(before).status_code == 404
    assert client.get(after).status_code == 200
