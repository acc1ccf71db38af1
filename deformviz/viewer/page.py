"""The viewer as one HTML file that needs nothing else, and in a notebook's cell."""

from __future__ import annotations

import base64
import gzip
import html
import tempfile
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from plotly.io.json import to_json_plotly

from ..sampling import Sampling
from .bundle import STATIC, markup, script, style
from .scene import scene
from .state import ViewState
from .wire import to_bytes


@dataclass(frozen=True, eq=False)
class View:
    """A viewer of one `Sampling`, with the whole of its numbers inside.

    Attributes:
        sampling: what is shown.
        image: [H, W, 3] uint8 that the map lies on, or None for the map itself.
        state: what it opens with.
        told: further parts of the scene, e.g. the checks of a run.

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

    def html(self) -> str:
        """One self-contained page: hover, pin, formula and morph work with no network."""
        numbers = gzip.compress(to_bytes(self.sampling), compresslevel=1)
        template = Template((STATIC / "page.html").read_text(encoding="utf-8"))
        return template.substitute(
            title=self._title,
            style=style(),
            markup=markup(),
            script=script(),
            view=_as_script(self._view()),
            numbers=base64.b64encode(numbers).decode("ascii"),
        )

    @property
    def _title(self) -> str:
        """The name in HTML; half a character, as a file's name may have it, has no UTF-8."""
        return html.escape(self.sampling.name.encode(errors="replace").decode())

    def _view(self) -> dict[str, Any]:
        (kh, kw), (h, w) = self.sampling.kernel.size, self.sampling.output_size
        status = f"{self.sampling.name}, {kh} × {kw}, output {h} × {w}"
        return {
            **scene(self.sampling, self.image, y=self.state.y, x=self.state.x),
            "id": self.sampling.name,
            "status": status,
            "notes": [],
            "checks": [],
            **self.told,
            "state": self.state.json(),
            "data": {"id": "here", "element": "numbers"},
        }

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


def _as_script(view: dict[str, Any]) -> str:
    """JSON that may stand in a <script>: no name in it can end the element."""
    # The faster engine of the two refuses half a character in a name.
    text: str = to_json_plotly(view, engine="json")
    return text.replace("<", "\\u003c")
