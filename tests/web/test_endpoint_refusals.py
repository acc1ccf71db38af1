"""The endpoints of a running server as a hostile program uses them, or a mistaken one."""

from __future__ import annotations

import json
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from served import ENDPOINTS, NAMES, Served

from deformviz import examples

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio")


# What cannot be done, said clearly


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"operator": "Fourier"}, "Fourier"),
        ({"operator": "Spatial shift", "strategy": "roll", "border": "keep"}, "cannot honour"),
        ({"field": "dilate", "strength": 13}, "strength of the field 'dilate'"),
        ({"field": "toward edges", "strength": 1e9}, "1000000000"),
        ({"strength": -41}, "-41"),
        ({"kernel_height": 12}, "12"),
        ({"side": 100_000}, "100000"),
        ({"side": 1}, "1"),
        ({"seed": -1}, "-1"),
        ({"example": "../secret"}, "../secret"),
        ({"offset_groups": 2}, "2"),
        ({"y": -1}, "-1"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said(served: Served, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(AppError) as caught:
        served.predict("/explore", **arguments)
    assert words in str(caught.value)
    assert "upstream Gradio app" not in str(caught.value)  # what stands for an unknown failure
    served.assert_alive()


def test_a_run_that_would_not_fit_in_memory_is_smaller_and_says_so(
    served: Served, tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (600, 600)).save(path)
    result = served.predict(
        "/explore", photo=handle_file(path), side=1024, kernel_height=11, kernel_width=11
    )
    assert result["output_size"] == [512, 512]
    assert "instead of 600 x 600" in result["notes"][-1]
    assert "44 million points" in result["notes"][-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel_height", "three"),
        ("kernel_height", None),
        ("operator", None),
        ("operator", ["Convolution"]),
        ("stride", float("nan")),
        ("strength", float("nan")),
        ("seed", float("inf")),
        ("side", None),
        ("side", float("nan")),
        ("example", {"path": "/etc/passwd"}),
        ("border", 7),
        ("y", "three"),
        ("y", float("nan")),
        ("x", float("inf")),
        ("x", [3]),
    ],
    ids=str,
)
def test_values_that_no_control_sends(served: Served, name: str, value: Any) -> None:
    for endpoint in ENDPOINTS if name in NAMES else ["/explore"]:
        event, data = served.post(endpoint, **{name: value})
        if event == "complete":  # the value is of no matter there
            assert (endpoint, name) == ("/compare_shifts", "operator")
        else:
            assert event == "error"
            assert "Traceback" not in json.dumps(data)
            assert "/site-packages/" not in json.dumps(data)
    served.assert_alive()


# Files that are no photos


def png(width: int, height: int, rows: int) -> bytes:
    """A black PNG of grey pixels by hand, with as many rows as are asked for."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    deflate = zlib.compressobj(1)
    deflated = b"".join(deflate.compress(bytes(1 + width)) for _ in range(rows))
    pixels = chunk(b"IDAT", deflated + deflate.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def cut_short(photo: Path) -> bytes:
    whole = photo.read_bytes()
    return whole[: len(whole) // 2]


HOSTILE: dict[str, tuple[Any, str]] = {
    "text": (b"these are words, not pixels\n" * 9, "this file holds something else"),
    "web page": (b"<!DOCTYPE html><script>alert(1)</script>", "holds a web page"),
    "cut short": (cut_short, "damaged, cut short"),
    "bomb": (lambda _: png(20_000, 20_000, 20_000), "20,000 x 20,000"),
    "pixels missing": (png(5000, 5000, 0), "damaged, cut short"),
    "no pixels": (png(0, 0, 0), "damaged, cut short"),
    "random": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "damaged, cut short"),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_is_no_photo(
    served: Served, photo: Path, tmp_path: Path, kind: str, endpoint: str
) -> None:
    content, words = HOSTILE[kind]
    path = tmp_path / "secret-folder" / "photo.png"
    path.parent.mkdir()
    path.write_bytes(content(photo) if callable(content) else content)
    with pytest.raises(AppError) as caught:
        served.predict(endpoint, photo=handle_file(path))
    text = str(caught.value)
    assert words in text
    assert "/" not in text
    assert "<" not in text
    served.assert_alive()


def test_the_name_of_a_file_is_no_matter(served: Served, photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)> & .. π.png"
    path.write_bytes(photo.read_bytes())
    result = served.predict("/explore", photo=handle_file(path))
    assert result["input_size"] == [48, 40]
    assert "onerror" not in json.dumps(result)


def test_a_file_of_another_kind_is_refused(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "photo.svg"
    path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(AppError, match="Invalid file type"):
        served.predict("/explore", photo=handle_file(path))
    served.assert_alive()


# Files of the server, and of others


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A picture on the server's disk that nobody uploaded, of a size that would give it away."""
    path = tmp_path / "secret.png"
    Image.new("RGB", (37, 29), "teal").save(path)
    return str(path)


META = {"_type": "gradio.FileData"}


@pytest.mark.parametrize(
    "form",
    [
        lambda path: {"path": path, "meta": META},
        lambda path: {"path": path},
        lambda path: path,
        lambda path: [path],
        lambda path: [{"path": path, "meta": META}],
        lambda path: {"path": path, "meta": META, "is_stream": True},
        lambda path: {"path": path, "meta": META, "url": "http://127.0.0.1:9/x.png"},
        lambda path: {"path": "/x.png", "meta": META, "url": f"file://{path}"},
        lambda path: {"path": f"file://{path}", "meta": META},
        lambda path: {"path": f"/gradio_api/file={path}", "meta": META},
    ],
    ids=["file", "no meta", "text", "list", "list of files", "stream", "url", "file url", "uri",
         "served"],
)  # fmt: skip
def test_a_file_of_the_server_is_not_read(served: Served, secret: str, form: Any) -> None:
    for endpoint in ENDPOINTS:
        for path in (secret, "/etc/passwd", str(examples.path("cat"))):
            event, data = served.post(endpoint, photo=form(path))
            assert event == "error"
            assert "37" not in json.dumps(data)
            assert "root" not in json.dumps(data)
    served.assert_alive()


@pytest.mark.parametrize("path", ["/etc/passwd", "app.py", "deformviz/web/server.py"])
def test_a_file_of_the_server_is_not_served(served: Served, path: str) -> None:
    place = Path(path) if path.startswith("/") else Path(__file__).resolve().parents[2] / path
    assert place.is_file()
    for address in (f"gradio_api/file={place}", f"deformviz-static/..{place}", f"file={place}"):
        assert httpx.get(served.url + address).status_code in (403, 404)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[int]]]:
    """An address that counts who connects to it."""
    visits: list[int] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.1)
        done = threading.Event()

        def count() -> None:
            while not done.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                visits.append(1)
                connection.close()

        thread = threading.Thread(target=count)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", visits
        done.set()
        thread.join()


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP", "ftp"])
def test_a_link_in_place_of_a_photo_is_refused_and_not_followed(
    served: Served, elsewhere: tuple[str, list[int]], scheme: str
) -> None:
    host, visits = elsewhere
    address = f"{scheme}://{host}/photo.png"
    for endpoint in ENDPOINTS:
        for value in (
            {"path": address, "meta": META},
            {"path": address, "url": address, "meta": META},
            {"path": address, "meta": META, "is_stream": True},
            {"path": address},
            {"path": "/photo.png", "url": address, "meta": META},
            address,
        ):
            event, _ = served.post(endpoint, photo=value)
            assert event == "error"
    assert visits == []
    served.assert_alive()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_link_is_answered_with_what_to_do(served: Served, endpoint: str, scheme: str) -> None:
    link = {"path": f"{scheme}://example.com/photo.png", "meta": META}
    event, data = served.post(endpoint, photo=link)
    assert event == "error"
    assert data["error"] == "Links are not accepted: upload the file itself."
