"""Numbers that a lesson speaks of, by name, computed from the record that its picture shows.

A lesson's file never holds them: it names what they are, so that they are true of whatever the
operator gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ..analysis import Terms, terms_at
from ..sampling import Sampling
from ..viewer.state import short


@dataclass(frozen=True, eq=False)
class Place:
    """Where a lesson's step looks.

    Attributes:
        sampling: with its input, output and kernel.
        y, x: the output position.
        channel: the output channel.
    """

    sampling: Sampling
    y: int
    x: int
    channel: int = 0

    @cached_property
    def terms(self) -> Terms:
        """The output value there, taken apart in float64."""
        return terms_at(self.sampling, self.y, self.x, self.channel)

    @cached_property
    def row(self) -> int:
        """The first input channel that has a weight: of a kernel for each colour, its own."""
        return int((self.terms.weights != 0).any(dim=1).int().argmax())

    def at_tap(self, values: Tensor, tap: int) -> Tensor:
        """`values` [I, K, ...] at a tap.

        Raises:
            ValueError: the kernel has no such tap.
        """
        if tap >= values.shape[1]:
            raise ValueError(f"there is no tap {tap}: the kernel has {values.shape[1]}")
        return values[self.row, tap]


def _channel_value(place: Place, channel: int) -> float:
    """What the middle tap reads in an input channel."""
    terms = place.terms
    index = (terms.channels == channel).nonzero()
    if not len(index):
        raise ValueError(f"input channel {channel} does not reach the output channel")
    return float(terms.values[index[0, 0], terms.values.shape[1] // 2])


def _offset(place: Place, tap: int, axis: int) -> float:
    moved = place.at_tap(place.terms.points - place.terms.base, tap)
    return float(moved[axis])


def _fraction(place: Place, tap: int, axis: int) -> float:
    return float(place.at_tap(place.terms.points, tap)[axis] % 1)


def _pixel(place: Place, tap: int, corner: int) -> float:
    """The value of one of the four pixels around a point; 0 outside the map."""
    y, x = (int(v) for v in place.at_tap(place.terms.neighbours, tap)[corner])
    height, width = place.sampling.input_size
    if not (0 <= y < height and 0 <= x < width):
        return 0.0
    assert place.sampling.input is not None
    return float(place.sampling.input[int(place.terms.channels[place.row]), y, x])


def _longest(place: Place) -> float:
    return float(place.sampling.offset.detach().double().norm(dim=2).max())


def _mean_length(place: Place) -> float:
    return float(place.sampling.offset.detach().double().norm(dim=2).mean())


def _shut(place: Place) -> float:
    """Of all mask values, how many percent are below 0.01."""
    if place.sampling.mask is None:
        raise ValueError("the layer has no mask")
    return 100 * float((place.sampling.mask < 0.01).double().mean())


def _region(place: Place) -> float:
    if place.sampling.region is None:
        raise ValueError("the operator has no regions")
    return float(place.sampling.region[place.y, place.x])


@dataclass(frozen=True)
class Quantity:
    """A row of `QUANTITIES`.

    Attributes:
        numbers: how many whole numbers follow its name.
        means: in a few words, for whoever writes a lesson.
        of: its value at a place.
    """

    numbers: int
    means: str
    of: Callable[..., float]


def _at_tap(part: str, *index: int) -> Callable[[Place, int], float]:
    """A part of the terms at a tap; `index` is of the axes after it."""
    return lambda place, tap: float(place.at_tap(getattr(place.terms, part), tap)[index])


def _share(place: Place, tap: int, corner: int) -> float:
    return float(place.at_tap(place.terms.neighbour_weights, tap)[corner])


QUANTITIES: dict[str, Quantity] = {
    "taps": Quantity(0, "of the kernel", lambda p: float(p.sampling.taps)),
    "groups": Quantity(0, "of offsets", lambda p: float(p.sampling.groups)),
    "offset channels": Quantity(
        0, "2 for each tap and group", lambda p: 2.0 * p.sampling.taps * p.sampling.groups
    ),
    "height": Quantity(0, "of the map that is read", lambda p: float(p.sampling.input_size[0])),
    "width": Quantity(0, "of the map that is read", lambda p: float(p.sampling.input_size[1])),
    "y": Quantity(0, "of the position", lambda p: float(p.y)),
    "x": Quantity(0, "of the position", lambda p: float(p.x)),
    "base y": Quantity(1, "of a tap's regular place", _at_tap("base", 0)),
    "base x": Quantity(1, "of a tap's regular place", _at_tap("base", 1)),
    "dy": Quantity(1, "of a tap", lambda p, k: _offset(p, k, 0)),
    "dx": Quantity(1, "of a tap", lambda p, k: _offset(p, k, 1)),
    "point y": Quantity(1, "where a tap is read", _at_tap("points", 0)),
    "point x": Quantity(1, "where a tap is read", _at_tap("points", 1)),
    "corner y": Quantity(1, "the pixel up and left of a tap's point", _at_tap("neighbours", 0, 0)),
    "corner x": Quantity(1, "the pixel up and left of a tap's point", _at_tap("neighbours", 0, 1)),
    "fraction y": Quantity(1, "from there to the point, 0 to 1", lambda p, k: _fraction(p, k, 0)),
    "fraction x": Quantity(1, "from there to the point, 0 to 1", lambda p, k: _fraction(p, k, 1)),
    "share": Quantity(2, "a tap, and which of its neighbours: its bilinear weight", _share),
    "pixel": Quantity(2, "a tap, and which of its neighbours: its value", _pixel),
    "value": Quantity(1, "what a tap reads", _at_tap("values")),
    "mask": Quantity(1, "of a tap", _at_tap("mask")),
    "weight": Quantity(1, "of a tap", _at_tap("weights")),
    "product": Quantity(1, "weight · mask · value", _at_tap("products")),
    "sum": Quantity(0, "of all terms", lambda p: p.terms.total),
    "region": Quantity(0, "at the position", _region),
    "channel value": Quantity(1, "an input channel at the middle tap", _channel_value),
    "longest offset": Quantity(0, "over the map, in pixels", _longest),
    "mean offset": Quantity(0, "its length over the map, in pixels", _mean_length),
    "shut masks": Quantity(0, "percent of the mask's values below 0.01", _shut),
}
"""What a lesson's numbers may be: a name, and the whole numbers it takes, as in `share 4 0`."""


