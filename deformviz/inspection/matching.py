"""Which layer of a file a record is of: module paths against names in the file.

A model's module paths and a file's keys are the same names, but for what was wrapped around the
model when the file was written or when it is run: "module.", "model.", "ema.". What is before all
names alike is found out from the names themselves.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from ..checkpoints import Layer

_CALL = re.compile(r" \(\d+(?:st|nd|rd|th) call\)$")
_LEVEL = re.compile(r" level \d+$")


def without_call(name: str) -> str:
    """A record's name without the number of its call.

    >>> without_call("block.conv (2nd call)"), without_call("neck.attention level 1 (3rd call)")
    ('block.conv', 'neck.attention level 1')
    """
    return _CALL.sub("", name)


def module_path(name: str) -> str:
    """The path of the module in a record's name: without call and level.

    >>> module_path("neck.attention level 1 (3rd call)")
    'neck.attention'
    """
    return _LEVEL.sub("", without_call(name))


def match_layers(names: Sequence[str], layers: Sequence[Layer]) -> list[Layer | None]:
    """The layer of each record, by name.

    A layer is looked for under its own name, under that of its main convolution, and under that of
    the module that holds all of it. Where two layers share a main convolution (DetectoRS), the
    first call is the first one's. A wrapper's name before all keys of the file, or before all paths
    of the model, does not matter.

    Args:
        names: of the records, in the order of their calls.
        layers: of the file.

    Returns:
        For each record its layer, or None where no layer or more than one bears its name.

    Example:
        >>> from deformviz.checkpoints import find_layers
        >>> keys = ("weight", "conv_offset.weight")
        >>> shapes = ((8, 8, 3, 3), (18, 8, 3, 3))
        >>> file = {f"module.a.{key}": shape for key, shape in zip(keys, shapes)}
        >>> found = match_layers(["a", "a (2nd call)", "b"], find_layers(file))
        >>> [layer and layer.name for layer in found]
        ['module.a', 'module.a', None]
    """
    paths = [module_path(name) for name in names]
    known = _by_name(layers)
    renamed = _renaming(paths, known)
    seen: Counter[str] = Counter()
    found: list[Layer | None] = []
    for name, path in zip(names, paths, strict=True):
        among = known.get(renamed.get(path, path), [])
        call = seen[without_call(name)]
        seen[without_call(name)] += 1
        found.append(among[call % len(among)] if among else None)
    return found


def same_names(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Names of one file to those of another, in which a wrapper may stand before them.

    >>> same_names(["a.conv", "b.conv"], ["module.a.conv", "module.c.conv"])
    {'a.conv': 'module.a.conv'}
    """
    known = {other: other for other in others}
    wanted = list(names)
    renamed = _renaming(wanted, known)
    return {name: renamed.get(name, name) for name in wanted if renamed.get(name, name) in known}


def _by_name(layers: Sequence[Layer]) -> dict[str, list[Layer]]:
    """The layers under every name that a record of theirs may bear."""
    own = {layer.name: [layer] for layer in layers}
    mains: dict[str, list[Layer]] = defaultdict(list)
    around: dict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        if "weight" in layer.tensors:
            mains[layer.tensors["weight"].rpartition(".")[0]].append(layer)
        around[_module(layer)].append(layer)
    # A module that holds several layers, as a block does, tells none of them.
    single = {name: found for name, found in around.items() if name and len(found) == 1}
    return single | dict(mains) | own


def _module(layer: Layer) -> str:
    """The path that all keys of a layer begin with."""
    parts = [key.split(".")[:-1] for key in layer.tensors.values()]
    common = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join(common)


def _renaming(paths: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Each path as the file has it, if one prefix, put before or taken off, makes them the same.

    The prefix is the one that suits the most names, none of two that suit equally many: a network
    has one wrapper, and a name that ends alike by chance is no reason to mix two layers up.
    """
    wanted, held = set(paths), set(known)
    added: Counter[str] = Counter(
        name[: -len(end)] for name in held for end in _endings(name) if end in wanted
    )
    removed: Counter[str] = Counter(
        path[: -len(end)] for path in wanted for end in _endings(path) if end in held
    )
    choices = [(count, "+", prefix) for prefix, count in added.items()]
    choices += [(count, "-", prefix) for prefix, count in removed.items()]
    choices.append((len(wanted & held), "", ""))
    most = max(count for count, _, _ in choices)
    best = [choice for choice in choices if choice[0] == most]
    if len(best) != 1:
        return {}
    _, change, prefix = best[0]
    if change == "+":
        return {path: prefix + path for path in wanted}
    return {path: path.removeprefix(prefix) for path in wanted if path.startswith(prefix)}


def _endings(name: str) -> list[str]:
    """What is left of a name without its first modules: never the whole of it."""
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(1, len(parts))]
