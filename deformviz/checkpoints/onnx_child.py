"""The main of the child that runs a stranger's ONNX file; its parent is `onnx_confined`.

Both talk in parts, each a length of eight bytes and so many bytes, the child's with a letter for
their kind before them: the parent sends the file, the child tells what image it takes and which
nodes there are, the parent sends such an image, the child lists the nodes' values with their types
and shapes, and the numbers follow, raw and in that order, so that the parent knows how many will
come before it takes one of them. Then the next image may come.

Before the first byte of the file is looked at, onnxruntime has run a network of one node. So its
threads are there, and all that it loads late is loaded; then `confine` takes the rest away.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict

import numpy as np

from .errors import CheckpointError
from .onnx_network import Network, OutOfMemory, onnxruntime_alone
from .parsers.confine import confine
from .parsers.limits import RunLimits
from .parsers.refusal import Refused

NETWORK, VALUES, REFUSED = b"n", b"v", b"r"
"""What the child says, as JSON: the network, a list of its values, or why there are none."""

_PARENT, _ANSWER = 0, 1
_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG

# DeformConv(x, w, o) on float32 [1, 1, 1, 1], its weight 1, its offset 0; operator set 19.
_TINY = base64.b64decode(
    "CAg6cwoYCgF4CgF3CgFvEgF5IgpEZWZvcm1Db252EgFnKhMIAQgBCAEIARABQgF3SgQAAIA/KhcIAQgCCAEIARABQgFv"
    "SggAAAAAAAAAAFobCgF4EhYKFAgBEhAKAggBCgIIAQoCCAEKAggBYgkKAXkSBAoCCAFCBAoAEBM="
)


def main() -> None:
    """Read the limits, run one network under them, and leave at once."""
    limits = RunLimits(**json.loads(sys.argv[2]))
    _choose_me()
    try:
        _warm_up(limits)
        confine(limits)
        _serve(limits)
    except (OutOfMemory, MemoryError):
        _send_json(REFUSED, {"memory": True})
    except (CheckpointError, Refused) as error:
        _send_json(REFUSED, {"refused": str(error)})
    except ImportError:
        _send_json(REFUSED, {"missing": True})
    os._exit(0)


def _choose_me() -> None:
    """End first where the machine runs out of memory, and with the parent where that is killed.

    Both are Linux's alone. The parent's thread waits for the answer, so it lives as long.
    """
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)


def _warm_up(limits: RunLimits) -> None:
    onnxruntime_alone().set_global_thread_pool_sizes(limits.threads, 1)
    _list_of(Network(_TINY, None).run(np.zeros((1, 1, 1, 1), np.float32)))


def _serve(limits: RunLimits) -> None:
    network = Network(_receive(limits.file_bytes), None)
    nodes = [asdict(node) for node in network.nodes]
    _send_json(NETWORK, {"taken": asdict(network.taken), "nodes": nodes})
    while True:  # the parent ends this process when it has no more images
        _answer(network, limits)


def _answer(network: Network, limits: RunLimits) -> None:
    """Run it on one image, and tell its values."""
    shape = [network.taken.shape[1] or 3, *json.loads(_receive(100))]
    image = np.frombuffer(_receive(4 * shape[0] * shape[1] * shape[2]), np.float32)
    values = network.run(image.reshape(1, *shape))
    total = sum(value.nbytes for value in values.values())
    if total > limits.answer_bytes:
        raise CheckpointError(
            f"The maps of this network's deformable layers take more than "
            f"{limits.answer_bytes >> 20:,} MB together. Try a smaller image."
        )
    _send_json(VALUES, _list_of(values))
    for value in values.values():
        _write(np.ascontiguousarray(value).data.cast("B") if value.size else b"")


def _list_of(values: dict[str, np.ndarray]) -> list[tuple[str, str, list[int]]]:
    return [(name, value.dtype.name, list(value.shape)) for name, value in values.items()]


def _receive(most: int) -> bytes:
    size = int.from_bytes(_read(8), "little")
    if size > most:
        raise CheckpointError(f"Expected at most {most // 1_000_000:,} MB, but this is more.")
    return _read(size)


def _read(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = os.read(_PARENT, min(size - len(data), 1 << 20))
        if not part:
            os._exit(1)  # the parent has gone
        data += part
    return bytes(data)


def _send_json(kind: bytes, value: object) -> None:
    data = json.dumps(value).encode("ascii")
    _write(kind + len(data).to_bytes(8, "little") + data)


def _write(data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(_ANSWER, rest) :]
