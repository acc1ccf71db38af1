"""The child's main: the file is its standard input, the answer one JSON object.

That is ``{"refused": message}`` or the fields of a Listing. The parent is
`deformviz.checkpoints.child`.
"""

from __future__ import annotations

import gc
import json
import os
import sys

from .confine import confine
from .kinds import listing_of
from .limits import Limits
from .refusal import Refused, damaged
from .source import Source

_FILE, _ANSWER = 0, 1


def main() -> None:
    """Read the arguments, give up all that is not needed, answer, and leave at once."""
    limits = Limits(**json.loads(sys.argv[2]))
    take = json.loads(sys.argv[3])
    source = Source(_FILE)
    gc.disable()  # it would look for garbage among a million parts of a pickle that is all in use
    confine(limits)
    answer = json.dumps(answer_to(source, limits, take)).encode("ascii")
    while answer:
        answer = answer[os.write(_ANSWER, answer) :]
    os._exit(0)  # without taking apart what may be nested a million deep


def answer_to(source: Source, limits: Limits, take: str | None) -> dict[str, object]:
    """Turn whatever a hostile file makes a parser raise into a refusal."""
    try:
        listing = listing_of(source, limits, take)
    except Refused as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": "Listing this file takes more memory than that of any network."}
    except Exception:
        return {"refused": str(damaged("is damaged, cut short or of a rare kind"))}
    return {
        "kind": listing.kind,
        "tensors": [found.row() for found in listing.found],
        "taken": listing.taken,
        "others": listing.others,
        "notes": listing.notes,
    }
