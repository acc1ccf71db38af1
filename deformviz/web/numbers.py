"""The numbers behind the pictures, over HTTP: the browser fetches them after the picture.

What is shown is kept for a while under a name that cannot be guessed. All of it is bounded; the
page says so when it asks for what has been let go.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..export import save_npz
from ..figures import save_sweep
from ..geometry import once
from ..sampling import Sampling
from ..viewer import View, ViewState
from ..viewer.facts import about
from ..viewer.wire import to_bytes, wire_size
from ..words import LANGUAGES, Language

MOST_BYTES = 2 * 2**30
"""Of all that is kept for a while; the oldest goes first."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What a page shows.

    Attributes:
        sampling: whose numbers the browser fetches.
        pixels: [H, W, 3] uint8 that it lies on, or None.
        told: what else the viewer was told, for the file that keeps the hover.
        checks: makes the run's checks, as the viewer shows them.
    """

    sampling: Sampling
    pixels: np.ndarray | None = None
    told: dict[str, Any] = field(default_factory=dict)
    checks: Callable[[], list[dict[str, Any]]] = list


Maker = Callable[[Kept, ViewState, Language], bytes]


class Shelf:
    """What is shown, by name: that kept for good, and as many others as `MOST_BYTES` hold.

    Example:
        >>> shelf = Shelf()
        >>> shelf.get("no such run") is None
        True
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._held: OrderedDict[str, Kept] = OrderedDict()
        self._names: dict[int, str] = {}
        self._for_good: set[str] = set()
        self._most = most_bytes
        self._lock = threading.Lock()

    def put(self, kept: Kept, *, for_good: bool = False) -> str:
        """Keep it, `for_good` or for a while, and return its name: one for each Sampling."""
        with self._lock:
            name = self._names.get(id(kept.sampling))
            if name is None:
                name = secrets.token_urlsafe(16)
                self._names[id(kept.sampling)] = name
                self._held[name] = kept
            if for_good:
                self._for_good.add(name)
            self._held.move_to_end(name)
            self._let_go()
            return name

    def _let_go(self) -> None:
        """Of what is kept for a while, drop the oldest until the rest fits; never the latest."""
        passing = [name for name in self._held if name not in self._for_good]
        total = sum(_memory(self._held[name].sampling) for name in passing)
        for name in passing[:-1]:
            if total <= self._most:
                return
            gone = self._held.pop(name)
            del self._names[id(gone.sampling)]
            total -= _memory(gone.sampling)

    def get(self, name: str) -> Kept | None:
        """What has this name, or None where it has been let go."""
        with self._lock:
            return self._held.get(name)


def _memory(sampling: Sampling) -> int:
    """Bytes of a record's tensors, of which what is sent may be half."""
    return sum(once(tensor).nbytes for tensor in sampling.known().values())


SHELF = Shelf()


def numbers_part(kept: Kept) -> dict[str, object]:
    """Where a view's numbers are, as the viewer asks for them."""
    name = SHELF.put(kept)
    return {
        "id": name,
        "url": f"{_PATH}/{name}/numbers",
        "size": wire_size(kept.sampling),
        "checks": None if kept.checks is list else f"{_PATH}/{name}/checks",
        "facts": f"{_PATH}/{name}/facts",
    }


def downloads_part(kept: Kept) -> dict[str, str]:
    """What can be taken along, as links."""
    name = SHELF.put(kept)
    return {text: f"{_PATH}/{name}/{file}" for file, (text, _) in _FILES.items()}


_PATH = "/deformviz-run"


def _numbers(kept: Kept, state: ViewState, language: Language) -> bytes:
    return to_bytes(kept.sampling)


def _checks(kept: Kept, state: ViewState, language: Language) -> bytes:
    return json.dumps(kept.checks()).encode()


def _facts(kept: Kept, state: ViewState, language: Language) -> bytes:
    """Findings and facts, which are asked for when someone wants to read them."""
    return json.dumps(about(kept.sampling, kept.told)).encode()


def _html(kept: Kept, state: ViewState, language: Language) -> bytes:
    told = {**kept.told, "checks": kept.checks()}
    return View(kept.sampling, kept.pixels, state, told, language).html().encode()


def _file(write: Callable[[Kept, Path], None], name: str) -> Maker:
    """What `write` puts into a file of that name."""

    def make(kept: Kept, state: ViewState, language: Language) -> bytes:
        with tempfile.TemporaryDirectory(prefix="deformviz-") as folder:
            path = Path(folder) / name
            write(kept, path)
            return path.read_bytes()

    return make


_FILES: dict[str, tuple[str, Maker]] = {
    "deformviz.html": ("HTML that keeps the hover", _html),
    "deformviz.gif": (
        "GIF of the sweep",
        _file(lambda kept, path: save_sweep(kept.sampling, path, kept.pixels), "sweep.gif"),
    ),
    "sampling.npz": (
        "NPZ of the numbers",
        _file(lambda kept, path: save_npz(kept.sampling, path), "sampling.npz"),
    ),
    "sampling.safetensors": (
        "safetensors of the numbers",
        _file(lambda kept, path: kept.sampling.save(path), "sampling.safetensors"),
    ),
}


def _serve(request: Request) -> Response:
    """One file of what is shown; not a coroutine, so that it does not hold the server's loop up."""
    make = _MAKERS.get(request.path_params["file"])
    if make is None:
        return PlainTextResponse("There is no such file.", 404)
    kept = SHELF.get(request.path_params["name"])
    if kept is None:
        return PlainTextResponse("This run has been let go: run it again on the page.", 404)
    query = dict(request.query_params)
    state, _ = ViewState.from_query(query)
    language: Language = next((one for one in LANGUAGES if query.get("language") == one), "en")
    return Response(
        make(kept, state, language),
        media_type="application/octet-stream",
        headers={"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"},
    )


_MAKERS = {"numbers": _numbers, "checks": _checks, "facts": _facts} | {
    file: make for file, (_, make) in _FILES.items()
}

ROUTES = [Route(f"{_PATH}/{{name}}/{{file}}", _serve)]
"""What the server must serve for the numbers."""
