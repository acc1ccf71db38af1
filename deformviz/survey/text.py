"""A survey as text for a terminal."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from torch import Tensor

from ..inspection.printable import printable, table
from ..inspection.text import readings, verified_lines, wrapped
from .numbers import dilation_of, numbers_of

if TYPE_CHECKING:
    from .report import Found, Survey

_HEIGHTS = " ▁▂▃▄▅▆▇█"
_BARS = 16
_NAMED_BROKEN = 10
_EXACT = (
    "Nothing is sampled: every position of every image counts. median and p99 are upper ends of "
    "bins, too large by 3 % at most (mask: by 0.008). adapt: the share of the squared offsets that "
    "varies, within images or between them. ±: standard deviation over positions; (images): of the "
    "images' means."
)


def survey_text(survey: Survey, width: int) -> str:
    """How the layers are read, what they did on all images, what is wrong, what was not read."""
    tally, (h, w) = survey.tally, survey.plan["size"]
    head = f"{tally.images:,} images, each at {h} x {w}"
    lines = [", ".join([printable(survey.run.name), head])]
    known = [row.layer for row in survey.run.layers if row.layer is not None]
    lines += readings(list({layer.name: layer for layer in known}.values()))
    lines += ["", *verified_lines(survey.run.layers)]
    notes = list(survey.run.notes)
    notes += [f"{row.sampling.name}: {row.note}" for row in survey.run.layers if row.note]
    notes += [f"{layer.name}: no call of it was recorded." for layer in survey.run.not_run]
    lines += [*wrapped(notes, width), "", *_tables(survey), "", *wrapped([_EXACT], width)]
    found = [line for one in survey.findings for line in _finding(one, width)]
    return "\n".join([*lines, *([""] if found else []), *found, *_broken(survey, width)])


def _tables(survey: Survey) -> list[str]:
    offsets = [["layer", "map", "mean px", "median", "p99", "largest", "moved out", "adapt"]]
    dilations = [["layer", "dilation", "(images)", "median", "p99", "least to largest", ""]]
    masks = [["layer", "mask", "p1 to p99", "least to largest"]]
    for name, layer in survey.layers.items():
        n, d, (rows, columns) = numbers_of(layer), dilation_of(layer), layer.header.input_size
        first = printable(name)
        offsets.append(
            [first, f"{rows}x{columns}", _spread(n.mean, n.deviation), *map(_number, (n.median,
             n.p99, n.largest)), _share(n.moved_outside), _share(n.adaptive_share)]
        )  # fmt: skip
        if math.isfinite(d.mean):
            dilations.append(
                [first, _spread(d.mean, d.deviation), f"±{d.of_images:.2f}", _number(d.median),
                 _number(d.p99), f"{_number(d.least)} to {_number(d.largest)}",
                 bars(layer.counts["spacings"])]
            )  # fmt: skip
        if math.isfinite(n.mask_mean):
            ends = f"{_number(n.mask_low)} to {_number(n.mask_high)}"
            middle = f"{_number(n.mask_p1)} to {_number(n.mask_p99)}"
            masks.append([first, _spread(n.mask_mean, n.mask_deviation), middle, ends])
    lines: list[str] = []
    for rows_of in (offsets, dilations, masks):
        if len(rows_of) > 1:
            lines += [*([""] if lines else []), *table(rows_of)]
    return lines


def bars(counts: Tensor) -> str:
    """A histogram in a few letters, from the first bin that holds anything to the last.

    Example:
        >>> import torch
        >>> bars(torch.tensor([0, 1, 2, 8, 0]))
        '▁▂█'
    """
    held = counts.nonzero().flatten()
    if not len(held):
        return ""
    inside = counts[int(held[0]) : int(held[-1]) + 1].double()
    parts = inside.tensor_split(min(_BARS, len(inside)))
    # By bin, as parts differ by one in how many they have.
    heights = [float(part.mean()) for part in parts]
    top = max(heights)
    return "".join(_HEIGHTS[math.ceil(8 * height / top)] for height in heights)


def _finding(found: Found, width: int) -> list[str]:
    where = f"in {found.images:,} of {found.of:,} images ({_share(found.images / found.of)})"
    some = [group for group, count in enumerate(found.groups) if count]
    groups = ""
    if len(some) < len(found.groups):
        groups = f", in offset group{'s' * (len(some) > 1)} {', '.join(map(str, some))}"
    text = (
        f"{found.severity:7} {printable(found.layer)}: {found.kind} {where}{groups}, first "
        f"{printable(found.first)}"
    )
    return textwrap.wrap(text, width, subsequent_indent=8 * " ")


def _broken(survey: Survey, width: int) -> list[str]:
    count = survey.tally.broken_count
    if not count:
        return []
    lines = ["", f"{count:,} {'image' if count == 1 else 'images'} could not be read:"]
    shown = survey.broken[:_NAMED_BROKEN]
    lines += wrapped([f"{printable(name)}: {why}" for name, why in shown], width)
    return lines + ([f"and {count - len(shown):,} more"] if count > len(shown) else [])


def _spread(mean: float, deviation: float) -> str:
    return f"{_number(mean)} ±{_number(deviation)}" if math.isfinite(mean) else "-"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.2f}" if value == 0 or 0.005 <= abs(value) < 1e4 else f"{value:.0e}"


def _share(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{100 * value:.2g} %" if 0 < value < 0.1 else f"{100 * value:.0f} %"
