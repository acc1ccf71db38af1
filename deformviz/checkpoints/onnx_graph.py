"""An ONNX file as a list of nodes, and the same file with more outputs; without the onnx package.

The file is a message of protocol buffers. Nodes are found by walking its fields by number
(onnx.proto3). Outputs are added without writing the file anew: of a message that comes twice,
protobuf merges the parts, lists one behind the other. So a second `ModelProto.graph` that holds
nothing but outputs, appended to the file's bytes, is the whole of the surgery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .errors import CheckpointError
from .parsers.protobuf import BYTES, VARINT, Field, Message
from .parsers.refusal import Refused, damaged
from .parsers.source import Source

_GRAPH = 7
_NODE, _WEIGHT, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_VALUE_NAME, _WEIGHT_NAME = 1, 8
_INPUT, _OUTPUT, _NAME, _OPERATOR, _ATTRIBUTE = 1, 2, 3, 4, 5
_ATTRIBUTE_NAME, _INTS = 1, 8
_EXTERNAL, _LOCATION = 13, 14

_INSIDE: dict[str, dict[int, str]] = {
    "model": {_GRAPH: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {_NODE: "node", _WEIGHT: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {_ATTRIBUTE: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Which messages lie in which, by the number of the field: every way that leads to a tensor."""

_DEEPEST = 60
"""Messages inside messages; protobuf itself stops at 100."""

_LONGEST_NAME = 1_000


class _Memory(Source):
    """Bytes, read as a file is."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, at: int, count: int) -> bytes:
        """Hand out a part; Refused where there is less."""
        if at < 0 or count < 0 or at + count > self.size:
            raise damaged("is damaged or cut short: it refers to bytes beyond its end")
        return self._data[at : at + count]


@dataclass
class Node:
    """One node of the graph.

    Attributes:
        operator: its type, such as "DeformConv".
        name: its own, which may be empty.
        inputs, outputs: names of values; an input that is left out is "".
        integers: attributes that are lists of integers.
    """

    operator: str = ""
    name: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    integers: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """The main graph; what is inside of branches, loops and functions is not listed.

    Attributes:
        nodes: in the order of the file.
        inputs, outputs: names of values; old files list their weights among the inputs, too.
        weights: names of values that are in the file.
    """

    nodes: list[Node]
    inputs: list[str]
    outputs: list[str]
    weights: list[str]


def read_graph(data: bytes) -> Graph:
    """Read the nodes of an ONNX file, and make sure that it needs no other file.

    Raises:
        CheckpointError: it is no ONNX file, or keeps weights in another file.

    Example:
        >>> model = with_outputs(b"", ["sum"])
        >>> read_graph(model).outputs
        ['sum']
    """
    message = Message(_Memory(data))
    try:
        _refuse_other_files(message, "model", 0, len(data))
        graph = Graph([], [], [], [])
        for part in _inside(message, 0, len(data), _GRAPH):
            _read_into(graph, message, part)
    except (Refused, UnicodeDecodeError) as error:
        raise CheckpointError(str(error)) from None
    return graph


def with_outputs(data: bytes, names: Iterable[str]) -> bytes:
    """The same file with more values among its graph's outputs."""
    values = (
        _bytes_field(_GRAPH_OUTPUT, _bytes_field(_VALUE_NAME, name.encode())) for name in names
    )
    return data + _bytes_field(_GRAPH, b"".join(values))


def _read_into(graph: Graph, message: Message, part: Field) -> None:
    for f in message.fields(part.at, part.at + part.value):
        if f.wire != BYTES:
            continue
        if f.number == _NODE:
            graph.nodes.append(_node(message, f))
        elif f.number in (_GRAPH_INPUT, _GRAPH_OUTPUT):
            names = graph.inputs if f.number == _GRAPH_INPUT else graph.outputs
            names += _texts(message, f, _VALUE_NAME)
        elif f.number == _WEIGHT:
            graph.weights.extend(_texts(message, f, _WEIGHT_NAME))


def _node(message: Message, part: Field) -> Node:
    node = Node()
    for f in message.fields(part.at, _end(part)):
        if f.number == _INPUT:
            node.inputs.append(message.text(f, _LONGEST_NAME))
        elif f.number == _OUTPUT:
            node.outputs.append(message.text(f, _LONGEST_NAME))
        elif f.number == _NAME:
            node.name = message.text(f, _LONGEST_NAME)
        elif f.number == _OPERATOR:
            node.operator = message.text(f, _LONGEST_NAME)
        elif f.number == _ATTRIBUTE and f.wire == BYTES:
            _attribute_into(node, message, f)
    return node


def _attribute_into(node: Node, message: Message, part: Field) -> None:
    name, values = "", list[int]()
    for f in message.fields(part.at, _end(part)):
        if f.number == _ATTRIBUTE_NAME:
            name = message.text(f, _LONGEST_NAME)
        elif f.number == _INTS and f.wire == VARINT:
            values.append(f.value)
        elif f.number == _INTS and f.wire == BYTES:
            values += _packed(message, f)
    if values:
        node.integers[name] = values


def _packed(message: Message, part: Field) -> Iterator[int]:
    at = part.at
    while at < _end(part):
        value, at = message.varint(at)
        yield value


def _refuse_other_files(message: Message, kind: str, start: int, end: int, depth: int = 0) -> None:
    """Walk to every tensor, whatever it belongs to.

    A path in a file that came from someone would be opened on this machine.
    """
    if depth > _DEEPEST:
        raise CheckpointError("This ONNX file is nested deeper than any network.")
    for f in message.fields(start, end):
        if kind == "tensor" and (f.number == _EXTERNAL or (f.number == _LOCATION and f.value)):
            raise CheckpointError(
                "This ONNX model keeps its weights in another file, which is not opened here. "
                'Save it as one file: import onnx; onnx.save(onnx.load("it.onnx"), "whole.onnx")'
            )
        inner = _INSIDE[kind].get(f.number)
        if inner is not None and f.wire == BYTES:
            _refuse_other_files(message, inner, f.at, _end(f), depth + 1)


def _texts(message: Message, part: Field, number: int) -> list[str]:
    found = _inside(message, part.at, _end(part), number)
    return [message.text(f, _LONGEST_NAME) for f in found]


def _inside(message: Message, start: int, end: int, number: int) -> Iterator[Field]:
    for f in message.fields(start, end):
        if f.number == number and f.wire == BYTES:
            yield f


def _end(part: Field) -> int:
    return part.at + part.value


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
