"""The numbers behind the pictures, over HTTP: the browser fetches them after the picture.

What is shown is kept for a while under a name that cannot be guessed. All of it is bounded; the
page says so when it asks for what has been let go.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ..export import save_npz
from ..figures import save_sweep
from ..geometry import once
from ..sampling import Sampling
from ..viewer import View, ViewState
from ..viewer.facts import about
from ..viewer.wire import to_bytes, wire_size
from ..words import LANGUAGES, Language
from .bounded import Bounded

MOST_BYTES = 2**30
"""Of all that is kept for a while; the oldest goes first."""

IN_MEMORY = 16 * 2**20
"""Bytes of an answer above which it waits on disk for a slow reader, not in memory."""

_MAKING = threading.BoundedSemaphore(2)
"""How many answers are made at once: each may be as large as its run, twice."""


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

    @cached_property
    def about(self) -> dict[str, Any]:
        """Its findings and facts: who has read them gets the file that has them at once."""
        return about(self.sampling, self.told)


Maker = Callable[[Kept, ViewState, Language], bytes]


class Shelf:
    """What is shown, by name: that kept for good, and as many others as `most_bytes` hold.

    Those that nobody asks for in an hour go, too.

    Example:
        >>> shelf = Shelf()
        >>> shelf.get("no such run") is None
        True
    """

    def __init__(self, most_bytes: int = MOST_BYTES, **how: Any) -> None:  # noqa: ANN401
        self._for_good: dict[str, Kept] = {}
        self.passing: Bounded[str, Kept] = Bounded(most_bytes, _memory, gone=self._forget, **how)
        self._names: dict[int, str] = {}
        self._lock = threading.Lock()

    def put(self, kept: Kept, *, for_good: bool = False) -> str:
        """Keep it, `for_good` or for a while, and return its name: one for each Sampling."""
        with self._lock:
            name = self._names.get(id(kept.sampling), "")
            there = self.get(name)
            if there is None:
                name, there = secrets.token_urlsafe(16), kept
                self._names[id(kept.sampling)] = name
                if not for_good:
                    self.passing.put(name, kept)
            if for_good:
                self._for_good[name] = there
                self.passing.drop(name)
                self._names[id(kept.sampling)] = name
            return name

    def _forget(self, kept: Kept) -> None:
        self._names.pop(id(kept.sampling), None)

    def get(self, name: str) -> Kept | None:
        """What has this name, or None where it has been let go."""
        return self._for_good.get(name) or self.passing.get(name)


def _memory(kept: Kept) -> int:
    """Bytes of a record's tensors and of what it lies on, of which what is sent may be half."""
    pixels = 0 if kept.pixels is None else kept.pixels.nbytes
    tensors = sum(once(tensor).nbytes for tensor in kept.sampling.known().values())
    return tensors + pixels + _length(kept.told)


def _length(told: object) -> int:
    """Of all texts within, as pictures are."""
    if isinstance(told, dict):
        return sum(map(_length, told.values()))
    if isinstance(told, list | tuple):
        return sum(map(_length, told))
    return len(told) if isinstance(told, str) else 0


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
_TYPE = "application/octet-stream"


def _numbers(kept: Kept, state: ViewState, language: Language) -> bytes:
    return to_bytes(kept.sampling)


def _checks(kept: Kept, state: ViewState, language: Language) -> bytes:
    return json.dumps(kept.checks()).encode()


def _facts(kept: Kept, state: ViewState, language: Language) -> bytes:
    """Findings and facts, which are asked for when someone wants to read them."""
    return json.dumps(kept.about).encode()


def _html(kept: Kept, state: ViewState, language: Language) -> bytes:
    told = {**kept.told, **kept.about, "checks": kept.checks()}
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
    with _MAKING:
        body = make(kept, state, language)
        headers = {
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Length": str(len(body)),
        }
        if len(body) <= IN_MEMORY:
            return Response(body, media_type=_TYPE, headers=headers)
        file = tempfile.TemporaryFile(prefix="deformviz-")  # noqa: SIM115  (has no name; goes with the answer)
        file.write(body)
    file.seek(0)
    return StreamingResponse(iter(lambda: file.read(2**20), b""), media_type=_TYPE, headers=headers)


_MAKERS = {"numbers": _numbers, "checks": _checks, "facts": _facts} | {
    file: make for file, (_, make) in _FILES.items()
}

ROUTES = [Route(f"{_PATH}/{{name}}/{{file}}", _serve)]
"""What the server must serve for the numbers."""
