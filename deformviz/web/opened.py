"""What visitors have open on the Checkpoint tab: files, and what is known of their layers.

A visitor's session holds a name alone. What it stands for is kept here, where all of it together is
bounded, however many sessions there are and whether they say goodbye.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from torch import nn

from ..geometry import once
from ..inspection import Inspection, LayerInspection, LayerRun, NetworkRun, Series
from ..sampling import Sampling
from .bounded import Bounded
from .own_copy import OwnCopy

MOST_BYTES = 2**31
MOST_KEPT = 200

LET_GO = "What was open has been let go, as others opened theirs: open the files again."


@dataclass(frozen=True, eq=False)
class OpenFile:
    """One file.

    Attributes:
        copy: of the upload, which goes with this.
        name: its own, without its folder.
        inspection: its layers by the weights alone; None where the file names no weights.
        run: the network on a photo, where the file can be run.
        network: the live network that runs, where it is not the file itself.
    """

    copy: OwnCopy
    name: str
    inspection: Inspection | None
    run: NetworkRun | None = None
    network: nn.Module | None = None

    @property
    def rows(self) -> tuple[LayerInspection, ...] | tuple[LayerRun, ...]:
        """The layers as the table lists them: those that ran, or else those in the file."""
        return self.found if self.run is None else self.run.layers

    @property
    def names(self) -> list[str]:
        """Of the rows; a second call of a layer is numbered."""
        if self.run is not None:
            return [row.sampling.name for row in self.run.layers]
        return [row.layer.name for row in self.found]

    @property
    def found(self) -> tuple[LayerInspection, ...]:
        """The layers by the weights alone."""
        return () if self.inspection is None else self.inspection.layers

    @property
    def samplings(self) -> list[Sampling | None]:
        """The rows' records; None where there is nothing to draw."""
        if self.run is not None:
            return [row.sampling for row in self.run.layers]
        return [row.sampling for row in self.found]


@dataclass(frozen=True, eq=False)
class Opened:
    """What one visitor has open, and what of it is looked at.

    Attributes:
        files: in natural order.
        file, layer: by number.
        series: what changes from file to file, where there are several.
        series_note: why there is none, or empty.
        problems: a sentence for each file that could not be opened with them.
    """

    files: tuple[OpenFile, ...]
    file: int = 0
    layer: int = 0
    series: Series | None = None
    series_note: str = ""
    problems: tuple[str, ...] = ()

    @property
    def shown(self) -> OpenFile:
        """The file that is looked at."""
        return self.files[self.file]

    def at_file(self, index: int) -> Opened:
        """Another file, at the layer of the same name where it has one.

        Raises:
            ValueError: there is no such file.
        """
        if not 0 <= index < len(self.files):
            raise ValueError(f"there is no file {index}")
        return replace(self, file=index, layer=self.layer_in(index))

    def layer_in(self, index: int) -> int:
        """The number that the layer has in another file: by name, else by place."""
        names, name = self.files[index].names, self.shown.names[self.layer]
        return names.index(name) if name in names else min(self.layer, len(names) - 1)

    def at_layer(self, index: int) -> Opened:
        """Another layer.

        Raises:
            ValueError: there is no such layer.
        """
        if not 0 <= index < len(self.shown.rows):
            raise ValueError(f"there is no layer {index}")
        return replace(self, layer=index)

    def with_file(self, file: OpenFile) -> Opened:
        """The same with the file that is looked at read in another way."""
        files = list(self.files)
        files[self.file] = file
        return replace(self, files=tuple(files))

    @property
    def memory(self) -> int:
        """Bytes of all records, and of the files' copies on the disk."""
        tensors = {
            once(tensor).data_ptr(): once(tensor).nbytes
            for file in self.files
            for sampling in file.samplings
            if sampling is not None
            for tensor in sampling.known().values()
        }
        return sum(tensors.values()) + sum(file.copy.size for file in self.files)


class Openings:
    """What is open, by a name that cannot be guessed: as much as `most_bytes` hold.

    Example:
        >>> openings = Openings()
        >>> openings.get(openings.put(Opened(files=()))).files
        ()
    """

    def __init__(self, most_bytes: int = MOST_BYTES, most: int = MOST_KEPT) -> None:
        self._held: Bounded[str, Opened] = Bounded(most_bytes, lambda opened: opened.memory, most)

    def put(self, opened: Opened, name: str | None = None) -> str:
        """Keep it under its name, or under a new one; the oldest make room, never the latest."""
        name = name or secrets.token_urlsafe(16)
        self._held.put(name, opened)
        return name

    def get(self, name: str | None) -> Opened:
        """What has this name.

        Raises:
            ValueError: nothing, or not any more.
        """
        if name is None:
            raise ValueError("choose a checkpoint first")
        opened = self._held.get(name)
        if opened is None:
            raise ValueError(LET_GO)
        return opened

    def drop(self, name: str | None) -> None:
        """Let it go."""
        self._held.drop(name or "")

    def bound(self, most_bytes: int) -> None:
        """Keep at most so many bytes from now on."""
        self._held.bound(most_bytes)

    def sweep(self) -> None:
        """Let go what nobody has looked at in time."""
        self._held.sweep()


OPENINGS = Openings()
