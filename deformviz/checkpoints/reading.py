"""Checkpoint file in, names and shapes out; then the tensors that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .child import listing_from_child
from .copying import Place, copied, place_of
from .errors import CheckpointError
from .opened import Identity, identity, opened
from .parsers.limits import Limits
from .parsers.refusal import quoted

if TYPE_CHECKING:
    from torch import Tensor, dtype

_LONGEST_KEY = 1_000
_CHANGED = "This file has changed since it was opened. Open it again."


@dataclass(frozen=True)
class Wrapper:
    """Where in the file the state dict was.

    Attributes:
        taken: its key, such as "params_ema" or "ema.module"; None where the file is nothing else.
        others: the keys of what else holds tensors, to be asked for with ``take``.
    """

    taken: str | None
    others: tuple[str, ...]


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds, without its numbers.

    Names are whatever the file says, control characters and HTML included: whoever shows one
    escapes it.

    Attributes:
        name: the file's own name, without its folder.
        kind: "torch", "torch, legacy format", "safetensors" or "onnx".
        shapes: of every tensor, in the order of the file.
        dtypes: torch's names of the types, such as "float32".
        wrapper: which state dict of several was taken.
        notes: what else is to be known, such as "EMA weights taken".
    """

    name: str
    kind: str
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    wrapper: Wrapper
    notes: tuple[str, ...]
    _path: Path = field(repr=False)
    _identity: Identity = field(repr=False)
    _places: dict[str, Place] = field(repr=False)
    _limits: Limits = field(repr=False)

    def tensors(self, names: Iterable[str], *, dtype: dtype | None = None) -> dict[str, Tensor]:
        """Read these tensors and no others.

        Args:
            names: out of ``shapes``.
            dtype: what tensors of real floating-point numbers are converted to, such as
                ``torch.float32``; None keeps the type of each.

        Returns:
            Contiguous tensors on the CPU, in the order asked for. Each owns its memory.

        Raises:
            CheckpointError: a name is unknown, the file has changed since it was opened, or the
                tensors together exceed ``Limits.read_bytes``.

        Example: see `open_checkpoint`.
        """
        places = {name: self._place(name) for name in names}
        cost = sum(place.cost for place in places.values())
        if cost > self._limits.read_bytes:
            raise CheckpointError(
                f"Expected to read at most {self._limits.read_bytes:,} bytes at once, but these "
                f"{len(places):,} tensors take {cost:,}. Ask for fewer."
            )
        with opened(self._path) as file:
            if identity(file) != self._identity:
                raise CheckpointError(_CHANGED)
            read = {name: copied(file, place) for name, place in places.items()}
            if identity(file) != self._identity:
                raise CheckpointError(_CHANGED)
        if dtype is None:
            return read
        return {n: t.to(dtype) if t.is_floating_point() else t for n, t in read.items()}

    def _place(self, name: str) -> Place:
        try:
            return self._places[name]
        except KeyError:
            raise CheckpointError(
                f"This checkpoint has no tensor called {quoted(name)}: see its shapes."
            ) from None


def open_checkpoint(
    path: str | Path, *, take: str | None = None, limits: Limits | None = None
) -> Checkpoint:
    """List the tensors of a checkpoint that may come from anyone.

    Nothing in the file is executed, imported or decompressed. A child process without the rights
    to do anything reads what is needed to list the tensors, which for a pickle means to walk it
    with a machine that knows no functions; see `deformviz.checkpoints.parsers`.

    Args:
        path: a file that torch.save wrote (of either format, a state dict bare or wrapped in
            dictionaries, or a whole model), a .safetensors or an .onnx file, told by content.
        take: the key of the state dict to take, out of ``Wrapper.others``. By default the average
            of weights (EMA) where there is one, then what has a usual name, then the largest.
        limits: what it may cost; the defaults suit a person's own machine.

    Returns:
        Names, shapes and types. The numbers stay in the file until `Checkpoint.tensors`.

    Raises:
        CheckpointError: the file is missing, of another kind, damaged, hostile or too large.

    Example:
        >>> import tempfile, torch
        >>> state = {"conv.weight": torch.zeros(4, 1, 3, 3), "conv.bias": torch.arange(4.0)}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "net.pth"
        ...     torch.save({"epoch": 3, "params": state, "params_ema": dict(state)}, path)
        ...     checkpoint = open_checkpoint(path)
        ...     bias = checkpoint.tensors(["conv.bias"])["conv.bias"]
        >>> bias
        tensor([0., 1., 2., 3.])
        >>> checkpoint.kind, checkpoint.shapes
        ('torch', {'conv.weight': (4, 1, 3, 3), 'conv.bias': (4,)})
        >>> checkpoint.wrapper
        Wrapper(taken='params_ema', others=('params',))
        >>> checkpoint.notes
        ('EMA weights taken',)
    """
    limits = limits or Limits()
    path = Path(path).absolute()
    if take is not None and len(take) > _LONGEST_KEY:
        raise CheckpointError("Expected a key of the file, but got a text of a thousand letters.")
    with opened(path) as file:
        before = identity(file)
        if before.size > limits.file_bytes:
            raise CheckpointError(
                f"Expected at most {limits.file_bytes // 1_000_000:,} MB, but this file is larger. "
                "Save the network's state_dict alone."
            )
        listing = listing_from_child(file, limits, take)
        if identity(file) != before:
            raise CheckpointError(_CHANGED)
    places = dict(place_of(row, before.size) for row in listing["tensors"])
    return Checkpoint(
        name=path.name,
        kind=listing["kind"],
        shapes={name: place.shape for name, place in places.items()},
        dtypes={name: place.dtype for name, place in places.items()},
        wrapper=Wrapper(listing["taken"], tuple(listing["others"])),
        notes=tuple(listing["notes"]),
        _path=path,
        _identity=before,
        _places=places,
        _limits=limits,
    )
