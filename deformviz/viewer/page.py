"""The viewer as one HTML file that needs nothing else, and in a notebook's cell."""

from __future__ import annotations

import base64
import html
import math
import tempfile
import webbrowser
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from plotly.io.json import to_json_plotly

from ..sampling import Sampling
from ..words import LANGUAGES, Language
from .bundle import STATIC, markup, script, style
from .facts import about
from .scene import scene
from .state import ViewState
from .wire import to_bytes

_GZIP = 31
"""The window of 32 KiB, and 16 for a gzip file's own header."""

_PIECE = 4 * 2**20
"""Characters of an element of numbers: a multiple of 4, which base64 makes of 3 bytes."""


class Page(ABC):
    """A self-contained page, and the ways to show it."""

    @abstractmethod
    def html(self) -> str:
        """One self-contained page: hover, pin, formula and morph work with no network."""

    @property
    @abstractmethod
    def _heading(self) -> str:
        """What the page is of, as plain text."""

    @property
    def _title(self) -> str:
        """The heading in HTML; half a character, as a file's name may have it, has no UTF-8."""
        return html.escape(self._heading.encode(errors="replace").decode())

    language: Language
    """That of the page's own words."""

    def _filled(self, view: Mapping[str, Any], numbers: Mapping[str, bytes]) -> str:
        """The page of a view, with files of numbers by the ids of their elements."""
        template = Template((STATIC / "page.html").read_text(encoding="utf-8"))
        return template.substitute(
            title=self._title,
            style=style(),
            language=LANGUAGES[self.language],
            markup=markup(self.language),
            script=script(self.language),
            view=_as_script(view),
            numbers="\n".join(_packed(name, data) for name, data in numbers.items()),
        )

    def save(self, path: str | Path) -> None:
        """Write the page to a file."""
        Path(path).write_text(self.html(), encoding="utf-8")

    def _repr_html_(self) -> str:
        """In a notebook's cell: a frame of its own, so that no style leaks either way."""
        return (
            f'<iframe srcdoc="{html.escape(self.html())}" width="100%" height="860" '
            'style="border:0" sandbox="allow-scripts allow-downloads" '
            f'title="{self._title}"></iframe>'
        )

    def open(self) -> Path:
        """Open the page in a web browser; the file stays, and its path is returned."""
        folder = Path(tempfile.mkdtemp(prefix="deformviz-"))
        path = folder / "view.html"
        self.save(path)
        webbrowser.open(path.as_uri())
        return path


@dataclass(frozen=True, eq=False)
class View(Page):
    """A viewer of one `Sampling`, with the whole of its numbers inside.

    Attributes:
        sampling: what is shown.
        image: [H, W, 3] uint8 that the map lies on, or None for the map itself.
        state: what it opens with.
        told: further parts of the scene, e.g. the checks of a run.
        language: "en" or "zh".

    Example:
        >>> import torch
        >>> from deformviz.operators import DeformConv2d
        >>> s = DeformConv2d(3, 8, 3, padding=1).sampling(torch.rand(1, 3, 32, 32))
        >>> View(s).html().startswith("<!doctype html>")
        True
    """

    sampling: Sampling
    image: np.ndarray | None = None
    state: ViewState = ViewState()  # noqa: RUF009  (frozen)
    told: dict[str, Any] = field(default_factory=dict)
    language: Language = "en"

    def html(self) -> str:
        """One self-contained page: hover, pin, formula and morph work with no network."""
        numbers = to_bytes(self.sampling)
        view = {
            **described(self.sampling, self.image, self.state),
            **self.told,
            **about(self.sampling, self.told),
            "state": self.state.json(),
            "data": {"id": "here", "element": "numbers", "size": len(numbers)},
        }
        return self._filled(view, {"numbers": numbers})

    @property
    def _heading(self) -> str:
        return self.sampling.name


def described(
    sampling: Sampling, image: np.ndarray | None, state: ViewState, uri: str | None = None
) -> dict[str, Any]:
    """The view of a record that nothing more is known of; its `data` is still to be told."""
    (kh, kw), (h, w) = sampling.kernel.size, sampling.output_size
    return {
        **scene(sampling, image, uri=uri, y=state.y, x=state.x),
        "id": sampling.name,
        "status": f"{sampling.name}, {kh} × {kw}, output {h} × {w}",
        "notes": [],
        "checks": [],
    }


def _packed(name: str, data: bytes) -> str:
    """A file as elements of the page; without a time in it, the same page is the same file.

    In pieces, each of whole bytes, as a browser takes an element in without doing anything else.
    """
    text = base64.b64encode(_gzipped(data)).decode("ascii")
    return "".join(
        f'<script type="application/octet-stream" id="{name}{f"+{i}" if i else ""}">'
        f"{text[i * _PIECE : (i + 1) * _PIECE]}</script>\n"
        for i in range(max(1, math.ceil(len(text) / _PIECE)))
    )


def _gzipped(data: bytes) -> bytes:
    """As a gzip file, in which nothing but runs of one byte is looked for.

    The last digits of measured numbers repeat nothing else. It takes a third of the time, and where
    ReLUs made zeros the file is even smaller; that of a smooth, made-up field is 16 % larger.
    """
    packer = zlib.compressobj(wbits=_GZIP, memLevel=9, strategy=zlib.Z_RLE)
    return packer.compress(data) + packer.flush()


def _as_script(view: Mapping[str, Any]) -> str:
    """JSON that may stand in a <script>: no name in it can end the element."""
    # The faster engine of the two refuses half a character in a name.
    text: str = to_json_plotly(view, engine="json")
    return text.replace("<", "\\u003c")
