"""What is to be said of a whole layer in the viewer: its findings, and its numbers in a few lines.

Plain JSON types, and bounded however many groups and positions there are. `scene` does without
them: they cost more than a picture, and are asked for when someone wants to read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..analysis import findings_part
from ..analysis.health import findings_of
from ..analysis.measures import Measures
from ..analysis.strips import finite, measuring
from ..geometry import once
from ..sampling import Sampling

_MOST_GROUPS = 4
"""Groups whose numbers are told apart; of more, the numbers are those of all together."""

T = TypeVar("T")
Pair = tuple[float, float]
Fact = tuple[str, str, str]
"""What it is, its value, and what it means."""


@measuring()
def about(sampling: Sampling, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`findings` and `facts` of a view; those in `told` are not computed again.

    Takes 30 ms of one core for 3 x 3 taps at 256 x 170 positions, and 0.7 s for 7 x 7 at 512 x 512.
    """
    known = {name: told[name] for name in ("findings", "facts") if told and name in told}
    m, findable = Measures(sampling), not _is_plain(sampling)
    m.make_for(findings=findable and "findings" not in known, facts="facts" not in known)
    if "findings" not in known:
        known["findings"] = findings_part(findings_of(m) if findable else [])
    if "facts" not in known:
        known["facts"] = _facts(m)
    return known


def _is_plain(sampling: Sampling) -> bool:
    """Whether it is an operator that moves no tap by its nature: `findings` would call it dead."""
    one_zero = once(sampling.offset).numel() == 1 and not sampling.moves
    return one_zero and sampling.mask is None


# Facts


@measuring()
def facts_part(sampling: Sampling) -> list[Fact]:
    """A layer's numbers over all positions, by offset group where there are few.

    Example:
        >>> from deformviz import Kernel
        >>> kernel = Kernel.of(3, padding=2, dilation=2)
        >>> facts_part(Sampling.regular("convolution", kernel, (8, 8)))[0][:2]
        ('effective dilation', '2 px, regular 2')
    """
    return _facts(Measures(sampling))


def _facts(m: Measures) -> list[Fact]:
    m.make_for(findings=False, facts=True)
    facts = [*_dilation_facts(m), *_affine_facts(m), *_part_facts(m)]
    off = m.moved_outside  # [G, h, w]
    meaning = "Taps that their offset moved where there is no pixel: what they read is 0."
    return [*facts, ("moved off the map", _by_group(off, _mean, _percent), meaning)]


def _dilation_facts(m: Measures) -> list[Fact]:
    sampling = m.sampling
    if sampling.taps < 2 or not m.is_grid:
        return []  # no tap has a neighbour
    meaning = (
        "The mean distance between neighbouring taps in a row or column of the kernel, over all "
        "positions (Dai et al. 2017). A regular kernel has its dilation."
    )
    text = _by_group(m.dilation, _mean, _px)
    along_y, along_x = sampling.kernel.dilation
    regular = f", regular {along_y}" if along_y == along_x and sampling.reference is None else ""
    return [("effective dilation", text + regular, meaning)]


def _affine_facts(m: Measures) -> list[Fact]:
    """The median over the positions of each part of the affine fit."""
    fit = m.affine
    shift = _by_group(fit.translation, _medians, _pair)
    facts = [("shift (dy, dx)", shift, "the way of the kernel's centre")]
    if m.sampling.taps > 1:
        shear = _by_group(fit.shear, _median, _plain)
        facts += [
            ("scale", _by_group(fit.scale, _median, _plain), "1 for a regular kernel's size"),
            ("rotation", _by_group(fit.rotation, _median, _degrees), "positive is clockwise"),
            ("shear", shear, "0 where rows and columns are at right angles"),
            ("residual", _by_group(fit.residual, _median, _px), "what no affine map explains"),
        ]
    meaning = "Of the affine map that moves the taps like their offsets; median over the positions:"
    return [(name, text, f"{meaning} {part}.") for name, text, part in facts]


def _part_facts(m: Measures) -> list[Fact]:
    parts = m.parts
    fixed = "Root mean square length of each tap's mean offset: what is the same everywhere."
    varies = "Root mean square deviation from it; and its share of the offsets' squared length."

    pairs = torch.stack((parts.static, parts.adaptive), dim=1)  # [G, 2]
    return [
        ("static part", _by_group(parts.static, _root_mean_square, _px), fixed),
        ("content-adaptive part", _by_group(pairs, _root_mean_squares, _with_share), varies),
    ]


def _by_group(values: Tensor, measure: Callable[[Tensor], T], write: Callable[[T], str]) -> str:
    """Written for each group of values [G, ...], or for all of them at once."""
    few = values.shape[0] <= _MOST_GROUPS
    groups = list(torch.split(values, 1)) if few else [values]
    texts = [write(measure(group)) for group in groups]
    return " · ".join(texts) if len(set(texts)) > 1 else texts[0]


def _mean(values: Tensor) -> float:
    return float(finite(values).mean())


def _median(values: Tensor) -> float:
    known = finite(values)
    return float(known.median()) if len(known) else math.nan


def _medians(values: Tensor) -> Pair:  # [g, 2, h, w]
    return _median(values[:, 0]), _median(values[:, 1])


def _root_mean_square(values: Tensor) -> float:
    return math.sqrt(_mean(values.square()))


def _root_mean_squares(values: Tensor) -> Pair:  # [g, 2]
    return _root_mean_square(values[:, 0]), _root_mean_square(values[:, 1])


def _plain(value: float, sign: str = "") -> str:
    """Three digits, without the last ones that are nothing but rounding."""
    if not math.isfinite(value):
        return "–"
    rounded = round(value, 6)
    return f"{rounded:{sign}.3g}".replace("-", "−") if rounded else "0"


def _px(value: float) -> str:
    return f"{_plain(value)} px"


def _pair(values: Pair) -> str:
    return f"{_plain(values[0], '+')}, {_plain(values[1], '+')} px"


def _with_share(parts: Pair) -> str:
    fixed, varies = (part * part for part in parts)
    share = f", {_percent(varies / (fixed + varies))}" if fixed + varies > 0 else ""
    return _px(parts[1]) + share


def _degrees(value: float) -> str:
    return f"{_plain(value)}°"


def _percent(share: float) -> str:
    return f"{_plain(100 * share)} %"
