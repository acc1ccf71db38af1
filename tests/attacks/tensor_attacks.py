"""Tensors that claim more than the file has, by name: torch itself accepts most of them."""

from __future__ import annotations

import io

import torch
from attack_files import (
    call,
    honest_legacy,
    mapping,
    name,
    number,
    numbers,
    patched,
    storage,
    tensor,
    text,
    torch_zip,
)


def expanded(legacy: bool) -> bytes:
    """The file of a kilobyte whose first use asks for 10 GB."""
    file = io.BytesIO()
    value = {"weight": torch.zeros(1).expand(50_000, 50_000)}
    torch.save(value, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def of(made: bytes) -> bytes:
    return torch_zip(mapping(weight=made))


def rebuilt(*args: bytes) -> bytes:
    return of(call("torch._utils._rebuild_tensor_v2", *args))


LEGACY = honest_legacy()
COUNT = len(LEGACY) - 48 - 8
"""Where it says how many numbers follow."""

TENSORS: dict[str, bytes] = {
    "expanded": expanded(legacy=False),
    "expanded, legacy": expanded(legacy=True),
    "expanded within its storage": of(tensor((3, 4), (0, 1))),
    "shape beyond all memory": of(tensor((1 << 40, 1 << 40), (1 << 40, 1))),
    "size of 2 to the 63": of(tensor((1 << 63,), (1,))),
    "size of 2 to the 100": of(tensor((1 << 100,), (1,))),
    "sizes that overflow to nothing": of(tensor((1 << 32, 1 << 32, 0), (0, 0, 1))),
    "negative size": of(tensor((-3, -4), (4, 1))),
    "negative stride": of(tensor((3, 4), (4, -1), offset=3)),
    "negative offset": of(tensor(offset=-1)),
    "offset outside": of(tensor(offset=1)),
    "offset of 2 to the 62": of(tensor(offset=1 << 62)),
    "stride outside": of(tensor((3, 4), (5, 1))),
    "stride that wraps around": of(tensor((2,), ((1 << 64) - 1,))),
    "overlapping": of(tensor((6, 7), (1, 1))),
    "more strides than sizes": of(tensor((3, 4), (4, 1, 1))),
    "a million dimensions": of(tensor([1] * 100_000, [1] * 100_000)),
    "shape of text": rebuilt(storage(), number(0), text("ab"), numbers((4, 1)), b"\x89", b"}"),
    "shape with truth values": rebuilt(storage(), number(0), b"\x88\x85", numbers((1,)), b"\x89"),
    "shape with fractions": rebuilt(
        storage(), number(0), b"G\x40\x08\0\0\0\0\0\0\x85", numbers((1,)), b"\x89"
    ),
    "offset that is none": rebuilt(storage(), b"N", numbers((3,)), numbers((1,)), b"\x89"),
    "storage that is none": rebuilt(b"N", number(0), numbers((3,)), numbers((1,)), b"\x89"),
    "storage of unknown type": of(tensor(of=storage(kind="torch.EvilStorage"))),
    "storage that is not there": of(tensor(of=storage(key="7"))),
    "storage that leads outside": of(tensor(of=storage(key="../data.pkl"))),
    "storage that lies about its size": of(tensor((6, 4), of=storage(count=24))),
    "storage smaller than its entry": of(tensor(of=storage(count=4))),
    "storage of negative size": of(tensor(of=storage(count=-12))),
    "storage of 2 to the 62": of(tensor((1 << 30,), (1,), of=storage(count=1 << 62))),
    "storage of wider numbers": of(tensor(of=storage(kind="torch.ComplexDoubleStorage"))),
    "type wider than its bytes": of(
        call(
            "torch._utils._rebuild_tensor_v3",
            storage(kind="torch.storage.UntypedStorage", count=48),
            number(0),
            numbers((3, 4)),
            numbers((4, 1)),
            b"\x89",
            b"}",
            name("torch.complex128"),
        )
    ),
    "legacy, other count": patched(LEGACY, "<Q", COUNT, 13),
    "legacy, count of 2 to the 63": patched(LEGACY, "<Q", COUNT, 1 << 63),
    "legacy, something behind": LEGACY + b"\0",
    "legacy, no storages": LEGACY[: LEGACY.rindex(b"]q")] + b"].",
}
