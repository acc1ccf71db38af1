"""What torch.save wrote before version 1.6: five pickles, then the numbers, one after another."""

from __future__ import annotations

import re

from .harvest import Places, harvest
from .inert import Mapping
from .limits import Limits
from .listing import Listing
from .machine import Machine
from .opcodes import run
from .refusal import Attack, Refused, damaged
from .source import Source
from .torch_zip import MAX_PICKLE

_MAGIC = rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\."  # a pickled number
_PROTOCOL = 1001
_COUNT_BYTES = 8  # before the numbers of each storage stands how many they are


def torch_legacy(source: Source, limits: Limits, take: str | None) -> Listing:
    """List the tensors of such a file.

    Raises:
        Refused: it is damaged or hostile, another kind of pickle, or holds no state dict.
    """
    data = source.read(0, min(source.size, MAX_PICKLE))
    preamble = Machine(data)
    if not re.match(_MAGIC, data, re.DOTALL):
        raise _other_pickle(preamble)
    run(preamble)
    _check_system(run(preamble), run(preamble))
    machine = Machine(data, preamble.at)
    value = run(machine)
    keys = Machine(data, machine.at)
    order = run(keys)
    places = _places(source, keys.at, order, machine)
    return harvest("torch, legacy format", value, machine, places, limits, take)


def _other_pickle(machine: Machine) -> Refused:
    """Say what it is; but one that attacks is not for anyone to load elsewhere."""
    try:
        run(machine)
    except Attack as attack:
        return attack
    except Exception:  # nothing depends on how far it can be walked
        pass
    return Refused(
        "This file is a pickle that torch.save did not write, such as Detectron2's model zoo has. "
        "Load it with the program that it belongs to, and save its weights with torch.save."
    )


def _check_system(protocol: object, system: object) -> None:
    little = system.pairs if isinstance(system, Mapping) else []
    if protocol != _PROTOCOL or not any(k == "little_endian" and v is True for k, v in little):
        raise damaged("is damaged, or was written on a big-endian machine")


def _places(source: Source, at: int, order: object, machine: Machine) -> Places:
    """Walk the storages in the order of the last pickle: they must fill the rest of the file."""
    if not isinstance(order, list):
        raise damaged("is damaged: it does not list its numbers")
    places: Places = {}
    for key in order:
        storage = machine.storages.get(key) if isinstance(key, str) else None
        if storage is None or key in places:
            raise damaged("is damaged: it lists numbers that nothing refers to")
        count = int.from_bytes(source.read(at, _COUNT_BYTES), "little")
        if count != storage.count:
            raise damaged("is damaged: it gives two sizes for the same numbers")
        places[key] = (at + _COUNT_BYTES, count * storage.item_bytes)
        at = sum(places[key])
    if at != source.size:
        raise damaged("is damaged or cut short: its numbers do not fill it")
    return places
