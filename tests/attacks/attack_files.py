"""What the attacks are made of: pickles, archives and messages written by hand."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterable
from typing import Any

import torch

# ---------------------------------------------------------------------------------------- pickles


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    size = max(1, (value.bit_length() + 8) // 8)
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def name(path: str) -> bytes:
    module, _, last = path.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def many(*values: bytes) -> bytes:
    return b"(" + b"".join(values) + b"t"


def mapping(**pairs: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in pairs.items()) + b"u"


def call(path: str, *args: bytes) -> bytes:
    return name(path) + many(*args) + b"R"


def storage(key: str = "0", kind: str = "torch.FloatStorage", count: int = 12) -> bytes:
    return many(text("storage"), name(kind), text(key), text("cpu"), number(count)) + b"Q"


def numbers(values: Iterable[int]) -> bytes:
    return many(*(number(value) for value in values))


def tensor(
    shape: Iterable[int] = (3, 4),
    stride: Iterable[int] = (4, 1),
    offset: int = 0,
    of: bytes | None = None,
) -> bytes:
    """A float tensor; by default the twelve numbers of `torch_zip` as they lie there."""
    hooks = call("collections.OrderedDict")
    args = (of or storage(), number(offset), numbers(shape), numbers(stride), b"\x89", hooks)
    return call("torch._utils._rebuild_tensor_v2", *args)


def module(children: bytes = b"}", parameters: bytes = b"}") -> bytes:
    """A torch.nn.Module as its pickle has it."""
    made = name("net.Block") + b")\x81"
    return made + mapping(_parameters=parameters, _buffers=b"}", _modules=children) + b"b"


# --------------------------------------------------------------------------------------- archives


def archive(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for entry, content in entries.items():
            made.writestr(entry, content)
    return file.getvalue()


def torch_zip(value: bytes, *, end: bytes = b".", **more: bytes) -> bytes:
    """An archive around a pickled value, with one storage of twelve floats, as torch lays it out.

    Without attacks in it, it is read: `test_the_tools_make_honest_files` sees to that.
    """
    entries = {
        "net/data.pkl": b"\x80\x02" + value + end,
        "net/byteorder": b"little",
        "net/data/0": struct.pack("<12f", *range(12)),
        "net/version": b"3\n",
    }
    return archive(entries | {f"net/{key}": content for key, content in more.items()})


def honest_zip() -> bytes:
    return torch_zip(mapping(weight=tensor()))


def honest_legacy() -> bytes:
    file = io.BytesIO()
    weight = torch.arange(12.0).reshape(3, 4)
    torch.save({"model": {"weight": weight}}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def patched(data: bytes, form: str, at: int, value: int) -> bytes:
    """One number changed."""
    made = bytearray(data)
    struct.pack_into(form, made, at, value)
    return bytes(made)


def directory_at(data: bytes) -> int:
    """Where the central directory begins."""
    return int(struct.unpack_from("<L", data, len(data) - 6)[0])


# ------------------------------------------------------------------------------------ safetensors


def safetensors(header: object, data: bytes = bytes(48), *, length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def claim(
    shape: object = (3, 4), places: object = (0, 48), dtype: object = "F32", **more: Any
) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": places, **more}


# ------------------------------------------------------------------------------------------- onnx


def varint(value: int) -> bytes:
    made = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def initialiser(dims: Iterable[int] = (3, 4), raw: bytes = bytes(48), called: str = "w") -> bytes:
    sizes = b"".join(field(1, size) for size in dims)
    return sizes + field(2, 1) + field(8, called.encode()) + field(9, raw)


def onnx(*tensors: bytes, before: bytes = b"") -> bytes:
    graph = before + b"".join(field(5, tensor) for tensor in tensors)
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


HONEST = {
    "zip": honest_zip(),
    "legacy": honest_legacy(),
    "safetensors": safetensors({"weight": claim()}),
    "onnx": onnx(initialiser()),
}
"""A sound file of each kind, of which the first tensor is a 3 x 4."""
