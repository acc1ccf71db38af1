"""What a person reads whose file was refused: what was expected, what came, what to do."""

from __future__ import annotations

import re

EXPECTED = "a checkpoint (.safetensors, .onnx, or what torch.save wrote: .pt, .pth, .ckpt, .bin)"
AGAIN = "Download or save it again."
CONVERT = (
    "If you trust it, convert it on your own machine: import torch, safetensors.torch as st; "
    'm = torch.load("it.pt", weights_only=False); '
    "st.save_file({k: v.clone().contiguous() for k, v in m.state_dict().items()}, "
    '"it.safetensors")'
)
"""Three lines of Python in one, as a message has one line."""

_SHOWN = 40


class Refused(Exception):
    """A file that is not read; the message says why, for the person who chose it."""


class Attack(Refused):
    """A file that names what only an attack names."""


def quoted(name: object) -> str:
    """A name out of a file, short and tame enough for a message that a web page may show."""
    if not isinstance(name, str):
        return '"?"'
    tame = re.sub(r"[^\w.:/+\-\[\] ]", "?", name[: _SHOWN + 1], flags=re.ASCII)
    return f'"{tame}"' if len(tame) <= _SHOWN else f'"{tame[:_SHOWN]}…"'


def damaged(what: str) -> Refused:
    """The refusal of a file that contradicts itself.

    Example:
        >>> str(damaged("ends too early"))[-56:]
        'but this file ends too early. Download or save it again.'
    """
    return Refused(f"Expected {EXPECTED}, but this file {what}. {AGAIN}")
