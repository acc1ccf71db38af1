"""`FAMILIES`: every code base whose deformable layers are known, a row each.

To add one, add its row to a table in `rows` and its test to `test_families.py`; a rule that no
row has needed yet goes into `rules`, under a word of `family`.
"""

from __future__ import annotations

from .family import Family
from .rows.attention import ATTENTION
from .rows.heads import ATROUS, HEADS
from .rows.own_rules import OWN_RULES
from .rows.packs import ALIGNMENT, PACKS
from .rows.torchvision_users import TORCHVISION

FAMILIES: tuple[Family, ...] = (
    *ATTENTION,
    *ALIGNMENT,
    *HEADS,
    *ATROUS,
    *PACKS,
    *OWN_RULES,
    *TORCHVISION,
)
"""In the order in which they are tried: the first that fits a layer's names and shapes has it."""

_BY_NAME = {family.name: family for family in FAMILIES}
assert len(_BY_NAME) == len(FAMILIES), "two families of one name"


def family_of(name: str) -> Family:
    """The row of a name.

    Raises:
        ValueError: no such family; the message lists all.

    Example:
        >>> family_of("DCNv3").order
        'columns-xy'
    """
    if name not in _BY_NAME:
        raise ValueError(f"unknown family {name!r}: expected one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name]
