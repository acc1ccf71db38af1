"""Shapes to readings, for convolutions whose offsets come from a convolution beside them.

The taps are counted on the main weight, never assumed to be 3 x 3; the offset convolution's rows
then say how many groups there are, and whether there is a mask.
"""

from __future__ import annotations

from math import isqrt

from ..family import Reader, Reading, Shape, Shapes

DOUBTFUL = frozenset({"family", "offset_groups", "mask_activation"})
"""What is assumed of rows that could be v1 with more groups or v2 with fewer."""


def tap_conv(
    per_tap: int, *, rival: bool = False, own_kernel: bool = False, own_input: bool = True
) -> Reader:
    """A reader of a main weight [O, C / groups, kh, kw] and an offset weight [R, C, a, b].

    Args:
        per_tap: 2 for offsets alone, or with a mask convolution beside them; 3 where R holds both.
        rival: whether the same names stand for the other of v1 and v2 too, so that rows which
            both explain are in doubt. v2 stands first in the table, as it is the likelier.
        own_kernel: whether the offset convolution has a kernel size of its own.
        own_input: whether it reads the same map as the main one, and so counts its channels.
    """

    def read(shapes: Shapes) -> list[Reading]:
        weight, offset = shapes["weight"], shapes["offset.weight"]
        if len(weight) != 4 or len(offset) != 4 or (not own_kernel and offset[2:] != weight[2:]):
            return []
        taps, channels = weight[2] * weight[3], in_channels(weight, offset, own_input)
        groups = _groups(offset[0], per_tap * taps, channels)
        mask = shapes.get("mask.weight")
        if groups is None or (mask is not None and mask[0] != groups * taps):
            return []
        if mask is not None and (len(mask) != 4 or mask[1:] != offset[1:]):
            return []
        other = _groups(offset[0], (5 - per_tap) * taps, channels) if rival else None
        sure = other is None or "bias" in shapes  # no v1 of these code bases has a bias
        return [
            Reading(
                (weight[2], weight[3]),
                groups,
                channels,
                taps,
                assumed=frozenset() if sure else DOUBTFUL,
            )
        ]

    return read


def in_channels(weight: Shape, offset: Shape, own_input: bool = True) -> int:
    """C of the map that a main weight [O, C / groups, kh, kw] reads.

    Its groups are not in the file. An offset convolution of the same input counts the channels,
    where a number of groups makes the two agree.

    Example:
        >>> in_channels((64, 8, 3, 3), (18, 64, 3, 3))
        64
    """
    out, per_group = weight[:2]
    groups = offset[1] // per_group
    fits = offset[1] % per_group == 0 and groups > 0 and out % groups == 0
    return offset[1] if own_input and fits else per_group


def _groups(rows: int, per_group: int, channels: int) -> int | None:
    """G, if rows are G groups of `per_group` and G divides the channels."""
    groups = rows // per_group
    return groups if rows % per_group == 0 and groups > 0 and channels % groups == 0 else None


def several(reader: Reader) -> Reader:
    """Only readings with more than one group."""
    return lambda shapes: [reading for reading in reader(shapes) if reading.offset_groups > 1]


def paired(reader: Reader) -> Reader:
    """Only readings with an even number of groups, half of them for either of two flows."""
    return lambda shapes: [reading for reading in reader(shapes) if reading.offset_groups % 2 == 0]


def larger(reader: Reader) -> Reader:
    """Only readings with more than one tap: a 1 x 1 kernel explains any even number of rows."""
    return lambda shapes: [reading for reading in reader(shapes) if reading.points > 1]


def atrous(shapes: Shapes) -> list[Reading]:
    """DetectoRS: 18 rows, whatever the channels; the two weights are alike."""
    if shapes["other.weight"] != shapes["weight"]:
        return []
    return [r for r in tap_conv(2)(shapes) if r.points == 9 and r.offset_groups == 1]


def centre_points(shapes: Shapes) -> list[Reading]:
    """RepPoints: K points for a square kernel of odd length, from a 1 x 1 convolution."""
    weight, points, hidden = (shapes[k] for k in ("weight", "offset.weight", "hidden.weight"))
    fits = len(weight) == 4 and weight[2] == weight[3] and weight[2] % 2 == 1
    if not fits or points != (2 * weight[2] * weight[3], hidden[0], 1, 1):
        return []
    return [Reading((weight[2], weight[3]), 1, weight[1], weight[2] * weight[3])]


def box(shapes: Shapes) -> list[Reading]:
    """VFNet: nine points on a box, no offset convolution."""
    weight = shapes["weight"]
    if len(weight) != 4 or weight[2:] != (3, 3):
        return []
    return [Reading((3, 3), 1, weight[1], 9)]


