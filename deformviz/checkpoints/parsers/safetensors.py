"""safetensors: a list in JSON, then the numbers. Read here, as the library would bring numpy."""

from __future__ import annotations

import json
from typing import NoReturn

from .dtypes import SAFETENSORS
from .limits import Limits
from .listing import Found, Listing, check_count, checked_shape, packed_bytes
from .refusal import Refused, damaged, quoted
from .source import Source

_MAX_HEADER = 10 << 20
"""Bytes of the list. That of 10,000 tensors has 1 MB."""

_LENGTH = 8


def safetensors(source: Source, limits: Limits, take: str | None) -> Listing:
    """List the tensors of such a file.

    Raises:
        Refused: the list is too long, is not what the format says, or does not fit the numbers:
            they must fill the file in some order, without gaps, and belong to one tensor each.
    """
    if take is not None:
        raise Refused(f"A .safetensors file has no {quoted(take)} to take: it is one list.")
    length = int.from_bytes(source.read(0, _LENGTH), "little")
    if length > min(_MAX_HEADER, source.size - _LENGTH):
        raise damaged("begins like .safetensors, but with a list that is longer than it can be")
    claims = _claims(source.read(_LENGTH, length))
    check_count(len(claims), limits)
    found = [_placed(name, claim, _LENGTH + length) for name, claim in claims.items()]
    end = _LENGTH + length
    for tensor in sorted(found, key=lambda f: (f.at, packed_bytes(f.dtype, f.shape))):
        if tensor.at != end:
            raise damaged(f"has gaps or overlaps at its tensor {quoted(tensor.name)}")
        end += packed_bytes(tensor.dtype, tensor.shape)
    if end != source.size:
        raise damaged("is .safetensors, but cut short, or longer than its list says")
    return Listing("safetensors", found)


def _claims(header: bytes) -> dict[str, object]:
    """Parse the list; what JSON leaves open, and what no list needs, is refused."""
    try:
        claims = json.loads(
            header.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant
        )
    except (ValueError, RecursionError) as error:
        raise damaged("is .safetensors with a list that is no JSON") from error
    if not isinstance(claims, dict):
        raise damaged("is .safetensors with a list that is none")
    claims.pop("__metadata__", None)
    return claims


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise damaged("is .safetensors that lists one name twice")
    return made


def _constant(_: str) -> NoReturn:
    raise damaged("is .safetensors with a number in its list that is none")


def _placed(name: str, claim: object, start: int) -> Found:
    """One tensor, with its place from the file's beginning; its bytes must fit its shape."""
    if not isinstance(claim, dict) or claim.keys() != {"dtype", "shape", "data_offsets"}:
        raise damaged(f"is .safetensors that does not say what {quoted(name)} is")
    dtype = SAFETENSORS.get(claim["dtype"]) if isinstance(claim["dtype"], str) else None
    if dtype is None:
        raise Refused(
            f"The numbers of {quoted(name)} are of the type {quoted(claim['dtype'])}, which is "
            "not read here. Save them as float32 or float16."
        )
    shape, places = checked_shape(claim["shape"]), claim["data_offsets"]
    if not isinstance(places, list) or [type(place) for place in places] != [int, int]:
        raise damaged(f"is .safetensors that does not say where {quoted(name)} is")
    if places[0] < 0 or places[1] - places[0] != packed_bytes(dtype, shape):
        raise damaged(f"gives {quoted(name)} a shape that does not fit its numbers")
    return Found(name, dtype, shape, None, start + places[0])
