"""A moment as bytes, for a pipe between processes: JSON and raw tensors, nothing that is executed.

What a broken child sends is refused, but it is not taken for an enemy: it runs code of our own.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, BinaryIO

from torch import Tensor

from ..geometry import once
from ..sampling import Sampling
from .loop import Moment, Score
from .trained import Trained

MOMENT, REFUSED, END = b"M", b"R", b"E"
"""Kinds of frames: a moment; why there is none, in words; there are no more."""

_PLAIN = ("step", "steps", "seconds", "remaining")
_OF_TRAINED = ("task", "knobs", "seed", "step", "scores", "origin")


def write_frame(pipe: BinaryIO, kind: bytes, body: bytes = b"") -> None:
    """A letter, eight bytes of its length, and the body."""
    pipe.write(kind + len(body).to_bytes(8, "little") + body)
    pipe.flush()


def read_frame(pipe: BinaryIO, most: int) -> tuple[bytes, bytes] | None:
    """A frame's kind and body, or None where the pipe ends before it is whole.

    Raises:
        ValueError: it says that it has more than `most` bytes.
    """
    head = pipe.read(9)
    if len(head) < 9:
        return None
    length = int.from_bytes(head[1:], "little")
    if length > most:
        raise ValueError(f"expected at most {most:,} bytes at once, got {length:,}")
    body = pipe.read(length)
    return (head[:1], body) if len(body) == length else None


def to_bytes(moment: Moment) -> bytes:
    """A moment as one .safetensors file; `from_bytes` reads it back, number for number.

    What is one value expanded is sent once.

    Example:
        >>> nothing = Moment(0, 9, 0.5, 60.0, {"plain": Score(2.5, 0.25)}, ())
        >>> from_bytes(to_bytes(nothing)).scores["plain"].loss
        2.5
    """
    from safetensors.torch import save

    tensors = {
        f"{i}/{name}": tensor
        for i, sampling in enumerate(moment.samplings)
        for name, tensor in sampling.known().items()
    }
    told: dict[str, Any] = {name: getattr(moment, name) for name in _PLAIN}
    told["scores"] = {name: asdict(score) for name, score in moment.scores.items()}
    told["samplings"] = [sampling.header() for sampling in moment.samplings]
    if moment.answer is not None:
        tensors["answer"] = moment.answer
    if moment.trained is not None:
        told["trained"] = {name: getattr(moment.trained, name) for name in _OF_TRAINED}
        for network, state in moment.trained.weights.items():
            tensors |= {f"trained/{network}/{key}": tensor for key, tensor in state.items()}
    told["shapes"] = {key: list(tensor.shape) for key, tensor in tensors.items()}
    # Copies, as the format refuses tensors that share memory.
    sent = {key: once(t.detach()).to("cpu", copy=True).contiguous() for key, t in tensors.items()}
    return save(sent, metadata={"moment": json.dumps(told)})


def from_bytes(data: bytes) -> Moment:
    """What `to_bytes` wrote.

    Raises:
        ValueError: it is nothing of the kind.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        length = int.from_bytes(data[:8], "little")
        told = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["moment"])
        sent = load(data)
        tensors = {key: sent[key].expand(shape) for key, shape in told["shapes"].items()}
        return _moment(told, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"expected a moment of a training, got {len(data):,} bytes") from error


def _moment(told: dict[str, Any], tensors: dict[str, Tensor]) -> Moment:
    samplings = tuple(
        Sampling.of(header, _below(tensors, f"{i}/")) for i, header in enumerate(told["samplings"])
    )
    trained = None
    if "trained" in told:
        weights = _below(tensors, "trained/")
        networks = dict.fromkeys(key.partition("/")[0] for key in weights)
        of = {network: _below(weights, f"{network}/") for network in networks}
        trained = Trained(**told["trained"], weights=of)
    scores = {name: Score(**score) for name, score in told["scores"].items()}
    plain = {name: told[name] for name in _PLAIN}
    answer = tensors.get("answer")
    return Moment(**plain, scores=scores, samplings=samplings, trained=trained, answer=answer)


def _below(tensors: dict[str, Tensor], start: str) -> dict[str, Tensor]:
    return {key.removeprefix(start): t for key, t in tensors.items() if key.startswith(start)}


def memory(moment: Moment) -> int:
    """Bytes of a moment's tensors."""
    weights = moment.trained.weights.values() if moment.trained else ()
    held: list[Tensor] = [t for sampling in moment.samplings for t in sampling.known().values()]
    held += [t for state in weights for t in state.values()]
    return sum(once(tensor).nbytes for tensor in held)