def strided(shapes: Shapes) -> list[Reading]:
    """The version of the blogs: offsets from a 3 x 3 convolution, a square main kernel, G = 1."""
    weight, offset = shapes["weight"], shapes["offset.weight"]
    if len(weight) != 4 or weight[2] != weight[3] or offset[2:] != (3, 3):
        return []
    return [r for r in tap_conv(2, own_kernel=True)(shapes) if r.offset_groups == 1]


def linear_kernel(shapes: Shapes) -> list[Reading]:
    """LDConv: N taps in any number, as a weight [O, C, N, 1]."""
    weight, offset = shapes["weight"], shapes["offset.weight"]
    if len(weight) != 4 or weight[3] != 1 or offset != (2 * weight[2], weight[1], 3, 3):
        return []
    if shapes.get("base", (1, 2 * weight[2], 1, 1)) != (1, 2 * weight[2], 1, 1):
        return []
    return [Reading((weight[2], 1), 1, weight[1], weight[2])]


def snake(shapes: Shapes) -> list[Reading]:
    """DSCNet: an odd line of K taps, along x or along y: both weights are in every file."""
    along_x, along_y, offset = (shapes[k] for k in ("weight.x", "weight.y", "offset.weight"))
    if len(along_x) != 4 or along_x[3] != 1 or along_x[2] % 2 == 0:
        return []
    taps, channels = along_x[2], along_x[1]
    if along_y != (along_x[0], channels, 1, taps) or offset != (2 * taps, channels, 3, 3):
        return []
    assumed = frozenset({"kernel_size"})
    return [Reading(size, 1, channels, taps, assumed=assumed) for size in ((1, taps), (taps, 1))]


def local_kernel(shapes: Shapes) -> list[Reading]:
    """Deformable Kernels, local: the convolution's own kernel is the one that is resampled to."""
    scope, rotation = shapes["weight"], shapes["offset.weight"]
    if len(scope) != 4 or len(rotation) != 4 or scope[1] != 1 or scope[0] != rotation[1]:
        return []
    taps = rotation[2] * rotation[3]
    groups = _groups(rotation[0], 2 * taps, scope[0])
    if groups is None or min(scope[2:]) < max(rotation[2:]):
        return []
    return [Reading((rotation[2], rotation[3]), groups, scope[0], taps)]


def global_kernel(shapes: Shapes) -> list[Reading]:
    """Deformable Kernels, global: 2 k² rows of a linear layer over the pooled input; depthwise."""
    scope, fc = shapes["weight"], shapes["offset.weight"]
    if len(scope) != 4 or len(fc) != 2 or scope[:2] != (fc[1], 1):
        return []
    k = isqrt(fc[0] // 2)
    if fc[0] != 2 * k * k or k % 2 == 0 or min(scope[2:]) <= k:
        return []
    return [Reading((k, k), 1, fc[1], k * k)]


def channel_steps(shapes: Shapes) -> list[Reading]:
    """CycleMLP: a buffer of one (dy, dx) for each input channel, and a 1 x 1 weight."""
    weight, offset = shapes["weight"], shapes["offset"]
    if len(weight) != 4 or weight[2:] != (1, 1) or offset != (1, 2 * weight[1], 1, 1):
        return []
    return [Reading((1, 1), weight[1], weight[1], 1)]


def regions(shapes: Shapes) -> list[Reading]:
    """DRConv as in the paper: m² channels to filters in m groups, a guide of m channels."""
    hidden, filters, guide = (
        shapes[k] for k in ("hidden.weight", "filters.weight", "guide.weight")
    )
    if not len(hidden) == len(filters) == len(guide) == 4:
        return []
    m, channels = guide[0], guide[1]
    fits = hidden == (m * m, channels, 1, 1) and filters[1:] == (m, 1, 1)
    if not fits or filters[0] % (m * channels):
        return []
    return [Reading((guide[2], guide[3]), 1, channels, guide[2] * guide[3])]


def mixed_regions(shapes: Shapes) -> list[Reading]:
    """DRConv of its authors: filters are mixed of a bank [O * C * k * k, experts]."""
    bank, routing = shapes["weight"], shapes["routing.weight"]
    if len(bank) != 2 or len(routing) != 2 or routing[0] % bank[1] or bank[0] % routing[1]:
        return []
    channels, known_out = routing[1], shapes.get("out.bias")
    per_channel = bank[0] // channels  # O * k * k
    sizes = [k for k in (1, 3, 5, 7) if per_channel % (k * k) == 0]
    if known_out is not None:
        sizes = [k for k in sizes if per_channel == k * k * known_out[0]]
    assumed = frozenset({"kernel_size"} if len(sizes) > 1 else ())
    return [Reading((k, k), 1, channels, k * k, assumed=assumed) for k in sizes]


def coordinates(shapes: Shapes) -> list[Reading]:
    """CoordConv: any convolution of two or three channels more than its input has."""
    weight = shapes["weight"]
    if len(weight) != 4 or weight[1] < 3:
        return []
    return [Reading((weight[2], weight[3]), 1, weight[1], weight[2] * weight[3])]
