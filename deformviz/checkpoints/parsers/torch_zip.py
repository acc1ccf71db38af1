"""What torch.save has written since version 1.6: a ZIP archive of one pickle and its numbers."""

from __future__ import annotations

from .harvest import Places, harvest
from .limits import Limits
from .listing import Listing
from .machine import Machine
from .opcodes import run
from .refusal import Refused, damaged
from .source import Source
from .zip_archive import Entry, entries

MAX_PICKLE = 32 << 20
"""Bytes of the pickle, which is read whole. That of 10,000 tensors has 2 MB."""

TOO_LONG = (
    f"Expected lists of at most {MAX_PICKLE >> 20} MB, but this file's pickle is longer: it holds "
    "more than weights. Save the network's state_dict alone."
)
_BIG_ENDIAN = "This file was written on a big-endian machine. Save it on an ordinary one."


def torch_zip(source: Source, limits: Limits, take: str | None) -> Listing:
    """List the tensors of such a file.

    Raises:
        Refused: the archive or its pickle is damaged or hostile, or holds no state dict.
    """
    found = entries(source)
    root = _root(found)
    pickle = found[f"{root}/data.pkl"]
    if pickle.size > MAX_PICKLE:
        raise Refused(TOO_LONG)
    order = found.get(f"{root}/byteorder")
    if order is not None and source.read(order.at, min(order.size, 3)) == b"big":
        raise Refused(_BIG_ENDIAN)
    machine = Machine(source.read(pickle.at, pickle.size))
    value = run(machine)
    if machine.at != pickle.size:
        raise damaged("is damaged: something lies behind the end of its pickle")
    return harvest("torch", value, machine, _places(machine, root, found), limits, take)


def _root(found: dict[str, Entry]) -> str:
    """Return the one folder that all entries share; Refused where this is no such archive."""
    roots = {name.split("/")[0] for name in found}
    root = next(iter(roots), "")
    if len(roots) == 1 and f"{root}/data.pkl" in found:
        if f"{root}/constants.pkl" in found or any(n.startswith(f"{root}/code/") for n in found):
            raise Refused(
                "This file is a TorchScript archive: a program with its weights, not weights "
                "alone. If you trust it, convert it on your own machine: import torch; "
                'm = torch.jit.load("it.pt"); torch.save(m.state_dict(), "weights.pth")'
            )
        return root
    raise Refused(f"This file is {_stranger(found)}, not a checkpoint. Choose the checkpoint.")


def _stranger(found: dict[str, Entry]) -> str:
    if any(name.endswith(".npy") for name in found):
        return "a NumPy archive"
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in found):
        return "a ZIP archive that was packed anew around a checkpoint"
    return "a ZIP archive"


def _places(machine: Machine, root: str, found: dict[str, Entry]) -> Places:
    places: Places = {}
    for key, storage in machine.storages.items():
        entry = found.get(f"{root}/data/{key}")
        if entry is not None:
            places[key] = (entry.at, min(entry.size, storage.count * storage.item_bytes))
    return places
