"""`Layer`: what is known of one deformable layer of a file, what is assumed, and how to correct it.

A layer is only ever built from a reading of its own shapes, so that it cannot contradict them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

from ..geometry import Pair
from .families import family_of
from .family import Activation, Family, Order, Outside, Reading, RelativeTo, Shape, Shapes

_READ = ("kernel_size", "offset_groups", "points", "levels")
"""Fields that the shapes speak of: an override picks another reading of the same shapes."""

_ALIKE: tuple[frozenset[str], ...] = (
    frozenset({"tap", "tap, clamped", "tap, atrous", "tap, from 1", "grid centre", "centre"}),
    frozenset({"chain", "chain, free ends"}),
    frozenset({"key grid", "key grid, unnormalised", "key grid, transposed"}),
)
"""What offsets of one kind of layer may be relative to."""

_WORDS: dict[str, tuple[str, ...]] = {
    "order": get_args(Order),
    "outside": get_args(Outside),
    "relative_to": get_args(RelativeTo),
    "mask_activation": get_args(Activation),
}


@dataclass(frozen=True)
class Layer:
    """One deformable layer, and how its raw offsets are to be read.

    Attributes:
        name: of the main convolution as in the file, of the module where there is none; of the
            offset convolution where two layers share a main one.
        family: the name of its row in `FAMILIES`.
        kernel_size: (kh, kw) of the taps; (1, 1) where points have no kernel.
        offset_groups: G; heads, for attention.
        order: of the offset channels.
        mask_activation: what is applied to the raw mask, or None without a mask.
        outside: what points outside the map read.
        relative_to: what offsets are added to.
        scale: the factor of that rule.
        points: how many points a group reads of one level.
        levels: how many maps are read.
        in_channels: C of the map that is read.
        assumed: which of these attributes neither names nor shapes settle.
        tensors: role to key in the file, e.g. "offset.weight", "mask.bias", "weight".
        shapes: role to shape.

    Example:
        >>> from deformviz.checkpoints import find_layers
        >>> (layer,) = find_layers(
        ...     {"a.weight": (8, 8, 3, 3), "a.conv_offset.weight": (18, 8, 3, 3)}
        ... )
        >>> layer.name, layer.family, layer.offset_groups, sorted(layer.assumed)
        ('a', 'mmcv DCNv1', 1, [])
    """

    name: str
    family: str
    kernel_size: Pair
    offset_groups: int
    order: Order
    mask_activation: Activation | None
    outside: Outside
    relative_to: RelativeTo
    scale: float
    points: int
    levels: int
    in_channels: int
    assumed: frozenset[str]
    tensors: Mapping[str, str] = field(hash=False)
    shapes: Shapes = field(hash=False, repr=False)

    def __post_init__(self) -> None:
        self._check_words()
        _reading(self.row, self.shapes, {name: getattr(self, name) for name in _READ})
        taps = self.kernel_size[0] * self.kernel_size[1]
        whole = self.levels == 1 and self.points in (taps, taps - 1)
        if self.order.startswith("columns") and not whole:
            raise ValueError(
                f"{self.points} points on {self.levels} levels are no columns of a "
                f"{self.kernel_size[0]} x {self.kernel_size[1]} kernel: order={self.order!r}"
            )

    def _check_words(self) -> None:
        """What the shapes do not speak of: of the right kind, and fit for the family."""
        row = self.row
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if value not in words and not (name == "mask_activation" and value is None):
                raise ValueError(f"{name} must be one of {', '.join(words)}, got {value!r}")
        if (self.mask_activation is None) != (row.mask_activation is None):
            raise ValueError(
                f"{self.family} has {'no' if row.mask_activation is None else 'a'} mask, which "
                f"mask_activation={self.mask_activation!r} contradicts: override the family"
            )
        alike = next((a for a in _ALIKE if row.relative_to in a), {row.relative_to})
        if self.relative_to not in alike:
            raise ValueError(
                f"{self.family} is relative to {' or '.join(sorted(alike))}, "
                f"got {self.relative_to!r}"
            )
        if not isinstance(self.name, str):
            raise ValueError(f"name must be a text, got {self.name!r}")
        if not isinstance(self.scale, int | float) or not abs(self.scale) < float("inf"):
            raise ValueError(f"scale must be a finite number, got {self.scale!r}")

    @property
    def row(self) -> Family:
        """The row of the family."""
        return family_of(self.family)

    def override(self, **changes: Any) -> Layer:  # noqa: ANN401
        """The same layer read otherwise, as a person knows better; what they said is not assumed.

        Args:
            changes: attributes to set. `family` starts again from that family's row. Of
                kernel_size, offset_groups, points and levels, give as many as you know: the
                others follow from the shapes.

        Raises:
            ValueError: what does not exist, or contradicts the shapes; the message says what fits.

        Example:
            >>> from deformviz.checkpoints import find_layers
            >>> shapes = {"a.weight": (8, 96, 3, 3), "a.conv_offset.weight": (108, 96, 3, 3)}
            >>> (layer,) = find_layers(shapes)
            >>> layer.offset_groups, sorted(layer.assumed)
            (4, ['family', 'mask_activation', 'offset_groups'])
            >>> other = layer.override(family="mmcv DCNv1")
            >>> other.offset_groups, other.mask_activation, sorted(other.assumed)
            (6, None, [])
        """
        allowed = {f.name for f in fields(self)} - {"assumed", "tensors", "shapes", "in_channels"}
        if unknown := set(changes) - allowed:
            raise ValueError(
                f"{', '.join(sorted(unknown))} cannot be overridden: "
                f"take {', '.join(sorted(allowed))}"
            )
        layer = self
        if "family" in changes:
            layer = self._as_family(changes.pop("family"))
        asked = {name: changes[name] for name in _READ if name in changes}
        reading = _reading(layer.row, layer.shapes, asked, near=layer)
        said = set(changes) | (set(_READ) if asked else set())
        return replace(
            layer,
            **{**changes, **_arithmetic(reading)},
            assumed=layer.assumed - _settled(layer.row, layer.shapes, asked, said),
        )

    def _as_family(self, name: object) -> Layer:
        if not isinstance(name, str):
            raise ValueError(f"family must be a name, got {name!r}")
        row = family_of(name)
        missing = [role for role in row.keys if not role.endswith("?") and role not in self.tensors]
        if missing:
            raise ValueError(f"{self.name} has no {', '.join(missing)}, which {name} needs")
        known = {role.removesuffix("?") for role in row.keys}
        tensors = {role: key for role, key in self.tensors.items() if role in known}
        shapes = {role: self.shapes[role] for role in tensors}
        reading = _reading(row, shapes, {})
        # Shapes that could be v1 or v2 are settled by naming one; the row's own doubts stay.
        doubts = row.assumed | (reading.assumed - {"offset_groups", "mask_activation"})
        layer = build(row, self.name, tensors, shapes, reading)
        return replace(layer, assumed=doubts - {"family"})


def build(
    row: Family, name: str, tensors: Mapping[str, str], shapes: Shapes, reading: Reading
) -> Layer:
    """The layer of one reading of a family's shapes."""
    return Layer(
        name=name,
        family=row.name,
        order=row.order,
        mask_activation=row.mask_activation,
        outside=row.outside,
        relative_to=row.relative_to,
        scale=row.scale,
        in_channels=reading.in_channels,
        assumed=row.assumed | reading.assumed,
        tensors=tensors,
        shapes=shapes,
        kernel_size=reading.kernel_size,
        offset_groups=reading.offset_groups,
        points=reading.points,
        levels=reading.levels,
    )