def parsed(words: str) -> tuple[Quantity, tuple[int, ...]]:
    """The row and the whole numbers of a quantity.

    Raises:
        ValueError: there is no such quantity.

    Example:
        >>> parsed("share 4 0")[1]
        (4, 0)
    """
    names = words.split()
    numbers: list[int] = []
    while names and names[-1].isascii() and names[-1].isdigit() and len(names[-1]) <= 3:
        numbers.insert(0, int(names.pop()))
    row = QUANTITIES.get(" ".join(names))
    if row is None or len(numbers) != row.numbers:
        known = ", ".join(name + " N" * each.numbers for name, each in QUANTITIES.items())
        raise ValueError(f"expected one of {known}; got {short(words)}")
    if row.numbers == 2 and numbers[1] > 3:
        raise ValueError(f"a point has the neighbours 0 to 3, got {short(words)}")
    return row, tuple(numbers)


def quantity(words: str, place: Place) -> float:
    """The value of a quantity.

    Raises:
        ValueError: there is no such quantity, or not of this record.

    Example:
        >>> import torch
        >>> from deformviz.operators import conv2d_sampling
        >>> s = conv2d_sampling(torch.ones(1, 1, 5, 5), torch.ones(1, 1, 3, 3))
        >>> quantity("sum", Place(s, 1, 1)), quantity("base y 8", Place(s, 1, 1))
        (9.0, 3.0)
    """
    row, numbers = parsed(words)
    return row.of(place, *numbers)
