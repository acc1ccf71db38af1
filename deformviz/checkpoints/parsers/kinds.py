"""Which kind of file it is, told by its first bytes and never by its name."""

from __future__ import annotations

import re
from collections.abc import Callable

from .limits import Limits
from .listing import Listing
from .onnx import is_onnx, onnx
from .refusal import AGAIN, EXPECTED, Refused
from .safetensors import safetensors
from .source import Source
from .torch_legacy import torch_legacy
from .torch_zip import torch_zip

Parser = Callable[[Source, Limits, str | None], Listing]

_HEAD = 512

# In this order. A pickle begins with its protocol; the list of .safetensors with a brace, behind
# its length.
_PARSERS: list[tuple[bytes, Parser]] = [
    (rb"PK\x03\x04", torch_zip),
    (rb"\x80[\x00-\x05]", torch_legacy),
    (rb".{8}\{", safetensors),
]

# What people choose instead, so that the message can name it.
_STRANGERS = {
    "a Git LFS pointer: the checkpoint itself was not downloaded": rb"version https://git-lfs",
    "a web page: the download did not work": rb"\s*<(!DOCTYPE |\?xml|html)",
    "an empty ZIP archive": rb"PK\x05\x06",
    "a tar archive: unpack it, or save it with a newer torch": rb".{257}ustar",
    "a compressed file: unpack it": rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!",
    "an HDF5 file, as Keras writes": rb"\x89HDF",
    "a GGUF file": rb"GGUF",
    "a NumPy array": rb"\x93NUMPY",
    "a picture": rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF",
    "a PDF document": rb"%PDF",
    "JSON or another text": rb"\s*[\[{\"#a-zA-Z][\x20-\x7e\s]{15}",
}


def listing_of(source: Source, limits: Limits, take: str | None) -> Listing:
    """List the tensors of a file of any kind that is read.

    Raises:
        Refused: it is of another kind, or its parser refuses it.
    """
    if source.size == 0:
        raise Refused(f"Expected {EXPECTED}, but this file is empty. {AGAIN}")
    head = source.read(0, min(source.size, _HEAD))
    for signature, parser in _PARSERS:
        if re.match(signature, head, re.DOTALL):
            return parser(source, limits, take).checked(limits)
    for stranger, signature in _STRANGERS.items():
        if re.match(signature, head, re.DOTALL | re.IGNORECASE):
            raise Refused(f"Expected {EXPECTED}, but this file is {stranger}.")
    if is_onnx(source):
        return onnx(source, limits, take).checked(limits)
    raise Refused(f"Expected {EXPECTED}, but this file is something else, or damaged. {AGAIN}")
