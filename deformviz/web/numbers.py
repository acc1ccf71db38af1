"""The numbers behind the pictures, over HTTP: the browser fetches them after the picture.

A run is kept for a while under a name that cannot be guessed. What is kept is bounded; the page
says so when it asks for a run that has been let go.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..explore import Exploration
from ..export import save_npz
from ..figures import save_sweep
from ..geometry import once
from ..images import Photo
from ..viewer import View
from ..viewer.wire import to_bytes, wire_size

Maker = Callable[[Exploration, Photo], bytes]

MOST_BYTES = 2 * 2**30
"""Of all that is kept for a while; the oldest goes first."""


class Shelf:
    """Runs by name: those kept for good, and as many others as `MOST_BYTES` hold.

    Example:
        >>> shelf = Shelf()
        >>> shelf.get("no such run") is None
        True
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._runs: OrderedDict[str, tuple[Exploration, Photo, int]] = OrderedDict()
        self._names: dict[int, str] = {}
        self._for_good: set[str] = set()
        self._most = most_bytes
        self._lock = threading.Lock()

    def put(self, run: Exploration, photo: Photo, *, for_good: bool = False) -> str:
        """Keep a run, `for_good` or for a while, and return its name: one for each run."""
        with self._lock:
            name = self._names.get(id(run))
            if name is None:
                name = secrets.token_urlsafe(16)
                self._names[id(run)] = name
                self._runs[name] = (run, photo, _memory(run))
            if for_good:
                self._for_good.add(name)
            self._runs.move_to_end(name)
            self._let_go()
            return name

    def _let_go(self) -> None:
        """Of what is kept for a while, drop the oldest until the rest fits; never the latest."""
        passing = [name for name in self._runs if name not in self._for_good]
        held = sum(self._runs[name][2] for name in passing)
        for name in passing[:-1]:
            if held <= self._most:
                return
            run, _, size = self._runs.pop(name)
            del self._names[id(run)]
            held -= size

    def get(self, name: str) -> tuple[Exploration, Photo] | None:
        """The run of a name, or None where it has been let go."""
        with self._lock:
            found = self._runs.get(name)
            return None if found is None else found[:2]


def _memory(run: Exploration) -> int:
    """Bytes of a run's tensors, of which what is sent may be half."""
    return sum(once(tensor).nbytes for tensor in run.sampling.known().values())


SHELF = Shelf()


def numbers_part(run: Exploration, photo: Photo) -> dict[str, object]:
    """Where a view's numbers are, as the viewer asks for them."""
    name = SHELF.put(run, photo)
    return {"id": name, "url": f"{_PATH}/{name}/numbers", "size": wire_size(run.sampling)}


def downloads_part(run: Exploration, photo: Photo) -> dict[str, str]:
    """What can be taken along, as links."""
    name = SHELF.put(run, photo)
    return {text: f"{_PATH}/{name}/{file}" for file, (text, _) in _FILES.items()}


_PATH = "/deformviz-run"


def _numbers(run: Exploration, photo: Photo) -> bytes:
    return to_bytes(run.sampling)


def _html(run: Exploration, photo: Photo) -> bytes:
    return View(run.sampling, photo.pixels).html().encode()


def _file(write: Callable[[Exploration, Photo, Path], None], name: str) -> Maker:
    """What `write` puts into a file of that name."""

    def make(run: Exploration, photo: Photo) -> bytes:
        with tempfile.TemporaryDirectory(prefix="deformviz-") as folder:
            path = Path(folder) / name
            write(run, photo, path)
            return path.read_bytes()

    return make


_FILES: dict[str, tuple[str, Maker]] = {
    "deformviz.html": ("HTML that keeps the hover", _html),
    "deformviz.gif": (
        "GIF of the sweep",
        _file(lambda run, photo, path: save_sweep(run.sampling, path, photo.pixels), "sweep.gif"),
    ),
    "sampling.npz": (
        "NPZ of the numbers",
        _file(lambda run, _, path: save_npz(run.sampling, path), "sampling.npz"),
    ),
    "sampling.safetensors": (
        "safetensors of the numbers",
        _file(lambda run, _, path: run.sampling.save(path), "sampling.safetensors"),
    ),
}


def _serve(request: Request) -> Response:
    """One file of a run; not a coroutine, so that it does not hold the server's loop up."""
    run = SHELF.get(request.path_params["name"])
    make = _MAKERS.get(request.path_params["file"])
    if run is None or make is None:
        return PlainTextResponse("This run has been let go: run it again on the page.", 404)
    return Response(
        make(*run),
        media_type="application/octet-stream",
        headers={"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"},
    )


_MAKERS = {"numbers": _numbers} | {file: make for file, (_, make) in _FILES.items()}

ROUTES = [Route(f"{_PATH}/{{name}}/{{file}}", _serve)]
"""What the server must serve for the numbers."""
