"""A running server, and a photo to ask it about."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio import processing_utils
from gradio_client import Client
from PIL import Image
from served import Served

from deformviz.web import server as web


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
