"""Names of a state dict to roles: which tensors of a file belong together as one layer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .family import Family, Shapes


@dataclass(frozen=True)
class Match:
    """The tensors of one layer.

    Attributes:
        name: the first key without ".weight", or the module around it where that says more.
        tensors: role to key of the file, what is missing left out.
        anchor: the key that the layer was found by.
    """

    name: str
    tensors: dict[str, str]
    anchor: str


def matches(family: Family, shapes: Shapes) -> Iterator[Match]:
    """Every set of tensors that bears the names of a family, in the order of the file."""
    roles = list(family.keys.items())
    anchor_role, anchor_names = roles[0]
    patterns = [(_tail(name), _pattern(name)) for name in anchor_names.split("|")]
    for key in shapes:
        for tail, pattern in patterns:
            # Most keys are told by their last letters, far faster than by a pattern.
            found = pattern.fullmatch(key) if key.endswith(tail) else None
            if found is None:
                continue
            module, parts = found["module"] or "", found.groupdict()
            tensors = {anchor_role: key} | _others(roles[1:], module, parts, shapes)
            if _complete(family, tensors) and re.search(family.within, module):
                yield Match(_layer_name(key, module, anchor_role), tensors, key)


def _tail(name: str) -> str:
    """What every key of a name ends in."""
    return name.rpartition("}")[2]


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """A name of `Family.keys` as a pattern of whole keys."""
    body = re.escape(name).replace(r"\{n\}", r"(?P<n>[^.]+)").replace(r"\{i\}", r"(?P<i>\d+)")
    return re.compile(rf"(?:(?P<module>.+)\.)?{body}", re.DOTALL)


def _others(
    roles: list[tuple[str, str]], module: str, parts: dict[str, str | None], shapes: Shapes
) -> dict[str, str]:
    tensors = {}
    for role, names in roles:
        for name in names.split("|"):
            for part in ("n", "i"):
                name = name.replace(f"{{{part}}}", parts.get(part) or "")
            key = _find(name, module, shapes)
            if key is not None:
                tensors[role.removesuffix("?")] = key
                break
    return tensors


def _find(name: str, module: str, shapes: Shapes) -> str | None:
    """The key of a name in a module, or, for "^name", in the nearest module around it."""
    if not name.startswith("^"):
        key = f"{module}.{name}" if module else name
        return key if key in shapes else None
    around = module.split(".") if module else []
    for depth in range(len(around), -1, -1):
        key = ".".join([*around[:depth], name[1:]])
        if key in shapes:
            return key
    return None


def _complete(family: Family, tensors: dict[str, str]) -> bool:
    return all(role in tensors for role in family.keys if not role.endswith("?"))


def _layer_name(key: str, module: str, role: str) -> str:
    """Of the main convolution; of the module, where the key is of another part of it."""
    return key.removesuffix(".weight") if role == "weight" or not module else module
