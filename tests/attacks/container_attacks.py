"""Archives, .safetensors and ONNX files that lie, by name."""

from __future__ import annotations

import json
import struct
import zipfile

from attack_files import (
    archive,
    claim,
    directory_at,
    field,
    honest_zip,
    initialiser,
    mapping,
    onnx,
    patched,
    safetensors,
    tensor,
    torch_zip,
)

HONEST = honest_zip()
START = directory_at(HONEST)
END = len(HONEST) - 22
DATA = HONEST.index(b"PK\1\2", HONEST.index(b"net/byteorder", START))
"""The directory's entry of the numbers."""


def renamed(new: bytes) -> bytes:
    """The entry of the version, under another name of the same length, in both places."""
    return HONEST.replace(b"net/version", new.ljust(11, b"x"))


def zip64(place: int, count: int, start: int) -> bytes:
    """The honest archive with a ZIP64 record of these numbers."""
    size = END - START
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)
    return HONEST[:END] + record + locator + HONEST[END:]


def overlapping() -> bytes:
    """Two entries of the directory for the same bytes, as in a bomb that needs no compression."""
    entry = HONEST[START : HONEST.index(b"PK\1\2", START + 4)]
    directory = HONEST[START:END] + entry
    count = HONEST.count(b"PK\1\2") + 1
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), START, 0)
    return HONEST[:START] + directory + end


def deflated(name: str, size: int) -> bytes:
    entries = {"net/data.pkl": b".", "net/data/0": b"", "net/version": b"3\n"}
    return archive(entries | {name: bytes(size)}, zipfile.ZIP_DEFLATED)


ARCHIVES: dict[str, bytes] = {
    "deflated numbers": deflated("net/data/0", 5 << 20),
    "deflated pickle": deflated("net/data.pkl", 5 << 20),
    "bzip2": archive({"net/data.pkl": bytes(1 << 20)}, zipfile.ZIP_BZIP2),
    "60,001 entries": archive({f"net/data/{n}": b"" for n in range(60_001)}),
    "overlapping entries": overlapping(),
    "size larger in the directory": patched(HONEST, "<L", DATA + 24, 1 << 20),
    "both sizes larger": patched(patched(HONEST, "<L", DATA + 24, 99), "<L", DATA + 20, 99),
    "both sizes smaller": patched(patched(HONEST, "<L", DATA + 24, 9), "<L", DATA + 20, 9),
    "size larger before the entry": patched(HONEST, "<L", 22, 1 << 30),
    "offset beyond the file": patched(HONEST, "<L", DATA + 42, 1 << 30),
    "offset of another entry": patched(HONEST, "<L", DATA + 42, 0),
    "another name before the entry": HONEST.replace(b"net/data/0", b"net/data/1", 1),
    "fewer entries than there are": patched(patched(HONEST, "<H", END + 8, 2), "<H", END + 10, 2),
    "more entries than there are": patched(
        patched(HONEST, "<H", END + 8, 900), "<H", END + 10, 900
    ),
    "directory of 4 GB": patched(HONEST, "<L", END + 12, 0xFFFFFFF0),
    "directory elsewhere": patched(HONEST, "<L", END + 16, START - 4),
    "something before": b"PK\3\4" + HONEST,
    "something behind": HONEST + b"\0",
    "a comment": patched(HONEST, "<H", END + 20, 4) + b"note",
    "a second archive before": HONEST + honest_zip(),
    "ZIP64 elsewhere": zip64(START, 4, START),
    "ZIP64 beyond the file": zip64(1 << 62, 4, START),
    "ZIP64 of other counts": zip64(END, 1 << 40, START),
    "ZIP64 of another start": zip64(END, 4, 0),
    "ZIP64 sizes that are not there": patched(HONEST, "<L", DATA + 24, 0xFFFFFFFF),
    "encrypted": patched(HONEST, "<H", DATA + 8, 1),
    "name leads out": renamed(b"../../etc/p"),
    "name leads out inside": renamed(b"net/../../p"),
    "name from the root": renamed(b"/etc/passwd"),
    "name of Windows": renamed(b"C:\\Windows\\"),
    "name with a null": renamed(b"net/ver\0ion"),
    "name with a line end": renamed(b"net/ver\nion"),
    "name that is no text": renamed(b"net/ver\xffion"),
    "one name twice": torch_zip(mapping(w=tensor()), **{"data/1": b"1234"}).replace(
        b"net/data/1", b"net/data/0"
    ),
    "two folders": renamed(b"ten/version"),
    "TorchScript": torch_zip(b"N", **{"constants.pkl": b".", "code/__torch__.py": b"x"}),
    "no pickle": archive({"net/data/0": b"1234"}),
    "NumPy's": archive({"a.npy": b"\x93NUMPY"}),
    "empty archive": archive({}),
    "big-endian": HONEST.replace(b"little", b"bigger"),
}

ONE = {"a": claim()}

