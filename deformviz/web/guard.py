"""Between the page and the core: every failure becomes one clear message, no file is unsafe."""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import gradio as gr
from gradio import processing_utils

from ..images import MIN_SIDE, ImageError, decode
from ..words import Language, say, speaking, spoken

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


def clear_errors(function: Callable[..., Result]) -> Callable[..., Result]:
    """Show a ValueError's own words on the page; of anything else, only that it happened.

    Other exceptions may name files of the server, so their text goes to its log alone. The function
    speaks the language that is spoken where it is wrapped: that of its page.
    """
    language = spoken()
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:  # noqa: ANN401
            taken = function(*args, **kwargs)
            while True:
                with _cleared(language):  # each step may come in a thread of its own
                    try:
                        step = next(taken)
                    except StopIteration:
                        return
                yield step

        return steps  # type: ignore[return-value]

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Result:  # noqa: ANN401
        with _cleared(language):
            return function(*args, **kwargs)

    return wrapped


@contextmanager
def _cleared(language: Language) -> Iterator[None]:
    with speaking(language):
        try:
            yield
        except gr.Error:
            raise
        except ValueError as error:
            message = plain(say(str(error)))
            raise gr.Error(message, title=say("Not possible"), print_exception=False) from error
        except Exception as error:
            _log.exception("a run failed")
            raise gr.Error(
                say(
                    "Something went wrong on the server; what you had is still here. "
                    "Its log says more."
                ),
                title=say("Failed"),
                print_exception=False,
            ) from error


def plain(text: str) -> str:
    """Without the characters that a toast, which is rendered as HTML, would read as markup."""
    return re.sub(r"[<>&]", "·", text)


def accept_photo(photo: str) -> str | None:
    """Keep an upload that is a picture; of another, say why and let it go."""
    try:
        decode(photo, max_side=MIN_SIDE)
    except ImageError as error:
        gr.Warning(plain(say(str(error))), title=say("Not a picture that can be read"), duration=20)
        return None
    return photo


async def _refuse_link(url: str, cache_dir: str) -> NoReturn:
    raise gr.Error("Links are not accepted: upload the file itself.", print_exception=False)


def refuse_links() -> None:
    """Keep the server from fetching an address that a client sends in place of a file.

    Gradio would download it, without a limit on its size, before any of our code runs.
    """
    processing_utils.async_ssrf_protected_download = _refuse_link
