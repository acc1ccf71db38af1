"""While a file takes its time, or never comes to its end, everybody else goes on."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio import processing_utils
from gradio_client import Client

from deformviz.checkpoints import CheckpointError
from deformviz.web import opening
from deformviz.web import server as web
from deformviz.web.made_up_network import write_network

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from visitor import Job, Visitor

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio")

WAIT = 120
SLOTS = 2
"""As many files are read at once; the server waits for no other."""


@dataclass
class Busy:
    """A server whose readers of checkpoints wait until they may go on.

    Attributes:
        port: of the server, which is on this machine.
        go: lets them go on.
        begun: counts those that have begun.
    """

    port: int
    go: threading.Event
    begun: threading.Semaphore

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def upload(self, pool: ThreadPoolExecutor, path: Path) -> Future[Job]:
        return pool.submit(lambda: Visitor(self.url).checkpoint(path))


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    go, begun = threading.Event(), threading.Semaphore(0)
    read = opening.inspect_checkpoint

    def slowly(*given: Any, **how: Any) -> Any:
        begun.release()
        assert go.wait(WAIT)
        return read(*given, **how)

    name = "async_ssrf_protected_download"
    monkeypatch.setattr(processing_utils, name, getattr(processing_utils, name))  # put back after
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = web.launch("cpu", port=port, prevent_thread_lock=True, quiet=True)
    monkeypatch.setattr(opening, "inspect_checkpoint", slowly)
    try:
        yield Busy(port, go, begun)
    finally:
        go.set()
        served.close()


def draws(url: str) -> None:
    """Explore's picture with its numbers, and the same run for a program."""
    job = Visitor(url).change(strength=7.25)
    assert job.error == ""
    told = Client(url, verbose=False).predict(strength=7.25, api_name="/explore")
    assert told["points"]
    assert all(check["passed"] for check in told["checks"])


def test_explore_and_programs_go_on_while_all_readers_are_at_work(
    busy: Busy, tmp_path: Path
) -> None:
    file = write_network(tmp_path)
    with ThreadPoolExecutor() as pool:
        try:
            uploads = [busy.upload(pool, file) for _ in range(SLOTS + 1)]
            assert all(busy.begun.acquire(timeout=WAIT) for _ in range(SLOTS))
            draws(busy.url)
            assert not any(upload.done() for upload in uploads)
            assert not busy.begun.acquire(blocking=False), "more than two are read at once"
        finally:
            busy.go.set()
        assert [upload.result(WAIT).error for upload in uploads] == [""] * (SLOTS + 1)


def test_a_file_that_cannot_be_read_gives_its_place_back(busy: Busy, tmp_path: Path) -> None:
    broken, file = tmp_path / "broken.pth", write_network(tmp_path)
    broken.write_bytes(b"PK\3\4" + bytes(5000))
    busy.go.set()
    with ThreadPoolExecutor() as pool:
        refused = [busy.upload(pool, broken) for _ in range(2 * SLOTS)]
        told = [each.result(WAIT).error for each in refused]
        assert all(message and "Traceback" not in message for message in told), told
        with pytest.raises(CheckpointError):
            opening.open_files([str(broken)], opening.OnPhoto())
        assert busy.upload(pool, file).result(WAIT).error == ""
    draws(busy.url)


def test_an_upload_that_stops_half_way_keeps_nobody_from_theirs(busy: Busy, tmp_path: Path) -> None:
    file = write_network(tmp_path)
    busy.go.set()
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1:{busy.port}\r\n"
        "Content-Type: multipart/form-data; boundary=part\r\nContent-Length: 100000000\r\n\r\n"
        '--part\r\nContent-Disposition: form-data; name="files"; filename="a.pth"\r\n\r\n'
    ).encode()
    stopped = [socket.create_connection(("127.0.0.1", busy.port)) for _ in range(8)]
    try:
        for one in stopped:
            one.sendall(head + bytes(100_000))
        draws(busy.url)
        assert Visitor(busy.url).checkpoint(file).error == ""
        draws(busy.url)
    finally:
        for one in stopped:
            one.close()
    assert Visitor(busy.url).checkpoint(file).error == "", "nor afterwards"