def readings(row: Family, shapes: Shapes) -> list[Reading]:
    """All ways to read shapes by role as a family; none where they are of another layer."""
    if any(min(shape, default=0) < 1 for shape in shapes.values()):
        return []
    if not all(_fits_weight(role, shape, shapes) for role, shape in shapes.items()):
        return []
    return row.read(shapes)


def _fits_weight(role: str, shape: Shape, shapes: Shapes) -> bool:
    """Whether a bias has one number for each row of its weight."""
    if "bias" not in role:
        return True
    weight = shapes.get(role.replace("bias", "weight"))
    return weight is None or shape == weight[:1]


def _arithmetic(reading: Reading) -> dict[str, Any]:
    return {name: getattr(reading, name) for name in (*_READ, "in_channels")}


def _reading(
    row: Family, shapes: Shapes, wanted: Mapping[str, object], near: Layer | None = None
) -> Reading:
    """The first reading with the wanted values; of several, the one that is nearest to a layer."""
    found = readings(row, shapes)
    fitting = [r for r in found if all(getattr(r, name) == v for name, v in wanted.items())]
    if not fitting:
        raise ValueError(_misfit(row, shapes, wanted, found))
    if near is None:
        return fitting[0]
    return min(fitting, key=lambda r: sum(getattr(r, n) != getattr(near, n) for n in _READ))


def _misfit(row: Family, shapes: Shapes, wanted: Mapping[str, object], found: list[Reading]) -> str:
    asked = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
    held = ", ".join(f"{role} {list(shape)}" for role, shape in shapes.items())
    if not found:
        return f"{row.name} cannot hold {held}"
    fits = "; ".join(", ".join(f"{name}={getattr(r, name)!r}" for name in _READ) for r in found[:4])
    return f"{asked} does not fit {held}, read as {row.name}: what fits is {fits}"


def _settled(row: Family, shapes: Shapes, asked: Mapping[str, object], said: set[str]) -> set[str]:
    """What is no longer assumed: what was said, and what follows from it alone."""
    settled = said - set(_READ) | set(asked)
    fitting = [
        r
        for r in readings(row, shapes)
        if asked and all(getattr(r, name) == value for name, value in asked.items())
    ]
    return settled | {n for n in _READ if len({getattr(r, n) for r in fitting}) == 1}
