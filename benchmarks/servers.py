"""Servers for the browser, each in a process of its own, so that none waits for this one."""

from __future__ import annotations

import multiprocessing
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gradio as gr
from paths import ROOT


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(address: str, alive: Callable[[], bool]) -> None:
    """Until a server answers, while its process is `alive`."""
    for _ in range(600):
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            if not alive():
                raise RuntimeError(f"the server of {address} ended before it was ready") from None
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"the server of {address} was not ready in time")


@contextmanager
def app_server() -> Iterator[str]:
    """The address of a `python app.py`, started as a newcomer would."""
    with app_process() as (address, _):
        yield address


@contextmanager
def app_process() -> Iterator[tuple[str, int]]:
    """The same, and its process."""
    port = free_port()
    command = [sys.executable, "app.py", "--device", "cpu", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, lambda: process.poll() is None)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def bare_server(serve: Callable[[int], None]) -> Iterator[str]:
    """The address of a Gradio page that does as little as one can."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process.is_alive)
        yield address
    finally:
        process.terminate()
        process.join(timeout=30)


def serve_empty(port: int) -> None:
    """A page with one element, which says when it is there."""
    with gr.Blocks(analytics_enabled=False) as page:
        gr.HTML("here", js_on_load="window.bench?.drawn();")
    launch_bare(page, port)


def serve_echo(port: int) -> None:
    """A page with the kind of control that the change is made with, and a short answer."""
    with gr.Blocks(analytics_enabled=False) as page:
        slider = gr.Slider(0, 40, 12, elem_id="strength")
        answer = gr.HTML("here", js_on_load="watch('value', () => window.bench?.mark('answer'));")
        slider.input(str, slider, answer, trigger_mode="always_last", show_progress="minimal")
    launch_bare(page, port)


def launch_bare(page: gr.Blocks, port: int) -> None:
    """Serve a page with the app's way of serving, and with no font from elsewhere."""
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        ssr_mode=False,
        quiet=True,
        theme=gr.themes.Default(font=["system-ui"], font_mono=["ui-monospace"]),
    )
