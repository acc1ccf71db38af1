"""Trainings over HTTP: begin one, ask how far it is, look at a moment, stop it.

The browser asks once a second. Whoever stops asking is gone, and their training ends.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from plotly.io.json import to_json_plotly
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..training.runs import Run, Runs
from ..viewer.bundle import bundled, words_for
from ..words import LANGUAGES, Language
from .train_views import EXAMPLE, example_run, moment_part, run_part, tasks_part

PATH = "/deformviz-train"
_SCRIPT = "/deformviz-static/{language}/train.js"
_MOST_ASKED = 4096
"""Bytes of what is asked for."""
_LET_GO = "This run has been let go, as others trained: start it again."

_log = logging.getLogger(__name__)


def routes(runs: Runs) -> list[Route]:
    """What the server must serve for the tab."""

    def contents(request: Request) -> Response:
        example = example_run()
        part = None if example is None else run_part(example, runs)
        return _answer(lambda: {"tasks": tasks_part(), "example": part})

    async def start(request: Request) -> Response:
        if _foreign(request):
            return _problem("Trainings are started on the page itself.", 403)
        body = await _body(request)
        return await run_in_threadpool(_answer, lambda: run_part(_start(runs, body), runs))

    async def stop(request: Request) -> Response:
        if _foreign(request):
            return _problem("Trainings are stopped on the page itself.", 403)
        await run_in_threadpool(runs.stop, request.path_params["name"])
        return _json("{}")

    def ask(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        first = int(after) if after.isdecimal() and len(after) < 6 else 0
        return _answer(lambda: run_part(_run(request, runs), runs, first))

    def moment(request: Request) -> Response:
        return _answer(lambda: moment_part(_run(request, runs), request.path_params["index"]))

    def trained(request: Request) -> Response:
        return _trained(request, runs)

    return [
        Route(PATH, contents),
        Route(f"{PATH}/start", start, methods=["POST"]),
        Route(f"{PATH}/{{name}}", ask),
        Route(f"{PATH}/{{name}}/stop", stop, methods=["POST"]),
        Route(f"{PATH}/{{name}}/moments/{{index:int}}", moment),
        Route(f"{PATH}/{{name}}/trained.safetensors", trained),
        Route(_SCRIPT, _serve_script),
    ]


def _run(request: Request, runs: Runs) -> Run:
    name = request.path_params["name"]
    if name == EXAMPLE and (example := example_run()) is not None:
        return example
    return runs.get(name)


def _start(runs: Runs, body: bytes) -> Run:
    """Begin what is asked for in JSON: {"task", "knobs", "seed", "instead"}.

    Raises:
        ValueError: it is not allowed, or there is no place.
    """
    try:
        asked = json.loads(body)
        task, knobs, seed = str(asked["task"]), dict(asked["knobs"]), asked.get("seed", 0)
        instead = asked.get("instead")
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("expected a task and its knobs as JSON") from None
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError(f"seed must be a whole number, got {str(seed)[:20]}")
    if not all(isinstance(value, str | int | float) for value in knobs.values()):
        raise ValueError("a knob's value is a text or a number")
    return runs.start(task, knobs, seed, instead if isinstance(instead, str) else None)


async def _body(request: Request) -> bytes:
    """What was sent, as far as it may be long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_ASKED:
            return b""
    return body


def _foreign(request: Request) -> bool:
    """Whether another website sends it, which a browser tells."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _trained(request: Request, runs: Runs) -> Response:
    """The weights of a run that has ended."""
    try:
        found = [each.trained for each in _run(request, runs).moments if each.trained]
    except KeyError:
        return PlainTextResponse(_LET_GO, 404)
    if not found:
        return PlainTextResponse("This run has no weights yet.", 404)
    with tempfile.TemporaryDirectory(prefix="deformviz-") as folder:
        path = Path(folder) / "trained.safetensors"
        found[-1].save(path)
        body = path.read_bytes()
    return Response(body, media_type="application/octet-stream", headers=_HEADERS)


_HEADERS = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


def _answer(make: Callable[[], Any]) -> Response:
    """JSON, or why there is none: a ValueError's own words, of anything else only that it was."""
    try:
        return _json(to_json_plotly(make()))
    except (KeyError, IndexError):
        return _problem(_LET_GO, 404)
    except ValueError as error:
        return _problem(str(error), 422)
    except Exception:
        _log.exception("a training's answer failed")
        return _problem("Something went wrong on the server; its log says more.", 500)


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json", headers=_HEADERS)


def _problem(message: str, status: int) -> Response:
    return _json(json.dumps({"problem": message}), status)


@lru_cache
def _script(language: Language) -> str:
    return bundled("train.js", "deformvizTrain", ("mountTrain",), words_for(language))


def script_path(language: Language) -> str:
    """The script's, with a tag of its content so that a browser may keep it."""
    tag = hashlib.sha256(_script(language).encode()).hexdigest()[:12]
    return f"{_SCRIPT.format(language=language)}?v={tag}"


def _serve_script(request: Request) -> Response:
    language = request.path_params["language"]
    if language not in LANGUAGES:
        return PlainTextResponse("There is no such language.", 404)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(_script(language), media_type="text/javascript", headers=headers)
