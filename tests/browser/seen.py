"""What a viewer shows, read off the screen and brought into the units that it is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Where a pane's picture lies on the screen, and how many pixels it has.
PICTURE = """(root, figure) => {
  const picture = root.querySelector(`[data-figure="${figure}"] img`);
  const { left, top, width, height } = picture.getBoundingClientRect();
  return { left, top, width, height, rows: picture.naturalHeight, columns: picture.naturalWidth };
}"""

# What one side of the viewer shows; places are the screen's. Rows of the table that are not in
# sight are written when they are scrolled to.
SEEN = """async (root, side) => {
  const find = (selector) => root.querySelector(selector);
  const frame = (node) => {
    const { left, top, width, height } = node.getBoundingClientRect();
    return { left, top, width, height };
  };
  const middle = (node) => {
    const { left, top, width, height } = frame(node);
    return [top + height / 2, left + width / 2];
  };
  const radius = (dot) => Number(dot.getAttribute('r'));
  const dots = (box) => [...box.querySelectorAll('circle.dv-tap')]
    .filter((dot) => radius(dot) > 0 && dot.getClientRects().length)
    .map((dot) => ({
      tap: Number(dot.dataset.tap), place: middle(dot), size: 2 * radius(dot),
      color: getComputedStyle(dot).fill, lit: dot.classList.contains('dv-on'),
    }));
  const kernel = find(`.dv-kernel-box[data-side="${side}"]`);
  const screen = kernel.querySelector('svg').getScreenCTM();
  const texts = [...kernel.querySelectorAll('.dv-axes text[text-anchor="middle"]')];
  const terms = find(`[data-terms="${side}"]`);
  const scroll = terms.querySelector('.dv-scroll');
  if (scroll.scrollHeight > scroll.clientHeight) {
    await new Promise((done) => {
      scroll.addEventListener('scroll', done, { once: true });
      scroll.scrollTop = scroll.scrollTop > 0 ? 0 : scroll.scrollHeight;
    });
  }
  const rows = [...terms.querySelectorAll('tbody tr')].filter((row) => row.checkVisibility());
  return {
    position: ['y', 'x'].map((name) => Number(find(`[data-control="${name}"]`).value)),
    image: dots(find(`figure[data-side="${side}"] .dv-pane`)),
    kernel: dots(kernel),
    frames: [...kernel.querySelectorAll('.dv-axes rect')].map(frame),
    ticks: texts.filter((text) => /^[−\\d.]+$/.test(text.textContent))
      .map((text) => [screen.e + screen.a * Number(text.getAttribute('x')), text.textContent]),
    rows: rows.map((row) => ({
      tap: Number(row.dataset.tap), lit: row.classList.contains('dv-on'),
      cells: [...row.children].map((cell) => cell.textContent),
    })),
    line: terms.querySelector('.dv-formula').innerText,
    why: terms.querySelector('.dv-why').innerText,
  };
}"""

Picture = dict[str, float]


def number(text: str) -> float:
    """A number as the viewer writes it, with a true minus sign.

    >>> number("−1.5e−3")
    -0.0015
    """
    return float(text.replace("−", "-"))


def numbers(text: str) -> list[float]:
    """All numbers in a text.

    >>> numbers("−1, 2:  0.25  0.75")
    [-1.0, 2.0, 0.25, 0.75]
    """
    return [number(found) for found in re.findall(r"[−-]?\d+(?:\.\d+)?(?:e[−+-]?\d+)?", text)]


@dataclass(frozen=True)
class Dot:
    """A tap as it is drawn: (y, x) in pixels of the image, or from the kernel's centre."""

    place: np.ndarray
    size: float
    color: str
    lit: bool


