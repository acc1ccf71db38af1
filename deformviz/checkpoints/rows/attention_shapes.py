"""Shapes to readings, where offsets come from a linear layer or a small network, not a conv.

Such files say how many rows there are, and not how they are made up of groups, levels and points:
every factorisation is a reading, and the one that the code base's own models use comes first.
"""

from __future__ import annotations

from math import isqrt

from ..family import Reader, Reading, Shapes

_KERNELS = (3, 5, 7, 9, 11)
_MOST_LEVELS = 8


def aggregation(shapes: Shapes) -> list[Reading]:
    """DCNv3: offsets [2 * G * P, C], masks [G * P, C]; P is k² or, without the centre, k² - 1."""
    offset, mask, depthwise = (
        shapes[k] for k in ("offset.weight", "mask.weight", "depthwise.weight")
    )
    if len(offset) != 2 or len(mask) != 2 or len(depthwise) != 4:
        return []
    channels = mask[1]
    if offset != (2 * mask[0], channels) or depthwise[:2] != (channels, 1):
        return []
    found = [
        (k, mask[0] // points, points)
        for k in _KERNELS
        for points in (k * k, k * k - 1)
        if mask[0] % points == 0 and channels % (mask[0] // points) == 0
    ]
    return _kernels(found, channels, shapes)


def packed_aggregation(shapes: Shapes) -> list[Reading]:
    """DCNv4: G blocks of 3P rows, then rows of padding up to a multiple of 8; 3 x 3 alone."""
    rows = shapes["offset.weight"]
    if len(rows) != 2 or shapes["value.weight"] != (rows[1], rows[1]):
        return []
    channels = rows[1]
    found = [
        (3, groups, points)
        for points in (9, 8)
        for groups in range(1, channels // 16 + 1)  # its kernel wants (C / G) % 16 == 0
        if channels % groups == 0
        and (channels // groups) % 16 == 0
        and rows[0] in (3 * groups * points, -(-3 * groups * points // 8) * 8)
    ]
    return _kernels(found, channels, shapes)


def _kernels(found: list[tuple[int, int, int]], channels: int, shapes: Shapes) -> list[Reading]:
    """(k, G, P) as readings: what a scale for each group settles, else the usual first."""
    scale = shapes.get("centre.weight")  # [G, C], in the larger models alone
    if scale is not None:
        found = [one for one in found if scale == (one[1], channels)]
    # InternImage's groups are of 16 channels, FlashInternImage's of 16 or more; kernels are 3 x 3.
    found.sort(key=lambda one: (one[0] != 3, one[2] != one[0] ** 2, channels != 16 * one[1]))
    assumed = frozenset({"kernel_size", "offset_groups"} if len(found) > 1 else ())
    return [
        Reading((k, k), groups, channels, points, assumed=assumed) for k, groups, points in found
    ]


def attention(usual_points: int, channels_per_head: int) -> Reader:
    """Multi-scale deformable attention: offsets [2 * H * L * P, D], weights [H * L * P, D].

    Args:
        usual_points: P of the code base's models.
        channels_per_head: D / H of them.
    """

    def read(shapes: Shapes) -> list[Reading]:
        offset, mask = shapes["offset.weight"], shapes["mask.weight"]
        if len(offset) != 2 or len(mask) != 2 or offset != (2 * mask[0], mask[1]):
            return []
        levels = shapes.get("levels")
        known = levels is not None and len(levels) == 2
        found = [
            (heads, count, mask[0] // (heads * count))
            for heads in _divisors(mask[1])
            for count in ([levels[0]] if levels and known else range(1, _MOST_LEVELS + 1))
            if mask[0] % (heads * count) == 0
        ]
        usual_heads = mask[1] // channels_per_head
        found.sort(key=lambda one: (one[0] != usual_heads, one[2] != usual_points))
        assumed = frozenset({"offset_groups", "points"} | (set() if known else {"levels"}))
        return [Reading((1, 1), h, mask[1], p, count, assumed) for h, count, p in found]

    return read


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def key_grid(shapes: Shapes) -> list[Reading]:
    """DAT: one (y, x) for each key, from a depthwise and a 1 x 1 convolution of C / G channels."""
    hidden, offset, query, out = (
        shapes[k] for k in ("hidden.weight", "offset.weight", "query.weight", "out.weight")
    )
    if not len(hidden) == len(query) == len(out) == 4 or hidden[1] != 1:
        return []
    per_group, inner, channels = hidden[0], query[0], out[0]
    groups = inner // per_group
    if offset != (2, per_group, 1, 1) or inner % per_group or groups < 1 or channels % groups:
        return []
    return [Reading((1, 1), groups, channels, 1)]
