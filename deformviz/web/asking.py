"""The controls' questions, answered without Gradio's queue, which is slower than the run itself.

A question is a POST of JSON, and so is the answer: the viewer's view, and what else changes on the
page. All that Gradio would see to is seen to here: values are checked, runs take turns, so many may
wait for so long, a file must be one that was uploaded, and a failure is one clear message, which
the page tells as it tells all others. See `asking.js` for the other half.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, get_type_hints
from urllib.parse import parse_qsl

import gradio as gr
from gradio.utils import get_upload_folder
from plotly.io.json import to_json_plotly
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..images import ImageError, decode
from ..viewer import ViewState
from ..words import LANGUAGES, Language, say, speaking
from .asked import Asked
from .changes import CHANGES, Question
from .drawn import view_of
from .guard import clear_errors, plain
from .link import MAX_LENGTH, MAX_SIDE, MIN_SIDE
from .turns import DEVICE

PATH = "/deformviz-draw"

MOST_BYTES = 2**16
"""Of a question: its longest parts are the page's address and a photo's path."""

_NAMES = list(Asked.__dataclass_fields__)
_TEXT, _NUMBER = (str,), (int, float, NoneType)  # an emptied field is told of by its name, later
_KINDS: dict[Any, tuple[type, ...]] = {
    int: _NUMBER, float: _NUMBER, float | None: _NUMBER, bool: (bool,), str | None: (str, NoneType)
}  # fmt: skip
_KNOWN = {name: _KINDS.get(kind, _TEXT) for name, kind in get_type_hints(Asked).items()}


def routes(device: str) -> list[Route]:
    """What the server must serve for the questions."""

    async def serve(request: Request) -> Response:
        # Of another site's page, a browser would ask first whether it may send this type.
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _refused(415, "Expected a question as application/json.")
        body = await _body(request)
        if body is None:
            return _refused(413, f"Expected a question of at most {MOST_BYTES} bytes.")
        spoken = request.query_params.get("language")
        language: Language = next((one for one in LANGUAGES if one == spoken), "en")
        try:
            with speaking(language):
                ticket = request.query_params.get("ticket", "")
                text = await _answered(body, device, ticket)
        except gr.Error as error:
            return _refused(422, error.message, error.title)
        return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})

    return [Route(PATH, serve, methods=["POST"]), Route(PATH, _place, methods=["GET"])]


async def _place(request: Request) -> Response:
    """Which place a question has among those that wait, while it does."""
    place = DEVICE.place(request.query_params.get("ticket", ""))
    told = {} if place is None else {"place": place[0], "length": place[1]}
    return JSONResponse(told, headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> bytes | None:
    """What was sent, or None where it is too long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return None
    return body


async def _answered(body: bytes, device: str, ticket: str) -> str:
    with_clear_errors = clear_errors(partial(_answer, body, device))
    try:
        return await DEVICE.turn(with_clear_errors, ticket)
    except gr.Error:
        raise
    except ValueError as error:  # there was no turn
        message = say(str(error))
        raise gr.Error(message, title=say("Not possible"), print_exception=False) from error


def _refused(status: int, message: str, title: str = "Not possible") -> Response:
    return JSONResponse({"title": title, "message": message}, status)


# A question


def _answer(body: bytes, device: str) -> str:
    given = _json(body)
    question = read_question(given)
    change = CHANGES[question.control]
    asked, warning = _readable(question)
    adjusted = change.adjust(replace(question, asked=asked))
    if adjusted is None:
        return to_json_plotly({"values": _values(question.asked)})
    view = view_of(adjusted, device, shown=_shown_on(given))
    ground = view["grounds"]["image"]
    if ground["name"] == given.get("ground"):  # it is on the page
        view["grounds"] = view["grounds"] | {"image": {**ground, "source": None, "same": True}}
    told = list(change.tell(adjusted))
    answer = {"view": view, "values": _values(adjusted), "told": told, "warning": warning}
    text: str = to_json_plotly(answer)
    return text


def _json(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ValueError("a question must be a JSON object")
    return given


def read_question(given: Mapping[str, Any]) -> Question:
    """A question as the page asks it, whatever it holds.

    Args:
        given: `control`, a name of `CHANGES`; its `value`; the `values` of all controls in the
            order of `Asked`; `before`, those of the question before, or None; `address`, the page's
            query; `ground`, the name of the image that the page holds.

    Raises:
        ValueError: something else than that.
    """
    control, value = given.get("control"), given.get("value")
    if control not in CHANGES:
        raise ValueError(f"there is no control {str(control)[:40]!r}")
    asked = read_asked(given.get("values"))
    if control == "kernel" and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError("the kernel's size must be a whole number")
    before = given.get("before")
    earlier = dict(_query(given)) if before is None else vars(read_asked(before))
    field, mask = (earlier.get(name, "") for name in ("field", "mask"))
    return Question(str(control), value, asked, field, mask)


def read_asked(values: Any) -> Asked:  # noqa: ANN401
    """The controls' values as the page sends them; what they mean together is checked by the run.

    Raises:
        ValueError: too few or many, one of another type, or a photo that was not uploaded.
    """
    if not isinstance(values, list) or len(values) != len(_NAMES):
        raise ValueError(f"expected a list of the {len(_NAMES)} controls' values")
    for (name, known), value in zip(_KNOWN.items(), values, strict=True):
        if not isinstance(value, known) or (isinstance(value, bool) and bool not in known):
            raise ValueError(f"{name.replace('_', ' ')} has a value of the wrong type")
    asked = Asked(*values)
    if asked.side is not None and not MIN_SIDE <= asked.side <= MAX_SIDE:
        raise ValueError(f"working size must be between {MIN_SIDE} and {MAX_SIDE}")
    return asked if asked.photo is None else replace(asked, photo=_uploaded(asked.photo))


def _uploaded(photo: str) -> str:
    """The path of a file that was uploaded here; of the server's others none is read."""
    path = Path(photo.replace("\0", "")).resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()):
        raise ValueError("the photo must be one that was uploaded here: upload it again")
    return str(path)


def _readable(question: Question) -> tuple[Asked, dict[str, str] | None]:
    """What is asked for, without an upload that is no picture, and what to say of that."""
    asked = question.asked
    if question.control != "photo" or asked.photo is None:
        return asked, None
    try:
        decode(asked.photo, max_side=MIN_SIDE)
    except ImageError as error:
        warning = {"title": say("Not a picture that can be read"), "message": say(str(error))}
        return replace(asked, photo=None), warning
    return asked, None


def _values(asked: Asked) -> list[Any]:
    return [getattr(asked, name) for name in _NAMES]


def _query(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    address = given.get("address")
    if not isinstance(address, str) or len(address) > MAX_LENGTH:
        return []
    return parse_qsl(address.removeprefix("?"), keep_blank_values=True)


def _shown_on(given: Mapping[str, Any]) -> ViewState:
    """What the page shows, by its address."""
    return ViewState.from_query(dict(_query(given)))[0]


# What went wrong, told by the page


def tell(event: gr.EventData) -> None:
    """Tell a visitor what their own page has been told, as Gradio tells all else."""
    told = event._data if isinstance(event._data, dict) else {}
    title, message = (plain(str(told.get(name, "")))[:1000] for name in ("title", "message"))
    if told.get("kind") == "warning":
        gr.Warning(message, title=title, duration=20)
    else:
        raise gr.Error(message, title=title, print_exception=False)