@dataclass(frozen=True)
class Seen:
    """What one side of the viewer shows of a position.

    Attributes:
        position: (y, x) in the number boxes.
        image, kernel: the dots by number, n = group * taps + tap.
        reach: the end of the kernel's axes, from their labels.
        unit: screen pixels of one pixel of the map in the kernel's panel.
        rows: the formula's table by number; the cells' texts, the first is the tap's name.
        lit_rows: which of them are lit.
        line, why: the sentences over the table.
    """

    position: tuple[int, int]
    image: dict[int, Dot]
    kernel: dict[int, Dot]
    reach: float
    unit: float
    rows: dict[int, list[str]]
    lit_rows: list[int]
    line: str
    why: str

    @property
    def total(self) -> float:
        """What the terms add up to."""
        return self._in_line(r"= (−?\d+\.\d+)")

    @property
    def given(self) -> float:
        """What the operator gave."""
        return self._in_line(r"the operator gave (−?\d+\.\d+)")

    @property
    def difference(self) -> float:
        """Between the two."""
        return self._in_line(r"difference (\d[\d.]*(?:e−?\d+)?)")

    def _in_line(self, pattern: str) -> float:
        found = re.search(pattern, self.line)
        assert found is not None, self.line
        return number(found[1])

    def points(self, where: str = "image") -> np.ndarray:
        """The dots in order of their numbers: [n, 2], (y, x)."""
        dots = getattr(self, where)
        return np.array([dots[n].place for n in sorted(dots)]).reshape(-1, 2)

    def lit(self, where: str) -> list[int]:
        """The numbers of the dots that are lit."""
        return [n for n, dot in getattr(self, where).items() if dot.lit]


def to_seen(raw: dict[str, Any], picture: Picture) -> Seen:
    """What `SEEN` gave, in pixels of the image whose picture lies there."""
    frames, unit = raw["frames"], _kernel_unit(raw)
    return Seen(
        position=(raw["position"][0], raw["position"][1]),
        image=_dots(raw["image"], lambda place: on_picture(picture, place)),
        kernel=_dots(raw["kernel"], lambda place: _from_centre(frames, unit, place)),
        reach=frames[0]["width"] / 2 / unit,
        unit=unit,
        rows={row["tap"]: row["cells"] for row in raw["rows"]},
        lit_rows=[row["tap"] for row in raw["rows"] if row["lit"]],
        line=" ".join(raw["line"].split()),
        why=raw["why"],
    )


def on_picture(picture: Picture, place: list[float] | np.ndarray) -> np.ndarray:
    """A place of the screen (y, x) in a picture's own pixels, whose centres are at integers."""
    corner = np.array([picture["top"], picture["left"]])
    size = np.array([picture["height"], picture["width"]])
    return np.asarray(
        (np.array(place) - corner) / size * [picture["rows"], picture["columns"]] - 0.5
    )


def on_screen(picture: Picture, y: float, x: float) -> tuple[float, float]:
    """Screen pixels (left, top) of a place in a picture's own pixels."""
    return (
        picture["left"] + (x + 0.5) / picture["columns"] * picture["width"],
        picture["top"] + (y + 0.5) / picture["rows"] * picture["height"],
    )


def _dots(raw: list[dict[str, Any]], place: Callable[[list[float]], np.ndarray]) -> dict[int, Dot]:
    return {
        dot["tap"]: Dot(place(dot["place"]), dot["size"], dot["color"], dot["lit"]) for dot in raw
    }


def _kernel_unit(raw: dict[str, Any]) -> float:
    """Screen pixels of one pixel of the map in the kernel's panel, from its axis' labels."""
    frame = raw["frames"][0]
    own = [tick for tick in raw["ticks"] if 0 <= tick[0] - frame["left"] <= frame["width"]]
    places, values = zip(*((place, number(text)) for place, text in own), strict=True)
    return float(np.polyfit(values, places, 1)[0])


def _from_centre(frames: list[Picture], unit: float, place: list[float]) -> np.ndarray:
    """A place of the screen (y, x) in pixels from the centre of the panel that it lies in."""
    centres = np.array([[f["top"] + f["height"] / 2, f["left"] + f["width"] / 2] for f in frames])
    away = np.array(place) - centres  # [panels, 2]
    return np.asarray(away[np.abs(away[:, 1]).argmin()] / unit)
