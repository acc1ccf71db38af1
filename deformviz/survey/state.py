"""A survey's state in one file, replaced as a whole: whenever it is killed, it can go on.

The file is .safetensors: counts as tensors, all else as JSON in its header. It is written beside
its place and moved there, so that what is found is always one whole state, in which every batch is
counted once or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from .exact import ExactSums
from .tally import Header, LayerTally, Tally

_FORMAT = "deformviz.survey/1"
_EXTREMES = ("low", "high", "first")


@dataclass(eq=False)
class State:
    """How far a survey has come.

    Attributes:
        plan: what is surveyed: digests of checkpoint and images, and all options that matter.
        done: the batches that are counted, as [first, last] each, ascending and apart.
        tally: of those.
    """

    plan: dict[str, Any]
    done: list[list[int]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def has(self, chunk: int) -> bool:
        """Whether a batch is counted."""
        return any(first <= chunk <= last for first, last in self.done)

    def left(self, chunks: int) -> Iterable[int]:
        """The batches of so many that are not counted.

        >>> list(State({}, [[0, 1], [4, 4]]).left(6))
        [2, 3, 5]
        """
        return (chunk for chunk in range(chunks) if not self.has(chunk))

    def count(self, chunk: int, tally: Tally) -> None:
        """Take in a batch; one that is counted already changes nothing."""
        if self.has(chunk):
            return
        self.tally.merge(tally)
        joined: list[list[int]] = []
        for first, last in sorted([*self.done, [chunk, chunk]]):
            if joined and first == joined[-1][1] + 1:
                joined[-1][1] = last
            else:
                joined.append([first, last])
        self.done = joined

    def save(self, path: Path) -> None:
        """Replace the file, all at once."""
        tensors, told = _parts(self.tally)
        header = {"format": _FORMAT, "plan": self.plan, "done": self.done, "tally": told}
        data = save(tensors, {"deformviz": json.dumps(header)})
        _replace(path, data + hashlib.sha256(data).digest())

    @classmethod
    def load(cls, path: Path) -> State:
        """Read what `save` wrote.

        Raises:
            ValueError: another file, or a damaged one.
        """
        data = path.read_bytes()
        body, digest = data[:-32], data[-32:]
        if hashlib.sha256(body).digest() != digest:
            raise ValueError(f"{path.name} is no state of a survey, or is damaged: delete it, or "
                             "give another --state.")  # fmt: skip
        header, tensors = _opened(body)
        if header.get("format") != _FORMAT:
            raise ValueError(f"{path.name} is the state of another version of deformviz: delete "
                             "it, or give another --state.")  # fmt: skip
        return cls(header["plan"], header["done"], _tally(tensors, header["tally"]))

    def check(self, plan: dict[str, Any], path: Path) -> None:
        """Refuse to go on with something else than what was begun.

        Raises:
            ValueError: it says what differs.
        """
        differ = [name for name in {**plan, **self.plan} if plan.get(name) != self.plan.get(name)]
        if differ:
            raise ValueError(
                f"{path.name} is the state of another survey: {', '.join(sorted(differ))} "
                f"{'differs' if len(differ) == 1 else 'differ'}. Give what it was begun with, or "
                "another --state."
            )


def packed(tally: Tally) -> bytes:
    """A tally as bytes, to be sent to another machine.

    >>> unpacked(packed(Tally(images=3))).images
    3
    """
    tensors, told = _parts(tally)
    return zlib.compress(save(tensors, {"deformviz": json.dumps(told)}), 1)


def unpacked(data: bytes) -> Tally:
    """What `packed` packed."""
    told, tensors = _opened(zlib.decompress(data))
    return _tally(tensors, told)


def _opened(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    return json.loads(metadata["deformviz"]), load(data)


def _parts(tally: Tally) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors by name, and all else as plain JSON types."""
    tensors: dict[str, Tensor] = {}
    layers = []
    for number, (name, layer) in enumerate(tally.layers.items()):
        tensors |= {f"{number}.{key}": counts for key, counts in layer.counts.items()}
        tensors |= {f"{number}.{key}": getattr(layer, key) for key in _EXTREMES}
        sums = {key: one.texts() for key, one in layer.sums.items()}
        layers.append({"name": name, "header": asdict(layer.header), "sums": sums})
    told = {
        "layers": layers,
        "images": tally.images,
        "broken": list(tally.broken.items()),
        "broken_count": tally.broken_count,
    }
    return tensors, told


def _tally(tensors: dict[str, Tensor], told: dict[str, Any]) -> Tally:
    layers = {}
    for number, row in enumerate(told["layers"]):
        header = Header(**{k: _pair(value) for k, value in row["header"].items()})
        groups, taps = tensors[f"{number}.there"].shape
        layer = LayerTally.empty(header, groups, taps)
        layer.counts = {key: tensors[f"{number}.{key}"] for key in layer.counts}
        layer.sums = {key: ExactSums.of_texts(texts) for key, texts in row["sums"].items()}
        for key in _EXTREMES:
            setattr(layer, key, tensors[f"{number}.{key}"])
        layers[row["name"]] = layer
    return Tally(layers, told["images"], dict(told["broken"]), told["broken_count"])


def _pair(value: Any) -> Any:  # noqa: ANN401
    return tuple(value) if isinstance(value, list) else value


def _replace(path: Path, data: bytes) -> None:
    """Write a file beside its place, and move it there once it is on the disk.

    What a kill leaves of it has the same name as the next one, which takes its place.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
