"""The queue: who waits knows their place, who finds it full is told what to do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from gradio_client.client import Job
from gradio_client.exceptions import AppError

from deformviz.web.waiting import bound

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio")

MOST = 3


@dataclass
class Gate:
    """A job that takes as long as the test wants."""

    page: gr.Blocks
    url: str
    client: Client
    open: threading.Event
    begun: threading.Semaphore

    def ask(self, text: str) -> Job:
        return self.client.submit(text, api_name="/slow")


@pytest.fixture
def gate() -> Iterator[Gate]:
    opened, begun = threading.Event(), threading.Semaphore(0)

    def slow(text: str) -> str:
        begun.release()
        assert opened.wait(60)
        return text.upper()

    with gr.Blocks(analytics_enabled=False) as page:
        asked, answer = gr.Textbox(), gr.Textbox()
        gr.Button().click(slow, asked, answer, api_name="slow")
    bound(page, MOST)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page.launch(server_port=port, prevent_thread_lock=True, quiet=True, ssr_mode=False)
    url = f"http://127.0.0.1:{port}/"
    try:
        yield Gate(page, url, Client(url, verbose=False), opened, begun)
    finally:
        opened.set()
        page.close()


def until(met: Callable[[], bool]) -> None:
    for _ in range(600):
        if met():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def fill(gate: Gate) -> list[Job]:
    """One that runs, and as many as may wait."""
    jobs = [gate.ask("first")]
    assert gate.begun.acquire(timeout=30)
    for place in range(MOST):
        jobs.append(gate.ask(f"place {place}"))
        until(lambda: jobs[-1].status().rank == len(jobs) - 2)
    return jobs


def test_who_waits_is_told_their_place(gate: Gate) -> None:
    jobs = fill(gate)
    assert [job.status().rank for job in jobs[1:]] == [0, 1, 2]
    assert jobs[-1].status().queue_size == MOST
    gate.open.set()
    assert [job.result(30) for job in jobs] == ["FIRST", "PLACE 0", "PLACE 1", "PLACE 2"]


def test_who_finds_it_full_is_told_so_in_our_words(gate: Gate) -> None:
    jobs = fill(gate)
    with pytest.raises(AppError) as caught:
        gate.ask("one more").result(30)
    assert str(caught.value) == (
        "The server is busy: 3 jobs are waiting already. What you had is still here: "
        "try again in a minute."
    )
    assert not any(job.done() for job in jobs)
    gate.open.set()
    assert [job.result(30) for job in jobs] == ["FIRST", "PLACE 0", "PLACE 1", "PLACE 2"]
    assert gate.ask("again").result(30) == "AGAIN"


def test_it_is_refused_to_curl_as_well(gate: Gate) -> None:
    jobs = fill(gate)
    asked = httpx.post(f"{gate.url}gradio_api/call/slow", json={"data": ["one more"]})
    assert asked.status_code == 200
    answer = httpx.get(f"{gate.url}gradio_api/call/slow/{asked.json()['event_id']}").text
    assert answer.startswith("event: error\n")
    told = json.loads(answer.split("data: ", 1)[1])
    assert told["error"].startswith("The server is busy: 3 jobs are waiting")
    gate.open.set()
    assert jobs[-1].result(30) == "PLACE 2"


def test_nothing_is_kept_of_those_who_were_refused(gate: Gate) -> None:
    jobs = fill(gate)
    queue = gate.page._queue
    before = len(queue.event_ids_to_events)
    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(lambda i: gate.ask(f"{i}").exception(30), range(24)))
    assert all(isinstance(error, AppError) for error in refused)
    assert len(queue.event_ids_to_events) == before
    gate.open.set()
    for job in jobs:
        job.result(30)
    until(lambda: not any(queue.pending_event_ids_session.values()))
