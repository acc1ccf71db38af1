"""The endpoints of a running server, as a program uses them, and as a hostile one does."""

from __future__ import annotations

import io
import json
import re
import socket
import struct
import tempfile
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio import processing_utils
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from safetensors.torch import load

from deformviz import examples
from deformviz.explore import OFFSETS, OPERATORS, Exploration, Settings, explore
from deformviz.images import decode
from deformviz.operators.spatial_shift import BORDERS
from deformviz.viewer.bundle import script
from deformviz.web import server as web
from deformviz.web.asked import Asked
from deformviz.web.explore_tab import FIRST, FIRST_IMAGE, FIRST_SIDE, FIRST_STATE
from deformviz.words import LANGUAGES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio")

ENDPOINTS = ("/explore", "/sampling", "/compare_shifts")
NAMES = [field.name for field in fields(Asked)]
STRATEGIES = ["slice", "roll", "deform_conv2d", "depthwise", "grid_sample"]


@dataclass
class Served:
    """A server that runs, what a program asks it with, and where its files go."""

    url: str
    client: Client
    folder: Path

    def predict(self, endpoint: str, **arguments: Any) -> Any:
        """Ask as a Python program does; without a photo, of the example."""
        return self.client.predict(api_name=endpoint, **({"photo": None} | arguments))

    def post(self, endpoint: str, **arguments: Any) -> tuple[str, Any]:
        """Ask with what curl would send, unchecked: the event, "complete" or "error", its data."""
        api = self.client.view_api(return_format="dict", print_info=False)
        parameters = api["named_endpoints"][endpoint]["parameters"]
        data = [arguments.get(p["parameter_name"], p["parameter_default"]) for p in parameters]
        call = f"{self.url}gradio_api/call{endpoint}"
        asked = httpx.post(
            call,
            content=json.dumps({"data": data}),  # with NaN, too
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert asked.status_code == 200, asked.text
        answer = httpx.get(f"{call}/{asked.json()['event_id']}", timeout=60).text
        event, _, data = answer.strip().rpartition("event: ")[2].partition("\ndata: ")
        return event, json.loads(data)

    def assert_alive(self) -> None:
        """It still computes."""
        result = self.predict("/explore", operator="Convolution", side=32)
        assert all(check["passed"] for check in result["checks"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        name = "async_ssrf_protected_download"
        patch.setattr(processing_utils, name, getattr(processing_utils, name))  # put back after
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        page = web.launch("cpu", port=port, prevent_thread_lock=True, quiet=True)
        try:
            url = f"http://127.0.0.1:{port}/"
            client = Client(url, verbose=False, download_files=folder / "downloads")
            yield Served(url, client, folder)
        finally:
            page.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 rows, 40 columns."""
    y, x = np.mgrid[0:48, 0:40]
    colors = np.stack((y * 5, x * 6, (y // 8 + x // 8) % 2 * 255), axis=-1).astype(np.uint8)
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(colors).save(path)
    return path


def direct(photo: Path, side: int = FIRST_SIDE, **settings: Any) -> Exploration:
    """The core's own answer, with the page's first settings where none are named."""
    values = {f.name: getattr(FIRST, f.name) for f in fields(Settings)} | settings
    return explore(decode(photo, max_side=side).pixels, Settings(**values))


# What there is


def test_the_endpoints_take_the_controls_by_name(served: Served) -> None:
    api = served.client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(api) == {*ENDPOINTS, "/options"}
    for endpoint in ENDPOINTS:
        place = ["y", "x"] if endpoint == "/explore" else []
        assert [p["parameter_name"] for p in api[endpoint]["parameters"]] == [*NAMES, *place]
    assert api["/options"]["parameters"] == []


def test_the_options_are_the_cores_tables(served: Served) -> None:
    options = served.client.predict(api_name="/options")
    assert {name: row["paper"] for name, row in options["operators"].items()} == {
        name: row.paper for name, row in OPERATORS.items()
    }
    for name, row in options["operators"].items():
        assert row["controls"] == list(OPERATORS[name].controls)
        assert set(row["controls"]) <= set(NAMES)
    assert {name: row["learned"] for name, row in options["operators"].items()} == {
        "Convolution": None,
        "Deformable Conv v1": {"controls": ["field"], "layers": 3},
        "Deformable Conv v2": {"controls": ["field", "mask"], "layers": 3},
        "DRConv": {"controls": ["guide"], "layers": 1},
        "CoordConv": {"controls": ["parameters"], "layers": 1},
        "Spatial shift": None,
        "Active Shift": {"controls": ["parameters"], "layers": 3},
        "CycleFC": None,
    }
    for name, row in options["fields"].items():
        expected = OFFSETS[name]
        assert row == {
            "unit": expected.unit,
            "maximum": expected.maximum,
            "default": expected.default,
        }
    assert set(options["fields"]) == set(OFFSETS)
    assert options["borders"] == {name: list(borders) for name, borders in BORDERS.items()}


# Numbers


@pytest.mark.parametrize(
    ("operator", "settings"),
    [
        ("Convolution", {"stride": 2, "dilation": 3, "weights": "Sobel x"}),
        ("Deformable Conv v1", {"field": "wave", "strength": 7.5, "offset_groups": 3}),
        ("Deformable Conv v2", {"field": "random", "strength": 2, "mask": "random", "seed": 7}),
        ("DRConv", {"guide": "by edges", "regions": 5, "generated": True}),
        ("CoordConv", {"radius": False, "coordinate_weight": -0.5}),
        ("Spatial shift", {"directions": "diagonals", "strategy": "roll", "border": "circular"}),
        ("Active Shift", {"seed": 3}),
        ("CycleFC", {"stride": 2}),
    ],
)
def test_the_numbers_are_the_cores_own(
    served: Served, photo: Path, operator: str, settings: dict[str, Any]
) -> None:
    result = served.predict(
        "/explore",
        photo=handle_file(photo),
        operator=operator,
        kernel_height=2,
        kernel_width=5,
        y=4,
        x=6,
        **settings,
    )
    ours = direct(photo, operator=operator, kernel_size=(2, 5), **settings).sampling
    assert result["name"] == result["operator"] == operator
    assert result["input_size"] == [48, 40]
    assert result["output_size"] == list(ours.output_size)
    assert result["position"] == [4, 6]
    assert (result["offset_groups"], result["taps"]) == (ours.groups, ours.taps)
    assert np.array(result["points"]) == pytest.approx(ours.points_at(4, 6).numpy(), abs=1e-5)
    assert np.array(result["base"]) == pytest.approx(ours.base_at(4, 6).numpy())
    assert np.array(result["mask"]) == pytest.approx(ours.mask_at(4, 6).numpy())
    assert ours.output is not None
    assert result["output"] == pytest.approx(ours.output[:, 4, 6].tolist(), abs=1e-5)
    region = None if ours.region is None else int(ours.region[4, 6])
    assert result["region"] == region
    assert len(result["checks"]) == 2
    assert all(check["passed"] for check in result["checks"])
    assert result["device"] == "cpu"


@pytest.mark.parametrize(
    ("operator", "settings", "size", "note"),
    [
        ("Deformable Conv v1", {"field": "learned"}, [12, 10], "layer 3 of 3 of a network"),
        ("Deformable Conv v2", {"field": "learned", "learned_layer": 1}, [12, 10], "layer 1 of 3"),
        ("Deformable Conv v2", {"mask": "learned", "learned_layer": 2}, [12, 10], "layer 2 of 3"),
        ("DRConv", {"guide": "learned"}, [48, 40], "the DRConv layer of a network"),
        ("CoordConv", {"parameters": "learned"}, [64, 64], "the CoordConv layer of a network"),
        ("Active Shift", {"parameters": "learned"}, [24, 20], "layer 3 of 3 of a network"),
        ("Active Shift", {"parameters": "learned", "learned_layer": 1}, [24, 20], "layer 1 of 3"),
    ],
)
def test_a_networks_layer_is_the_cores_own(
    served: Served, photo: Path, operator: str, settings: dict[str, Any], size: list[int], note: str
) -> None:
    """The last one, where none is named."""
    given = settings | {"operator": operator}
    result = served.predict("/explore", photo=handle_file(photo), y=4, x=6, **given)
    ours = direct(photo, **given).sampling
    assert result["input_size"] == result["output_size"] == size
    assert np.array(result["points"]) == pytest.approx(ours.points_at(4, 6).numpy(), abs=1e-4)
    assert ours.output is not None
    assert result["output"] == pytest.approx(ours.output[:, 4, 6].tolist(), abs=1e-4)
    assert all(check["passed"] for check in result["checks"])
    assert result["notes"][0].startswith(note)


def test_a_layer_that_there_is_not_is_refused(served: Served) -> None:
    with pytest.raises(AppError, match=r"4"):
        served.predict("/explore", field="learned", learned_layer=4)
    served.assert_alive()


def test_a_photo_is_shrunk_to_the_working_size(served: Served, photo: Path) -> None:
    result = served.predict("/explore", photo=handle_file(photo), side=32)
    assert result["input_size"] == [32, 27]
    assert result["notes"] == ["shrunk from 48 x 40 to 32 x 27"]


@pytest.mark.parametrize("field", OFFSETS)
def test_a_field_may_be_as_strong_as_its_table_says(served: Served, field: str) -> None:
    strength = OFFSETS[field].maximum
    result = served.predict("/explore", side=32, field=field, strength=strength, y=5, x=5)
    ours = direct(examples.path(FIRST_IMAGE), 32, field=field, strength=strength).sampling
    assert np.array(result["points"]) == pytest.approx(ours.points_at(5, 5).numpy(), abs=1e-4)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_position_beyond_the_output_is_moved_onto_it(served: Served, operator: str) -> None:
    result = served.predict("/explore", operator=operator, side=32, y=9999, x=10**9)
    h, w = result["output_size"]
    assert result["position"] == [h - 1, w - 1]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, [24, 20]),
        ({"y": 3}, [3, 20]),
        ({"x": 0}, [24, 0]),
        ({"y": 0, "x": 0}, [0, 0]),
        ({"y": 47, "x": 39}, [47, 39]),
        ({"y": 48, "x": 40}, [47, 39]),
        ({"y": None, "x": 7}, [24, 7]),
        ({"y": 4.0, "x": 7.0}, [4, 7]),
    ],
    ids=str,
)
def test_the_middle_is_taken_where_no_position_is_named(
    served: Served, photo: Path, place: dict[str, Any], expected: list[int]
) -> None:
    result = served.predict("/explore", photo=handle_file(photo), operator="Convolution", **place)
    assert result["output_size"] == [48, 40]
    assert result["position"] == expected


def test_the_middle_is_that_of_the_output(served: Served, photo: Path) -> None:
    result = served.predict(
        "/explore", photo=handle_file(photo), operator="Convolution", stride=5, dilation=1
    )
    assert result["output_size"] == [10, 8]
    assert result["position"] == [5, 4]


def test_what_is_left_out_is_the_worked_example(served: Served) -> None:
    result = served.client.predict(api_name="/explore")
    ours = direct(examples.path(FIRST_IMAGE)).sampling
    assert result["operator"] == FIRST.operator
    h, w = ours.output_size
    assert result["position"] == [h // 2, w // 2]
    assert result["input_size"] == list(ours.input_size)
    assert result["dilation"] == [FIRST.dilation] * 2
    expected = ours.points_at(h // 2, w // 2).numpy()
    assert np.array(result["points"]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_everything_can_be_left_out(served: Served, endpoint: str) -> None:
    assert served.client.predict(api_name=endpoint)


def test_several_programs_at_once_get_their_own_answers(served: Served) -> None:
    asked = [(operator, side) for side in (32, 64) for operator in OPERATORS]

    def ask(job: tuple[str, int]) -> Any:
        return served.predict("/explore", operator=job[0], side=job[1])

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, asked))
    assert [(r["operator"], max(r["input_size"])) for r in results] == asked


# The record


@pytest.mark.parametrize("operator", ["Deformable Conv v2", "DRConv", "Active Shift"])
def test_the_record_comes_as_npz(served: Served, photo: Path, operator: str) -> None:
    path = served.predict(
        "/sampling", photo=handle_file(photo), operator=operator, field="wave", strength=4
    )
    ours = direct(photo, operator=operator, field="wave", strength=4).sampling
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    assert json.loads(str(arrays.pop("header"))) == ours.header()
    assert arrays.pop("points") == pytest.approx(ours.points().numpy(), abs=1e-4)
    assert set(arrays) == set(ours.tensors())
    for name, tensor in ours.tensors().items():
        assert arrays[name] == pytest.approx(tensor.numpy(), abs=1e-4), name


def test_a_record_that_was_sent_is_not_left_behind(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio keeps a copy for a while; a second one beside it would stay for ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = served.predict("/sampling", operator="Convolution", side=32)
    assert Path(path).is_file()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


# The five ways to shift


def test_the_published_comparison(served: Served, photo: Path) -> None:
    rows = served.predict("/compare_shifts", photo=handle_file(photo), border="replicate")
    assert [row["strategy"] for row in rows] == STRATEGIES
    assert [row["tensor"]["difference"] for row in rows] == [0, 0, 0, 0, 2**-23]
    assert [row["image"]["difference"] for row in rows[:4]] == [0, 0, 0, 0]
    assert all(row[on]["milliseconds"] > 0 for row in rows for on in ("tensor", "image"))


def test_only_slicing_keeps_what_was_at_the_border(served: Served) -> None:
    rows = served.predict("/compare_shifts", border="keep", side=32)
    for row in rows:
        for on in ("tensor", "image"):
            if row["strategy"] == "slice":
                assert row[on]["difference"] == 0
            else:
                assert row[on] == {"difference": None, "milliseconds": None}


@pytest.mark.parametrize("border", ["zero", "circular"])
def test_all_ways_agree_on_the_other_borders(served: Served, border: str) -> None:
    rows = served.predict(
        "/compare_shifts", border=border, side=64, directions="all eight", kernel_height=11
    )
    assert all(row[on]["difference"] < 1e-4 for row in rows for on in ("tensor", "image"))


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


# The page itself


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
