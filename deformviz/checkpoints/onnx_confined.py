"""Runs a stranger's ONNX file in a child process with limits on memory and time.

A graph may ask for any amount of memory, loop for hours, or meet a mistake in onnxruntime. All of
that ends with the child. What it answers is believed as little as the file: it is JSON and raw
numbers, of stated types and a bounded size.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO, FileIO
from pathlib import Path
from threading import Event, Timer
from typing import IO, Any

import numpy as np
from torch import Tensor

from ..geometry import Pair
from ..sampling import Sampling
from .errors import CheckpointError
from .onnx_child import NETWORK, REFUSED, VALUES
from .onnx_graph import Node
from .onnx_network import INSTALL, MOST_LAYERS, Taken, too_long
from .onnx_run import input_of, samplings_of
from .opened import opened
from .parsers.limits import RunLimits
from .pictures import Normalisation, photo_pixels

# -I: no environment, no current folder. Two packages without their own first modules, which would
# load torch: what the child needs of them loads in a tenth of the time, and of the memory.
_START = """
import json, sys, types
for name, folder in json.loads(sys.argv[1]).items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from deformviz.checkpoints.onnx_child import main
main()
"""
_FOLDERS = {
    "deformviz": str(Path(__file__).resolve().parents[1]),
    "deformviz.checkpoints": str(Path(__file__).resolve().parent),
}
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Of the libraries beside onnxruntime, each of which would take memory for every core."""

_MOST_WORDS = 4 << 20
_DTYPES = ("float16", "float32", "float64")

_ENDED = (
    "The run of this network ended early, for lack of memory or time. Try a smaller image, or run "
    "it on your own machine with deformviz.checkpoints.run_onnx."
)


def run_onnx_confined(
    model: str | Path | bytes,
    image: str | Path | bytes | np.ndarray,
    *,
    size: Pair | None = None,
    normalisation: Normalisation = "unit",
    limits: RunLimits | None = None,
) -> list[Sampling]:
    """As `run_onnx`, for files from anyone: nothing that the file does reaches this process.

    Args:
        model, image, size, normalisation: as for `run_onnx`.
        limits: what it may cost.

    Returns:
        As `run_onnx`, with the same numbers.

    Raises:
        ImportError: onnxruntime is not installed.
        ImageError: no picture.
        CheckpointError: as of `run_onnx`, and for a network that takes more memory or time than
            the limits say.
        ValueError: a size that the file does not allow.

    Example:
        >>> from deformviz.checkpoints import RunLimits
        >>> photo = np.zeros((32, 32, 3), np.uint8)
        >>> run_onnx_confined(b"?", photo, limits=RunLimits(seconds=9))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        deformviz.checkpoints.errors.CheckpointError: Expected a checkpoint ...
    """
    pixels = photo_pixels(image)
    with ConfinedNetwork(model, limits or RunLimits()) as network:
        x = input_of(network.taken, pixels, size, normalisation)
        return network.run(x, (pixels.shape[0], pixels.shape[1]))


class ConfinedNetwork:
    """A stranger's file that stays loaded in its child, for one image after the other.

    Attributes:
        taken: what image it takes.
        nodes: its deformable layers.

    Args:
        model: as for `run_onnx`.
        limits: each image has that much time; a child ends after `limits.images` of them, and the
            next one begins where it is needed.

    Raises:
        ImportError, CheckpointError: as of `run_onnx_confined`, when the block begins.

    Example:
        >>> with ConfinedNetwork("net.onnx", RunLimits(images=100)) as network:  # doctest: +SKIP
        ...     for x in images:
        ...         samplings = network.run(x, (480, 640))
    """

    def __init__(self, model: str | Path | bytes, limits: RunLimits) -> None:
        self._model, self._limits = model, limits

    def __enter__(self) -> ConfinedNetwork:
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()

    def _begin(self) -> None:
        with _file(self._model, self._limits) as (file, length):
            self._child, self._runs = _Child(self._limits).__enter__(), 0
            try:
                self._child.send(file, length)
                self.taken, self.nodes = _described(self._child.receive(NETWORK, _MOST_WORDS))
            except BaseException:
                self._child.__exit__()
                raise

    def run(self, x: Tensor, photo: Pair) -> list[Sampling]:
        """Run it on one image.

        Args:
            x: [1, C, H, W] float32, see `input_of`.
            photo: (H, W) of the picture that the records are to lie on.

        Raises:
            CheckpointError: as of `run_onnx_confined`.
        """
        child = self._child_for_one_more()
        for part in (json.dumps(list(x.shape[2:])).encode(), x.numpy().tobytes()):
            child.send(BytesIO(part), len(part))
        listed = _listed(child.receive(VALUES, _MOST_WORDS), self.nodes, self._limits)
        values = {name: child.receive_array(*of) for name, of in listed.items()}
        return samplings_of(self.nodes, values, photo, x)

    def _child_for_one_more(self) -> _Child:
        if self._runs >= self._limits.images:
            self._child.__exit__()
            self._begin()
        elif self._runs:
            self._child.restart_clock()
        self._runs += 1
        return self._child


@contextmanager
def _file(model: str | Path | bytes, limits: RunLimits) -> Iterator[tuple[FileIO | BytesIO, int]]:
    """The file to read from, and its length."""
    if isinstance(model, bytes):
        _check_length(len(model), limits)
        yield BytesIO(model), len(model)
        return
    with opened(Path(model)) as raw:
        length = os.fstat(raw.fileno()).st_size
        _check_length(length, limits)
        yield raw, length


def _check_length(length: int, limits: RunLimits) -> None:
    if length > limits.file_bytes:
        raise CheckpointError(
            f"Expected at most {limits.file_bytes // 1_000_000:,} MB of ONNX, but this file has "
            f"{length // 1_000_000:,} MB."
        )


