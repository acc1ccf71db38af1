"""How much one checkpoint may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds of one reading; what exceeds them is refused with a message.

    Attributes:
        file_bytes: size of the file. Only what is needed is read of it.
        cpu_seconds: processor time of the child that lists the tensors. An honest checkpoint of
            10,000 tensors takes about a third of a second.
        seconds: time by the clock for the same, longer so that a busy machine refuses nothing.
        memory_bytes: memory of that child beyond the interpreter's own 10 MB.
        tensors: how many tensors a file may list.
        name_length: characters in the name of a tensor.
        read_bytes: what one call of `Checkpoint.tensors` may read of the file and return.

    The two limits of the child are the operating system's, where it has them: Linux has both,
    macOS that on processor time, Windows neither. The time by the clock holds everywhere.

    Example:
        >>> Limits(read_bytes=300_000_000).cpu_seconds
        2
    """

    file_bytes: int = 20_000_000_000
    cpu_seconds: int = 2
    seconds: float = 10.0
    memory_bytes: int = 256 << 20
    tensors: int = 50_000
    name_length: int = 1_000
    read_bytes: int = 2_000_000_000


@dataclass(frozen=True)
class RunLimits:
    """The bounds of one process that runs a stranger's network.

    Attributes:
        file_bytes: size of the file.
        seconds: by the clock for each image, the first with loading; the processor time of all of
            them is bounded with it.
        memory_bytes: of the child that runs it: weights, every value between layers, and what
            comes out. A detector with a ResNet-50 takes about 1 GB at 800 x 800.
        threads: that compute.
        images: that it runs, one after the other.
        answer_bytes: of the values of all deformable layers together, which stay in memory.

    The limit on memory is the operating system's: Linux has it, macOS and Windows do not.

    Example:
        >>> RunLimits(seconds=10, threads=2).cpu_seconds
        20
    """

    file_bytes: int = 1_000_000_000
    seconds: float = 60.0
    memory_bytes: int = 4 << 30
    threads: int = 2
    images: int = 1
    answer_bytes: int = 512 << 20

    @property
    def cpu_seconds(self) -> int:
        """Processor time of all threads and images."""
        return max(1, round(self.seconds * self.threads * self.images))
