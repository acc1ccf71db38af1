"""A person with the page open, without a browser: the requests that the page would send."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import paths  # noqa: F401  (where deformviz lies)

from deformviz.web.asked import Asked

WAIT = 300.0
"""Seconds: no answer takes as long, but on a busy machine."""


@dataclass
class Job:
    """One request and what came of it.

    Attributes:
        kind: what was done.
        seconds: from the request to its whole answer.
        places: what the server said of the place among those that wait: (place, length).
        size: bytes of the numbers that came, as many as the server keeps of the run.
        error: what went wrong, or empty.
    """

    kind: str
    seconds: float = 0.0
    places: list[tuple[int, int]] = field(default_factory=list)
    size: int = 0
    error: str = ""


def config_of(address: str) -> dict[str, Any]:
    """What a server's page is made of."""
    found = httpx.get(f"{address}/config", timeout=WAIT).raise_for_status()
    return dict(found.json())


class Visitor:
    """A session of its own.

    Args:
        address: of the server.
        config: what `config_of` gives; of many visitors, each would ask for the same.

    Example:
        >>> Visitor("http://127.0.0.1:7860").change(strength=3.0)  # doctest: +SKIP
        Job(kind='change', seconds=0.2, places=[], size=6266880, error='')
    """

    def __init__(self, address: str, config: dict[str, Any] | None = None) -> None:
        self._http = httpx.Client(base_url=address, timeout=WAIT)
        self._session = secrets.token_hex(8)
        config = config or config_of(address)
        self._ids: dict[str, int] = {}
        for part in config["components"]:  # of two with the same name, the Explore tab's is first
            self._ids.setdefault(part["props"].get("elem_id") or "", part["id"])
        self._values = {part["id"]: part["props"].get("value") for part in config["components"]}
        self._asked = {name: self._values[self._ids[name]] for name in Asked.__dataclass_fields__}
        self._events = {
            (target, event): dependency
            for dependency in config["dependencies"]
            for target, event in dependency["targets"]
        }
        self._endpoints = {each["api_name"]: each for each in config["dependencies"]}

    def close(self) -> None:
        """Go away."""
        self._http.close()

    def change(self, **controls: Any) -> Job:  # noqa: ANN401
        """Set a control, wait for the picture, and fetch its numbers as the viewer does."""
        job, start = Job("change"), time.perf_counter()
        ((name, value),) = controls.items()
        self._asked[name] = value
        self._draw(job, name)
        return self._done(job, start)

    def photo(self, name: str, content: bytes) -> Job:
        """Upload a photo, and the same."""
        job, start = Job("photo"), time.perf_counter()
        self._asked["photo"] = self._upload(name, content)["path"]
        self._draw(job, "photo")
        return self._done(job, start)

    def checkpoint(self, path: Path) -> Job:
        """Upload a checkpoint to the Checkpoint tab."""
        job, start = Job("checkpoint"), time.perf_counter()
        self._values[self._ids["checkpoint-file"]] = [self._upload(path.name, path.read_bytes())]
        self._fire(job, "checkpoint-file", "upload")
        return self._done(job, start)

    def numbers(self, **controls: Any) -> tuple[Job, bytes]:  # noqa: ANN401
        """Ask for a run's numbers as a program does, and download them: an .npz file."""
        job, start = Job("numbers"), time.perf_counter()
        endpoint = self._endpoints["sampling"]
        names = {i: name for name, i in self._ids.items() if name in self._asked}
        data = [controls.get(names.get(i, ""), self._values[i]) for i in endpoint["inputs"]]
        output = self._join(job, endpoint["id"], data)
        content = b""
        if not job.error:
            path = output["data"][0]["path"]
            content = self._http.get(f"/gradio_api/file={path}").raise_for_status().content
        return self._done(job, start), content

    def _done(self, job: Job, start: float) -> Job:
        job.seconds = time.perf_counter() - start
        return job

    def _draw(self, job: Job, name: str) -> None:
        """A question of the Explore tab, see `asking.js`."""
        ticket = secrets.token_hex(8)
        question = {
            "control": name,
            "value": self._asked[name],
            "values": list(self._asked.values()),
            "address": "",
        }
        over = threading.Event()
        watching = threading.Thread(target=self._watch, args=(job, ticket, over), daemon=True)
        watching.start()
        answer = self._http.post("/deformviz-draw", params={"ticket": ticket}, json=question)
        over.set()
        if answer.status_code != 200:
            job.error = f"{answer.status_code}: {answer.text[:200]}"
            return
        data = answer.json()["view"]["data"]
        numbers = self._http.get(data["url"])
        job.size = len(numbers.content)
        if numbers.status_code != 200 or len(numbers.content) < data["size"]:
            job.error = f"numbers: {numbers.status_code} with {len(numbers.content)} bytes"

    def _watch(self, job: Job, ticket: str, over: threading.Event) -> None:
        """Ask for the place while the answer takes its time, as the page does."""
        wait = 0.5
        while not over.wait(wait):
            told = self._http.get("/deformviz-draw", params={"ticket": ticket}).json()
            if told:
                job.places.append((told["place"], told["length"]))
            wait = 1.0

    def _upload(self, name: str, content: bytes) -> dict[str, Any]:
        answer = self._http.post("/gradio_api/upload", files={"files": (name, content)})
        (path,) = answer.raise_for_status().json()
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def _fire(self, job: Job, name: str, event: str) -> dict[str, Any]:
        """An event of a component, through the queue."""
        dependency = self._events[self._ids[name], event]
        data = [self._values[i] for i in dependency["inputs"]]
        return self._join(job, dependency["id"], data, self._ids[name])

    def _join(
        self, job: Job, function: int, data: list[Any], trigger: int | None = None
    ) -> dict[str, Any]:
        asked = {
            "fn_index": function,
            "data": data,
            "session_hash": self._session,
            "event_data": None,
            "trigger_id": trigger,
        }
        joined = self._http.post("/gradio_api/queue/join", json=asked)
        if joined.status_code != 200:
            job.error = f"{joined.status_code}: {joined.text[:200]}"
            return {}
        return self._answer(job, joined.json()["event_id"])

    def _answer(self, job: Job, event_id: str) -> dict[str, Any]:
        query = {"session_hash": self._session}
        with self._http.stream("GET", "/gradio_api/queue/data", params=query) as lines:
            for line in lines.iter_lines():
                if not line.startswith("data: "):
                    continue
                message = json.loads(line[6:])
                if message["msg"] == "estimation":
                    job.places.append((message["rank"] + 1, message["queue_size"]))
                if message["msg"] == "process_completed" and message["event_id"] == event_id:
                    if not message["success"]:
                        job.error = str(message["output"].get("error"))
                    return dict(message["output"])
        job.error = "the server said no more"
        return {}