class _Child:
    """The other end of `onnx_child`, for as long as it may take."""

    def __init__(self, limits: RunLimits) -> None:
        self._limits = limits
        self._late = Event()

    def __enter__(self) -> _Child:
        command = [sys.executable, "-I", "-c", _START, json.dumps(_FOLDERS)]
        self._process = subprocess.Popen(
            [*command, json.dumps(asdict(self._limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=os.environ | _ONE_THREAD,
        )
        self._start_clock()
        return self

    def _start_clock(self) -> None:
        self._clock = Timer(self._limits.seconds, self._end)
        self._clock.daemon = True
        self._clock.start()

    def restart_clock(self) -> None:
        """What comes next has the whole time again."""
        self._clock.cancel()
        self._start_clock()

    def __exit__(self, *_: object) -> None:
        self._clock.cancel()
        self._clock.join()
        self._process.kill()  # nothing, where it has ended
        self._process.communicate()

    def _end(self) -> None:
        self._late.set()
        self._process.kill()

    def send(self, file: FileIO | BytesIO, length: int) -> None:
        """So many bytes of a file, never all of them at once."""
        pipe = self._pipe(self._process.stdin)
        try:
            _write(pipe, length.to_bytes(8, "little"))
            while length and (part := file.read(min(length, 1 << 20))):
                _write(pipe, part)
                length -= len(part)
        except BrokenPipeError:
            return  # what it has said before it ended comes next
        if length:
            raise CheckpointError("This file became shorter while it was read. Open it again.")

    def receive(self, kind: bytes, most: int) -> bytes:
        """One part of what the child says, unless it says why it cannot.

        Args:
            kind: that is expected.
            most: how many bytes it may have.
        """
        got, length = self._read(1), int.from_bytes(self._read(8), "little")
        if got == REFUSED and length <= _MOST_WORDS:
            raise self._refusal(self._read(length))
        if got != kind or length > most:
            raise CheckpointError(_ENDED)
        return self._read(length)

    def receive_array(self, dtype: str, shape: list[int]) -> np.ndarray:
        """So many numbers."""
        array = np.empty(shape, dtype)
        if array.size:
            self._read_into(array.data.cast("B"))
        return array

    def _read(self, length: int) -> bytes:
        data = bytearray(length)
        self._read_into(memoryview(data))
        return bytes(data)

    def _read_into(self, rest: memoryview) -> None:
        pipe = self._pipe(self._process.stdout)
        while rest:
            count = pipe.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                late = self._late.is_set()
                raise too_long(self._limits.seconds) if late else CheckpointError(_ENDED)
            rest = rest[count:]

    def _refusal(self, words: bytes) -> Exception:
        told = _json(words)
        if not isinstance(told, dict):
            return CheckpointError(_ENDED)
        if told.get("missing"):
            return ImportError(INSTALL)
        if told.get("memory"):
            return CheckpointError(
                f"This network asks for more than {self._limits.memory_bytes / 2**30:.3g} GB of "
                "memory. Try a smaller image, or run it on your own machine with "
                "deformviz.checkpoints.run_onnx."
            )
        why = "".join(c for c in str(told.get("refused"))[:1000] if c.isprintable())
        return CheckpointError(why)

    @staticmethod
    def _pipe(end: IO[bytes] | None) -> IO[bytes]:
        assert end is not None
        return end


def _write(pipe: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[pipe.write(rest) :]


def _json(words: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(words)
    except (ValueError, RecursionError):
        raise CheckpointError(_ENDED) from None


def _described(words: bytes) -> tuple[Taken, list[Node]]:
    """What image the network takes, and its nodes."""
    told = _json(words)
    try:
        taken, nodes = Taken(**told["taken"]), [Node(**node) for node in told["nodes"]]
        sides = [side is None or int(side) > 0 for side in taken.shape]
        fits = len(sides) == 4 and all(sides) and taken.shape[1] in (None, 1, 3)
        names = [name for node in nodes for name in (*node.inputs, *node.outputs)]
        fits = fits and len(nodes) <= MOST_LAYERS and all(isinstance(n, str) for n in names)
        fits = fits and all(len(n.inputs) >= 3 and n.outputs for n in nodes)
    except (TypeError, ValueError, LookupError, AttributeError):
        fits = False
    if not fits:
        raise CheckpointError(_ENDED)
    return taken, nodes


def _listed(words: bytes, nodes: list[Node], limits: RunLimits) -> dict[str, tuple[str, list[int]]]:
    """Types and shapes of the values that will come, where they are what was asked for."""
    asked = [name for node in nodes for name in (*node.inputs, *node.outputs) if name]
    try:
        listed = {str(name): (dtype, shape) for name, dtype, shape in _json(words)}
        sizes = {name: _bytes_of(*of) for name, of in listed.items()}
        # A value that many nodes share comes once, and is made into a record for each of them.
        total = sum(sizes[name] for name in asked)
    except (TypeError, ValueError, LookupError):
        raise CheckpointError(_ENDED) from None
    if listed.keys() != set(asked):
        raise CheckpointError(_ENDED)
    if total > limits.answer_bytes:
        raise CheckpointError(
            f"The maps of this network's deformable layers take more than "
            f"{limits.answer_bytes >> 20:,} MB together. Try a smaller image."
        )
    return listed


def _bytes_of(dtype: str, shape: list[int]) -> int:
    if dtype not in _DTYPES or len(shape) > 8 or not all(int(side) >= 0 for side in shape):
        raise ValueError("no array of floating point")
    return np.dtype(dtype).itemsize * math.prod(int(side) for side in shape)
