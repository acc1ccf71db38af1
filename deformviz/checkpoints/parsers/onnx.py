"""ONNX: the initialisers of the graph, which are the weights.

The onnx package is not used: it reads a model whole, 2 GB of weights included, and weighs 80 MB
itself before it has read anything; the child would lose both of its promises. What is asked here is
little: of one message, ModelProto.graph.initializer, the names, shapes and places. So three levels
of fields are walked by number (onnx.proto3) and the rest is stepped over: nodes, subgraphs and
functions are never entered, which leaves no depth to exploit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .dtypes import ONNX
from .limits import Limits
from .listing import Found, Listing, check_count, checked_shape, packed_bytes
from .protobuf import BYTES, VARINT, Field, Message
from .refusal import Refused, damaged, quoted
from .source import Source

_MODEL_FIELDS = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}
_GRAPH = 7
_INITIALISER, _SPARSE_INITIALISER = 5, 15
_DIMS, _TYPE, _FLOATS, _NAME, _RAW, _DOUBLES, _EXTERNAL, _LOCATION = 1, 2, 4, 8, 9, 10, 13, 14
_LISTS = {_FLOATS: "float32", _DOUBLES: "float64"}  # their wire format is that of raw numbers
_ELSEWHERE = 1
_MAX_DIMENSIONS = 16

_EXTERNAL_REFUSED = (
    "This ONNX model keeps its weights in another file, which is not opened here. Save it as one "
    'file: import onnx; onnx.save(onnx.load("it.onnx"), "whole.onnx")'
)


def is_onnx(source: Source) -> bool:
    """Tell by content, as the format has no signature: fields of a model, to the file's end."""
    try:
        numbers = [f.number for f in Message(source).fields(0, source.size)]
    except Refused:
        return False
    return _GRAPH in numbers and set(numbers) <= _MODEL_FIELDS


def onnx(source: Source, limits: Limits, take: str | None) -> Listing:
    """List the initialisers of such a file.

    Raises:
        Refused: weights lie in other files, or shapes do not fit the numbers.
    """
    if take is not None:
        raise Refused(f"An ONNX file has no {quoted(take)} to take: it is one list.")
    message = Message(source)
    graphs = [f for f in message.fields(0, source.size) if f.number == _GRAPH]
    if len(graphs) != 1 or graphs[0].wire != BYTES:
        raise damaged("is an ONNX model with two graphs, or none")
    found: dict[str, Found] = {}
    left_out = 0
    for part in message.fields(graphs[0].at, graphs[0].at + graphs[0].value):
        if part.number == _INITIALISER:
            tensor = _tensor(message, part, limits)
            if tensor is None:
                left_out += 1
            elif tensor.name in found:
                raise damaged(f"has two initialisers called {quoted(tensor.name)}")
            else:
                found[tensor.name] = tensor
                check_count(len(found), limits)
        elif part.number == _SPARSE_INITIALISER:
            left_out += 1
    notes = [f"{left_out:,} initialisers that are no plain numbers left out"] if left_out else []
    return Listing("onnx", list(found.values()), notes=notes)


@dataclass
class _Parts:
    """The fields of one TensorProto that matter."""

    dims: list[int] = field(default_factory=list)
    type: int = 0
    name: str = ""
    numbers: Field | None = None
    external: bool = False


def _tensor(message: Message, part: Field, limits: Limits) -> Found | None:
    """One initialiser; None where its numbers are packed in a way that has no fixed places."""
    if part.wire != BYTES:
        raise damaged("is an ONNX model with an initialiser that is none")
    parts = _parts(message, part, limits)
    if parts.external:
        raise Refused(_EXTERNAL_REFUSED)
    shape, dtype = checked_shape(parts.dims), ONNX.get(parts.type)
    if dtype is None:
        return None
    if 0 in shape:
        return Found(parts.name, dtype, shape, None, 0)
    numbers = parts.numbers
    if numbers is None or numbers.wire != BYTES or dtype != _LISTS.get(numbers.number, dtype):
        return None
    if numbers.value != packed_bytes(dtype, shape):
        raise damaged(f"gives {quoted(parts.name)} a shape that does not fit its numbers")
    return Found(parts.name, dtype, shape, None, numbers.at)


def _parts(message: Message, part: Field, limits: Limits) -> _Parts:
    parts = _Parts()
    for f in message.fields(part.at, part.at + part.value):
        if f.number == _DIMS:
            parts.dims += _dims(message, f)
            if len(parts.dims) > _MAX_DIMENSIONS:
                raise damaged("has an initialiser with too many dimensions")
        elif f.number == _TYPE and f.wire == VARINT:
            parts.type = f.value
        elif f.number == _NAME:
            parts.name = message.text(f, 4 * limits.name_length)
        elif f.number in (_FLOATS, _DOUBLES, _RAW):
            if parts.numbers is not None and f.wire == BYTES:
                raise damaged("has an initialiser that gives its numbers twice")
            parts.numbers = f
        elif f.number == _EXTERNAL or (f.number == _LOCATION and f.value == _ELSEWHERE):
            parts.external = True
    return parts


def _dims(message: Message, field: Field) -> list[int]:
    """One size, or a packed list of some."""
    if field.wire == VARINT:
        return [field.value]
    if field.wire != BYTES:
        raise damaged("has an initialiser whose sizes are none")
    dims: list[int] = []
    at, end = field.at, field.at + field.value
    while at < end and len(dims) <= _MAX_DIMENSIONS:
        size, at = message.varint(at)
        dims.append(size)
    return dims
