"""The Train tab's questions, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from safetensors.torch import load
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deformviz.training import TASKS
from deformviz.training.runs import Runs
from deformviz.web import numbers
from deformviz.web.train_server import PATH, routes, script_path
from deformviz.web.train_views import EXAMPLE

KNOBS = {"steps": 100, "start": "random"}


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    runs = Runs(running=1, waiting=1, moments=50)
    yield runs
    runs.close()


@pytest.fixture(scope="module")
def client(runs: Runs) -> TestClient:
    return TestClient(Starlette(routes=[*routes(runs), *numbers.ROUTES]))


def begin(client: TestClient, **asked: Any) -> Any:
    return client.post(f"{PATH}/start", json={"task": "shifts", "knobs": KNOBS, "seed": 1} | asked)


def test_the_page_opens_on_every_task_and_a_recorded_run(client: TestClient) -> None:
    told = client.get(PATH).json()
    assert [task["name"] for task in told["tasks"]] == list(TASKS)
    for task in told["tasks"]:
        row = TASKS[task["name"]]
        assert [knob["name"] for knob in task["knobs"]] == list(row.knobs)
        assert [knob["values"] for knob in task["knobs"]] == [
            list(k.values) for k in row.knobs.values()
        ]
    example = told["example"]
    assert (example["state"], example["recorded"]) == ("finished", True)
    assert len(example["moments"]) >= 10
    view = client.get(f"{PATH}/{EXAMPLE}/moments/3").json()
    layer = view["layers"][view["shown"]]
    assert f"step {example['moments'][3]['step']} of" in layer["status"]
    sent = load(client.get(layer["data"]["url"]).content)
    assert sent["offset"].shape == (1, 9, 2, 32, 32)
    assert "state" not in view  # what the viewer has pinned, it keeps


def test_a_training_from_its_start_to_its_weights(client: TestClient) -> None:
    run = begin(client).json()
    assert run["state"] == "running"
    assert run["knobs"] == TASKS["shifts"].settle(KNOBS)
    second = begin(client, seed=2).json()
    assert (second["state"], second["place"]) == ("waiting", 1)
    refused = begin(client, seed=3)
    assert refused.status_code == 422
    assert "1 trainings run and 1 wait" in refused.json()["problem"]
    client.post(f"{PATH}/{second['name']}/stop")

    moments: list[Any] = []
    for _ in range(600):
        told = client.get(f"{PATH}/{run['name']}", params={"after": len(moments)}).json()
        moments += told["moments"]
        if len(moments) >= 2:
            client.post(f"{PATH}/{run['name']}/stop")
        if told["state"] == "stopped":
            break
        time.sleep(0.2)
    steps = [moment["step"] for moment in moments]
    assert steps == sorted(set(steps))
    assert 0 < steps[-1] < 100
    assert moments[0]["remaining"] is None
    assert moments[1]["scores"]["plain"]["loss"] > 0
    weights = client.get(f"{PATH}/{run['name']}/trained.safetensors")
    assert any(name.endswith("shift") for name in load(weights.content))
    shown = client.get(f"{PATH}/{run['name']}/moments/{len(moments) - 1}").json()
    assert [layer["header"]["name"] for layer in shown["layers"]] == [
        f"layers.{i}" for i in range(3)
    ]
    assert client.get(f"{PATH}/{run['name']}/moments/{len(moments)}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"task": "chess"}, "task must be one of scale"),
        ({"knobs": {"steps": 10**9}}, "steps must be one of"),
        ({"knobs": {"colour": "red"}}, "has no knob colour"),
        ({"knobs": {"steps": [60]}}, "a knob's value is a text or a number"),
        ({"knobs": 3}, "expected a task and its knobs"),
        ({"seed": "1"}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_what_cannot_be_is_one_clear_message(
    client: TestClient, asked: dict[str, Any], said: str
) -> None:
    answer = begin(client, **asked)
    assert answer.status_code == 422
    assert said in answer.json()["problem"]


def test_too_much_and_nonsense_are_refused(client: TestClient) -> None:
    for body in (b"x" * 100_000, b"", b"[" * 3000, b"\xff\xfe"):
        answer = client.post(f"{PATH}/start", content=body)
        assert answer.status_code == 422
        assert "expected a task" in answer.json()["problem"]


def test_another_website_starts_and_stops_nothing(client: TestClient) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.post(f"{PATH}/start", json={}, headers=foreign).status_code == 403
    assert client.post(f"{PATH}/x/stop", headers=foreign).status_code == 403


def test_a_run_that_is_gone_says_so(client: TestClient) -> None:
    for path in ("nobody", "nobody/moments/0"):
        answer = client.get(f"{PATH}/{path}")
        assert answer.status_code == 404
        assert "has been let go" in answer.json()["problem"]
    assert client.get(f"{PATH}/nobody/trained.safetensors").status_code == 404


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_script_is_there_in_each_language(client: TestClient, language: Any) -> None:
    script = client.get(script_path(language)).text
    assert "window.deformvizTrain = { mountTrain }" in script
    assert ("是否" in script or "训练" in script) == (language == "zh")
