"""The words in which a code base's deformable layers are described: what a row of the table holds.

A row says by which names and shapes a family is recognised, and by which rules its raw offsets
become the canonical form. Every rule is named by a word of this file and written in one other:
orders in `orders`, what lies outside in `outside`, what offsets are relative to in `rules` and
`references`, how the offset convolution is run in `running`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..geometry import Pair

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""By key of the file, or by role in a layer."""

Order = Literal[
    "interleaved", "interleaved-xy", "blocked", "blocked-xy", "columns", "columns-xy"
]  # fmt: skip
"""What the channels of one offset group are, k = i * kw + j being row-major.

* interleaved: dy, dx of tap 0, dy, dx of tap 1, ... (torchvision, mmcv, detectron2);
* interleaved-xy: dx, dy of tap 0, ...;
* blocked: dy of every tap, then dx of every tap; blocked-xy: dx first;
* columns, columns-xy: as interleaved, with the taps column by column (DCNv3).
"""

Activation = Literal["sigmoid", "2sigmoid", "softmax", "unbounded"]
"""Of the mask; softmax is over all that one group weighs: its K taps, or levels times points."""

Outside = Literal["zero", "clamp", "clamp-double", "inside"]
"""What a point outside the map reads.

* zero: nothing, fading over one pixel (every published CUDA kernel since 2018);
* clamp: the nearest pixel;
* clamp-double: the nearest pixel, weighed twice for each axis it left, the last row included;
* inside: nothing below 0 or from H on, and the last pixel between H - 1 and H (MXNet's of 2017).
"""

RelativeTo = Literal[
    "tap", "tap, clamped", "tap, atrous", "tap, from 1", "grid centre", "centre", "box",
    "top left", "chain", "chain, free ends", "flow", "pre-offset", "reference",
    "key grid", "key grid, unnormalised", "key grid, transposed", "kernel scope", "nothing",
]  # fmt: skip
"""What an offset is added to, see `rules.RULES`."""

Packing = Literal["offsets, then masks", "per group", "constant", "none"]
"""Offsets and masks of one tensor: all offsets first, or group by group; a buffer; or nothing.

Where a layer has a mask convolution of its own, its tensor is given apart.
"""

Layout = Literal["map", "map, channels last", "queries", "groups as images", "vector"]
"""Axes of the raw offsets: [B, R, h, w], [B, h, w, R], [B, Q, R], [B * G, R / G, h, w], [B, R]."""

Run = Literal["", "like main", "undilated", "own kernel", "pooled", "normalised", "two steps",
              "constant"]  # fmt: skip
"""How the offset convolution is run on a feature map; empty where it takes more than one."""


@dataclass(frozen=True)
class Reading:
    """One way to read a layer's shapes, of which ambiguous shapes have several.

    Attributes:
        kernel_size: (kh, kw).
        offset_groups: G.
        in_channels: of the map that is read.
        points: how many points a group reads of one level: K, or fewer where a tap is left out.
        levels: how many maps are read.
        assumed: what the shapes do not settle.
    """

    kernel_size: Pair
    offset_groups: int
    in_channels: int
    points: int
    levels: int = 1
    assumed: frozenset[str] = frozenset()


Reader = Callable[[Shapes], list[Reading]]
"""From shapes by role to all consistent readings, the likeliest first; empty for another layer."""


@dataclass(frozen=True)
class Family:
    """How one code base stores a deformable layer: a row of `FAMILIES`.

    Attributes:
        name: what it is called here.
        source: the code base and the file, or the paper.
        keys: role to name, relative to the layer's module. The first is what a layer is found by.
            "?" after a role: it may be missing. "a|b": one of several names. "{n}", "{i}": a
            name or a number, the same in all names. "^a": in this module or in one around it.
        read: from the shapes by role to their readings.
        order, mask_activation, outside, relative_to, packing, layout: see this module.
        scale: the factor of the rule `relative_to`, in its own unit; most files do not hold it.
        within: a regular expression that the module's name must contain, where names alone tell
            families apart.
        assumed: what neither names nor shapes settle, of the attributes of `Layer`.
        note: what is known of it, and what a person should be told.
        run: how its offset convolution is run.
        own_input: False where the offsets come from another feature map than the one that is read.
    """

    name: str
    source: str
    keys: Mapping[str, str]
    read: Reader
    order: Order = "interleaved"
    mask_activation: Activation | None = None
    outside: Outside = "zero"
    relative_to: RelativeTo = "tap"
    packing: Packing = "offsets, then masks"
    layout: Layout = "map"
    scale: float = 1.0
    within: str = ""
    assumed: frozenset[str] = field(default_factory=frozenset)
    note: str = ""
    run: Run = ""
    own_input: bool = True
