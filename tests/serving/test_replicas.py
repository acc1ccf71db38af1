"""Two replicas behind nginx, as docs/serving.md has it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client

from deformviz.web.asked import Asked

ROOT = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@dataclass
class Proxied:
    """The proxy's address, and those of the replicas behind it."""

    url: str
    replicas: tuple[str, str]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def configuration(port: int, ports: tuple[int, int]) -> str:
    """The document's own, at other ports, and telling which replica has answered."""
    (text,) = re.findall(
        r"```nginx\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), flags=re.S
    )
    for written, used in (("7861", ports[0]), ("7862", ports[1]), ("8080", port)):
        assert text.count(written) == 1
        text = text.replace(written, str(used))
    return text.replace(
        "proxy_buffering off;", "proxy_buffering off; add_header X-Replica $upstream_addr;"
    )


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("nginx")
    port, ports = free_port(), (free_port(), free_port())
    file = folder / "nginx.conf"
    paths = "".join(
        f"{name}_temp_path {folder / name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file.write_text(
        f"pid {folder / 'pid'};\ndaemon off;\nmaster_process off;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{configuration(port, ports)}}}\n"
    )
    with ExitStack() as stack:
        for each in ports:
            command = [sys.executable, "app.py", "--device", "cpu", "--port", str(each)]
            start(stack, command)
        assert NGINX is not None
        start(stack, [NGINX, "-c", str(file), "-p", str(folder), "-e", str(folder / "error.log")])
        first, second = (f"http://127.0.0.1:{each}" for each in ports)
        url = f"http://127.0.0.1:{port}"
        for address in (first, second, url):
            wait_for(address)
        yield Proxied(url, (first, second))


def start(stack: ExitStack, command: list[str]) -> None:
    process = subprocess.Popen(command, cwd=ROOT)
    stack.callback(process.wait, timeout=60)
    stack.callback(process.terminate)


def wait_for(address: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(address, timeout=30).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{address} was not ready in time")


def drawn(browser: httpx.Client, strength: float) -> dict[str, Any]:
    """Change a control as the page does; the view."""
    config = browser.get("/config").json()
    first = {part["props"].get("elem_id"): part["props"].get("value")
             for part in reversed(config["components"])}  # fmt: skip
    values = [first[name] for name in Asked.__dataclass_fields__]
    values[list(Asked.__dataclass_fields__).index("strength")] = strength
    question = {"control": "strength", "value": strength, "values": values, "address": ""}
    answer = browser.post("/deformviz-draw", json=question)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["view"])


def test_a_visitor_stays_with_one_replica_and_visitors_are_spread(proxied: Proxied) -> None:
    found: set[str] = set()
    for visitor in range(12):
        with httpx.Client(base_url=proxied.url, timeout=120) as browser:
            page = browser.get("/")
            assert "deformviz=" in page.headers["set-cookie"]
            replicas = {page.headers["x-replica"]}
            view = drawn(browser, 3 + visitor / 100)
            for _ in range(3):
                numbers = browser.get(view["data"]["url"])
                assert numbers.status_code == 200
                assert len(numbers.content) >= view["data"]["size"]
                assert "set-cookie" not in numbers.headers
                replicas.add(numbers.headers["x-replica"])
            assert len(replicas) == 1
            found |= replicas
        if len(found) == 2:
            return
    raise AssertionError(f"twelve visitors were all sent to {found}")


def test_another_replica_does_not_have_the_numbers(proxied: Proxied) -> None:
    """Which is why they must not be spread request by request."""
    ours, other = proxied.replicas
    with httpx.Client(base_url=ours, timeout=120) as browser:
        url = drawn(browser, 4.5)["data"]["url"]
        assert browser.get(url).status_code == 200
    assert httpx.get(other + url).status_code == 404


def test_a_program_is_served_without_a_cookie(proxied: Proxied) -> None:
    client = Client(proxied.url, verbose=False)
    result = client.predict(photo=None, side=64, api_name="/explore")
    assert result["taps"] == 9
    assert Path(client.predict(photo=None, side=64, api_name="/sampling")).stat().st_size > 1000


def test_a_large_upload_comes_through(proxied: Proxied) -> None:
    body = {"files": ("large.bin", bytes(20_000_000))}
    answer = httpx.post(f"{proxied.url}/gradio_api/upload", files=body, timeout=120)
    assert answer.status_code == 200


def test_addresses_are_those_of_the_proxy(proxied: Proxied) -> None:
    config = httpx.get(f"{proxied.url}/config").json()
    assert config["root"] == proxied.url
