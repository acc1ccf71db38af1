"""The viewer of several layers: all in one HTML file, one of them on the screen at a time."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..images import to_data_uri
from ..sampling import Sampling
from ..words import Language
from .facts import about
from .page import Page, described
from .state import ViewState
from .wire import to_bytes, wire_size

MOST_BYTES = 128 * 2**20
"""Of a file's numbers before they are packed. Beyond it they are rounded, then left out in part."""


def below(samplings: Sequence[Sampling], data: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The layers that ran before one, as the `below` of its view: where its taps can go on.

    Args:
        samplings: what ran before, in the order of the calls.
        data: where the viewer gets the numbers of each: {"id", "url" or "element", "size"}.

    Returns:
        One entry a layer, the nearest first.

    Example:
        >>> from deformviz import Kernel
        >>> first, second = (Sampling.regular(n, Kernel.of(1), (4, 4)) for n in ("one", "two"))
        >>> [each["name"] for each in below([first, second], [{"id": "a"}, {"id": "b"}])]
        ['two', 'one']
    """
    return [
        {
            "name": sampling.name,
            "header": sampling.header(),
            "groups": sampling.groups,
            "taps": sampling.taps,
            "data": dict(where),
        }
        for sampling, where in reversed(list(zip(samplings, data, strict=True)))
    ]


@dataclass(frozen=True, eq=False)
class Stack(Page):
    """A viewer of several layers of one network on one image, with all their numbers inside.

    The page has a list of the layers. Pin, zoom and what is drawn stay where they are on the image
    when another layer is picked, and the taps of a layer can be followed down through those before
    it. Each layer's numbers are in the file once and are unpacked when they are looked at.

    How large the file is: what the tensors take. 20 layers of 3 x 3 taps on maps of 64 channels at
    100 x 100 are 127 MB as float32 and make a file of 158 MB (110 MB after ReLUs) in 5 to 10 s.
    Beyond 128 MiB of numbers (`MOST_BYTES`) all are rounded to float16, and if that is not enough,
    the layers' inputs and outputs are left out, and with them the formula; the viewer says so.

    Attributes:
        samplings: the layers in the order of their calls, as `capture` gives them.
        image: [H, W, 3] uint8 that the maps lie on, or None for the maps themselves.
        told: for each layer what else its view says: `status`, `notes`, `checks`, `findings`,
            `facts`, or `below` where not every earlier layer feeds it. Empty for nothing.
        title: of the page; the layers' count where there is none.
        state: what it opens with; its `layer` says on which, None for the last.
        language: "en" or "zh".

    Raises:
        ValueError: no layers; another number of `told`; layers that do not fit into one file, when
            the page is made.

    Example:
        >>> from deformviz import Kernel
        >>> kernel = Kernel.of(3, padding=1)
        >>> layers = [Sampling.regular(name, kernel, (8, 8)) for name in ("conv4", "conv5")]
        >>> Stack(layers, title="a network").html().startswith("<!doctype html>")
        True
    """

    samplings: Sequence[Sampling]
    image: np.ndarray | None = None
    told: Sequence[Mapping[str, Any]] = ()
    title: str = ""
    state: ViewState = ViewState()  # noqa: RUF009  (frozen)
    language: Language = "en"

    def __post_init__(self) -> None:
        if not self.samplings:
            raise ValueError("there is no layer to show: expected at least one Sampling, got none")
        if self.told and len(self.told) != len(self.samplings):
            raise ValueError(
                f"told must have an entry for each of {len(self.samplings)} layers, "
                f"got {len(self.told)}"
            )

    def html(self) -> str:
        """One self-contained page: every layer can be looked at with no network."""
        samplings, half, note = _fitted(self.samplings)
        told = self.told or [{}] * len(samplings)
        known = [{**t, **about(s, t)} for s, t in zip(samplings, told, strict=True)]
        fitted = replace(self, samplings=samplings, told=known)
        packed = [to_bytes(sampling, all_half=half) for sampling in samplings]
        numbers = {f"numbers-{i}": held for i, held in enumerate(packed)}
        data = [{"id": id_, "element": id_, "size": len(held)} for id_, held in numbers.items()]
        return self._filled(fitted.value(data, note), numbers)

    def value(self, data: Sequence[Mapping[str, Any]], note: str = "") -> dict[str, Any]:
        """What the viewer is given, on a page of one's own.

        Args:
            data: where it gets the numbers of each layer: {"id", "url" or "element", "size"}.
            note: a sentence to show with every layer.

        Returns:
            {"layers": their views, "shown": the number of the first to show, "state": what it opens
            with}, of plain JSON types.
        """
        uri = None if self.image is None else to_data_uri(self.image)
        pairs = enumerate(zip(self.samplings, data, strict=True))
        return {
            "layers": [self._view(i, s, uri, note) | {"data": dict(at)} for i, (s, at) in pairs],
            "shown": self._shown,
            "state": self.state.json(),
        }

    def _view(self, i: int, sampling: Sampling, uri: str | None, note: str) -> dict[str, Any]:
        told = self.told[i] if self.told else {}
        state = self.state if i == self._shown else ViewState()
        first = described(sampling, self.image, state, uri)
        view = {**first, "id": f"{i} {sampling.name}", **told}
        view["notes"] = [*view["notes"], *([note] if note else [])]
        if note:  # which speaks of all numbers
            view["rounded"] = ""
        if self.image is not None and i > 0:
            del view["grounds"]["image"]  # the first layer's: the photo is sent once
        return view

    @property
    def _shown(self) -> int:
        last = len(self.samplings) - 1
        return last if self.state.layer is None else min(self.state.layer, last)

    @property
    def _heading(self) -> str:
        if self.title or len(self.samplings) == 1:
            return self.title or self.samplings[0].name
        return f"{len(self.samplings)} layers"


def _fitted(samplings: Sequence[Sampling]) -> tuple[list[Sampling], bool, str]:
    """The layers as they fit into `MOST_BYTES`, whether in float16, and what to say of it."""
    samplings, most = list(samplings), MOST_BYTES // 2**20
    if sum(map(wire_size, samplings)) <= MOST_BYTES:
        return samplings, False, ""
    half = f"numbers rounded to half precision: {len(samplings)} layers have more than {most} MiB"
    if _half_size(samplings) <= MOST_BYTES:
        return samplings, True, half
    bare = [replace(sampling, input=None, output=None) for sampling in samplings]
    if (size := _half_size(bare)) > MOST_BYTES:
        raise ValueError(
            f"{len(samplings)} layers have {size / 2**20:.0f} MiB of offsets, masks and weights in "
            f"half precision, more than the {most} MiB of one file: give fewer layers or a smaller "
            "image"
        )
    return bare, True, f"{half}; their inputs and outputs, and so the formula, are left out"


def _half_size(samplings: Sequence[Sampling]) -> int:
    return sum(wire_size(sampling, all_half=True) for sampling in samplings)


def show(
    samplings: Sampling | Sequence[Sampling],
    image: np.ndarray | None = None,
    *,
    language: Language = "en",
    **state: Any,  # noqa: ANN401
) -> Path | None:
    """Look at a layer, or at all that a network has: in the notebook's cell, or in a web browser.

    Args:
        samplings: one record, or those of `capture` in their order.
        image: [H, W, 3] uint8 that the maps lie on, or None for the maps themselves.
        language: of the page's words, "en" or "zh".
        state: what the viewer opens with, see `deformviz.viewer.ViewState`, e.g. layer=3, y=3, x=5.

    Returns:
        None in a notebook; elsewhere the path of the file that the browser has opened. For a page
        to keep, see `deformviz.viewer.Stack`, whose `save` writes it.

    Raises:
        ValueError: no layers; a state that makes no sense; an image that the maps do not cover.

    Example:
        >>> from deformviz import Kernel, show
        >>> show([])
        Traceback (most recent call last):
        ValueError: there is no layer to show: expected at least one Sampling, got none
    """
    layers = [samplings] if isinstance(samplings, Sampling) else list(samplings)
    stack = Stack(layers, image, state=ViewState(**state), language=language)
    # IPython is never a dependency: where it runs a kernel, it has been imported.
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python else None
    if python is None or not hasattr(shell, "kernel"):
        return stack.open()
    python.display.display(stack)
    return None
