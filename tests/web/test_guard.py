"""What a failure says on the page, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

import gradio as gr
import pytest
from gradio import processing_utils

from deformviz.images import ImageError
from deformviz.web.guard import clear_errors, plain, refuse_links

SECRET = "/home/somebody/secret/model.pt"


def failing(error: BaseException) -> Any:
    @clear_errors
    def job() -> None:
        raise error

    return job


def message(error: BaseException) -> str:
    with pytest.raises(gr.Error) as caught:
        failing(error)()
    return str(caught.value.message)


@pytest.mark.parametrize("kind", [ValueError, ImageError])
def test_a_value_error_says_it_in_its_own_words(kind: type[ValueError]) -> None:
    text = "kernel height must be between 1 and 11, got 12"
    assert message(kind(text)) == text


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(f"cannot open {SECRET}"),
        FileNotFoundError(2, "No such file or directory", SECRET),
        PermissionError(13, "Permission denied", SECRET),
        KeyError(SECRET),
        TypeError(SECRET),
        MemoryError(SECRET),
        AssertionError(SECRET),
    ],
    ids=lambda e: type(e).__name__,
)
def test_other_errors_are_for_the_log_alone(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "deformviz"):
        text = message(error)
    assert "secret" not in text
    assert "/" not in text
    assert "went wrong on the server" in text
    assert SECRET in caplog.text


def test_an_error_for_the_page_is_handed_on() -> None:
    error = gr.Error("as it is <b>", duration=3)
    with pytest.raises(gr.Error) as caught:
        failing(error)()
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_the_server_can_still_be_stopped(error: BaseException) -> None:
    with pytest.raises(type(error)):
        failing(error)()


def test_no_trace_is_printed_for_what_a_person_did_wrong() -> None:
    for error in (ValueError("too large"), RuntimeError(SECRET)):
        with pytest.raises(gr.Error) as caught:
            failing(error)()
        assert caught.value.print_exception is False


def test_markup_is_removed() -> None:
    text = message(ValueError("no <img src=x onerror=alert(1)> & no &lt;b&gt;"))
    assert not set("<>&") & set(text)
    assert "img src=x onerror=alert(1)" in text


@pytest.mark.parametrize("text", ["", "3 × 3, 'as' \"it\" is; π", "line\nline"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_a_job_keeps_its_name_its_arguments_and_its_result() -> None:
    @clear_errors
    def add(a: int, *, b: int = 2) -> int:
        """Add."""
        return a + b

    assert add(1) == 3
    assert add(1, b=4) == 5
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    assert list(inspect.signature(add).parameters) == ["a", "b"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.png", "https://example.com/x.png"])
def test_an_address_is_not_fetched(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "async_ssrf_protected_download"
    monkeypatch.setattr(processing_utils, name, getattr(processing_utils, name))  # put back after
    refuse_links()
    with pytest.raises(gr.Error) as caught:
        asyncio.run(processing_utils.async_ssrf_protected_download(address, "unused"))
    assert caught.value.message == "Links are not accepted: upload the file itself."