SAFETENSORS: dict[str, bytes] = {
    "length longer than the file": safetensors(ONE, length=1 << 20),
    "length of 2 to the 63": safetensors(ONE, length=1 << 63),
    "length of 2 to the 64": safetensors(ONE, length=(1 << 64) - 1),
    "length too short": safetensors(ONE, length=10),
    "list of 20 MB": safetensors(json.dumps(ONE).encode() + b" " * (20 << 20)),
    "lists of 10 MB": safetensors(b'{"a":[' + b"[]," * 3_300_000 + b"[]]}"),
    "numbers of 10 MB": safetensors(b'{"a":[' + b"1e9," * 2_400_000 + b"1]}"),
    "lists in lists": safetensors(b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"),
    "objects in objects": safetensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "one name twice": safetensors(
        b'{"a":' + json.dumps(claim()).encode() + b',"a":' + json.dumps(claim()).encode() + b"}"
    ),
    "one field twice": safetensors(
        b'{"a":{"dtype":"F32","dtype":"F64","shape":[12],"data_offsets":[0,48]}}'
    ),
    "overlapping": safetensors({"a": claim(), "b": claim()}),
    "partly overlapping": safetensors({"a": claim((8,), (0, 32)), "b": claim((8,), (16, 48))}),
    "beyond the file": safetensors({"a": claim((3, 5), (0, 60))}),
    "a gap": safetensors({"a": claim((1,), (0, 4)), "b": claim((1,), (44, 48))}),
    "something behind": safetensors({"a": claim((1,), (0, 4))}),
    "backwards": safetensors({"a": claim((3, 4), (48, 0))}),
    "negative place": safetensors({"a": claim((3, 4), (-48, 0))}),
    "negative size": safetensors({"a": claim((-3, -4))}),
    "size of 2 to the 64": safetensors({"a": claim((1 << 64,))}),
    "sizes beyond all memory": safetensors({"a": claim([1 << 30] * 4)}),
    "fraction as a size": safetensors({"a": claim((3.0, 4))}),
    "truth as a size": safetensors({"a": claim((True, 12))}),
    "text as a place": safetensors({"a": claim(places=("0", "48"))}),
    "three places": safetensors({"a": claim(places=(0, 24, 48))}),
    "unknown type": safetensors({"a": claim(dtype="F128")}),
    "type of another kind": safetensors({"a": claim(dtype=["F32"])}),
    "wider type": safetensors({"a": claim(dtype="F64")}),
    "further fields": safetensors({"a": claim(path="/etc/passwd")}),
    "missing fields": safetensors({"a": {"dtype": "F32"}}),
    "NaN": safetensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,48]}}'),
    "Infinity": safetensors(b'{"a":{"dtype":"F32","shape":[12],"data_offsets":[0,Infinity]}}'),
    "a number of 60,000 digits": safetensors(b'{"a":' + b"9" * 60_000 + b"}"),
    "no JSON": safetensors(b"{" + b"\xff" * 40),
    "no tensors": safetensors({}, b""),
    "name of 1 MB": safetensors({"n" * (1 << 20): claim()}),
    "half a character as a name": safetensors(b'{"\\ud800":' + json.dumps(claim()).encode() + b"}"),
    "60,000 tensors": safetensors({f"t{n}": claim((), (0, 0)) for n in range(60_000)}),
}


def external(path: str) -> bytes:
    entry = field(1, b"location") + field(2, path.encode())
    return field(1, 12) + field(2, 1) + field(8, b"w") + field(13, entry) + field(14, 1)


def nested(times: int) -> bytes:
    """A graph in an attribute of a node of a graph, and so on."""
    graph = b""
    for _ in range(times):
        graph = field(1, field(5, field(6, graph)))
    return graph


ONNX: dict[str, bytes] = {
    "external data": onnx(external("/etc/passwd")),
    "external data beside sound weights": onnx(initialiser(), external("../../etc/passwd")),
    "external without a location": onnx(field(1, 12) + field(2, 1) + field(14, 1)),
    "sizes beyond all memory": onnx(initialiser((1 << 40, 1 << 40))),
    "negative size": onnx(initialiser((-3, -4))),
    "sizes that overflow": onnx(initialiser((1 << 32, 1 << 32, 12))),
    "other sizes than numbers": onnx(initialiser((3, 5))),
    "100,000 sizes": onnx(initialiser([1] * 100_000)),
    "a million packed sizes": onnx(field(1, b"\1" * 1_000_000) + field(2, 1) + field(9, b"1234")),
    "numbers twice": onnx(initialiser() + field(9, bytes(48))),
    "one name twice": onnx(initialiser(), initialiser()),
    "two graphs": onnx(initialiser()) + field(7, field(5, initialiser(called="v"))),
    "graph that is a number": field(1, 8) + field(7, 1),
    "initialiser that is a number": field(1, 8) + field(7, field(5, 3)),
    "graphs in graphs": onnx(before=nested(500)),
    "a million fields": onnx(initialiser(), before=field(13, 0) * 1_000_000),
    "60,000 initialisers": onnx(*(initialiser((), bytes(4), f"w{n}") for n in range(60_000))),
    "length beyond the graph": field(1, 8) + field(7, field(5, b"\x4a\xff\xff\xff\x7f")),
    "varint without an end": field(1, 8) + b"\x3a" + b"\xff" * 12,
    "name of 1 MB": onnx(initialiser(called="n" * (1 << 20))),
    "no initialisers": onnx(),
}
