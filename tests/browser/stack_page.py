"""A saved page of several layers, and what is drawn of the taps that are followed down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from truth import photo_pixels
from viewer_page import ViewerPage

from deformviz import ImageMap, Sampling
from deformviz.analysis import Traced
from deformviz.operators import ModulatedDeformConv2d
from deformviz.viewer import Stack, ViewState

_PATHS = """(paths) => paths.map((path) => ({
  d: path.getAttribute('d'), tap: path.dataset.tap ?? '', lit: path.classList.contains('dv-on'),
  transform: path.parentNode.getAttribute('transform'),
  width: Number(path.getAttribute('stroke-width')),
}))"""
_NUMBER = r"(-?[\d.]+(?:e-?\d+)?)"
_PLACE = re.compile(f"M{_NUMBER} {_NUMBER}")


def network() -> list[Sampling]:
    """Three layers on `photo_pixels`, as they ran: stride 2 in the second, two groups at last."""
    torch.manual_seed(0)
    layers: list[Sampling] = []
    value = torch.rand(1, 3, 48, 64)
    for name, outputs, stride, groups in (("stem", 4, 1, 1), ("down", 4, 2, 1), ("deep", 6, 1, 2)):
        operator = ModulatedDeformConv2d(
            value.shape[1], outputs, 3, stride=stride, padding=1, bias=False, offset_groups=groups
        )
        for parameter in operator.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
        on_image = ImageMap.of_stride(48 // value.shape[2])
        layers.append(replace(operator.sampling(value), name=name, image_map=on_image))
        value = operator(value).detach()
    return layers


def saved(path: Path, layers: Sequence[Sampling], **state: Any) -> Path:
    Stack(layers, photo_pixels(), title="a network", state=ViewState(**state)).save(path)
    return path


def followed(page: ViewerPage, figure: str = "image") -> dict[int, np.ndarray]:
    """The dots of each first tap, in pixels of the image: {n: [m, 2]}, (y, x)."""
    found: dict[int, list[list[float]]] = {}
    for path in _paths(page, figure):
        if path["tap"] != "":
            places = [[float(y), float(x)] for x, y in _PLACE.findall(path["d"])]
            found.setdefault(int(path["tap"]), []).extend(places)
    return {n: page.from_clip(np.array(places), figure) for n, places in found.items()}


def assert_dots(page: ViewerPage, expected: Traced, level: int = -1, figure: str = "image") -> None:
    """Each dot that is in view is where Python has it, in the colour of its first tap."""
    found = followed(page, figure)
    at = expected.levels[level]
    assert at.taps is not None
    points = at.on_image().numpy()[(at.weights != 0).numpy()]
    first = at.taps[:, 0].numpy()[(at.weights != 0).numpy()]
    assert sorted(found) == sorted(set(first))
    for n, places in found.items():
        own = points[first == n]
        assert places.shape == own.shape, n
        for place in places:  # within the tenth of a screen pixel that they are drawn to
            assert np.abs(own - place).max(axis=1).min() < 0.01, (n, place)


def lit(page: ViewerPage) -> set[int]:
    """The first taps whose dots are lit."""
    return {int(path["tap"]) for path in _paths(page, "image") if path["lit"]}


def heat(page: ViewerPage) -> set[tuple[int, int]]:
    """The pixels of the lowest map that the heat map has, in the map's own pixels: (y, x)."""
    cells = [place for path in _paths(page, "image") for place in _PLACE.findall(path["d"])]
    return {(round(float(y) + 0.5), round(float(x) + 0.5)) for x, y in cells}


def heat_placing(page: ViewerPage) -> tuple[np.ndarray, float]:
    """Where the middle of the heat map's pixel (0, 0) lies on the image, and a pixel's size."""
    transform = _paths(page, "image")[0]["transform"]
    width, _, _, _, left, top = (float(v) for v in re.findall(_NUMBER, transform))
    return page.from_clip(np.array([[top, left]]))[0], width / page.scale()


def _paths(page: ViewerPage, figure: str) -> Any:
    return page.clip(figure).locator(".dv-trail path").evaluate_all(_PATHS)
