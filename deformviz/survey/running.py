"""`survey`: a network's deformable layers on a folder of images, in constant memory."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..analysis import Thresholds
from ..checkpoints.pictures import Normalisation
from ..geometry import Pair
from .loading import loaded
from .report import Survey
from .state import State
from .station import Recipe, Station, station
from .tally import Tally

Counted = Iterable[tuple[int, Tally]]
"""Batches, by number, and what each adds."""


def survey(
    path: str | Path,
    images: str | Path,
    *,
    model: str | None = None,
    strict: bool = True,
    trust: bool = False,
    size: Pair | None = None,
    normalisation: Normalisation = "unit",
    batch: int = 8,
    device: str = "cpu",
    thresholds: Thresholds = Thresholds(),  # noqa: B008  (frozen)
    state: str | Path | None = None,
    save_every: float = 30.0,
    ray: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Survey:
    """Run a network on every image of a folder, and sum up what its deformable layers did.

    Nothing is sampled: every position of every layer on every image counts. What is kept are
    counts, exact sums and extremes, whose size does not grow with the number of images. The same
    batches give the same numbers to the last bit, whether in one go, after an interruption or on
    several machines, as far as the network itself does.

    Args:
        path, model, strict, trust, normalisation: as for `run_checkpoint`. An .onnx file runs one
            image at a time, in a process with limits.
        images: a folder, with the folders in it. A file that cannot be read as an image is counted
            and named, no more.
        size: (H, W) that every image is brought to, whatever its shape. By default what the file
            says, and where that leaves it open 512 x 512.
        batch: how many images run at once.
        device: where a model of your own runs, such as "cuda".
        thresholds: the limits of the findings.
        state: a file that the counts are kept in, or a folder where it gets a name of its own.
            Where it is there already, what it counts is not run again.
        save_every: seconds between two writings of it.
        ray: so many workers of a Ray cluster share the work, see `ray_runner`; None for this
            process.
        advance: called with how many images were just done and how many there are.

    Raises:
        ValueError: no readable image; a state of another survey; or as of `run_checkpoint`.
        ImportError: Ray is asked for and not installed.
        Exception: whatever `run_checkpoint` raises.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from torch import nn
        >>> from torchvision.ops import DeformConv2d
        >>> from deformviz import examples
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.offset, self.conv = nn.Conv2d(3, 18, 3, 8), DeformConv2d(3, 4, 3, 8)
        ...     def forward(self, x):
        ...         return self.conv(x, self.offset(x))
        >>> program = torch.export.export(Net().eval(), (torch.rand(1, 3, 64, 64),))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.export.save(program, f"{folder}/net.pt2")
        ...     found = survey(f"{folder}/net.pt2", examples.path("cat").parent, trust=True)
        >>> found.to_dict()["layers"][0]["name"], found.tally.images == len(found.images.names)
        ('conv', True)
    """
    recipe = Recipe(
        Path(path), Path(images), model, strict, trust, size, normalisation, batch, device,
        thresholds,
    )  # fmt: skip
    with station(recipe) as here:
        kept = None if state is None else _place(here, Path(state))
        done = _begun(here, kept)
        left = done.left(here.loader.chunks)
        batches = _alone(here, left) if ray is None else _shared(here, left, ray)
        _count(here, done, batches, kept, save_every, advance)
    return Survey(here.first, here.images, here.plan, done.tally, kept)


def _place(here: Station, path: Path) -> Path:
    """A file; in a folder, one whose name tells this survey from all others."""
    if not path.is_dir():
        return path
    plan = hashlib.sha256(json.dumps(here.plan, sort_keys=True).encode()).hexdigest()
    return path / f"{here.recipe.checkpoint.stem}.{plan[:12]}.survey"


def _begun(here: Station, path: Path | None) -> State:
    """What an earlier run has counted, or nothing."""
    if path is None or not path.exists():
        return State(here.plan)
    state = State.load(path)
    state.check(here.plan, path)
    return state


def _alone(here: Station, chunks: Iterable[int]) -> Iterator[tuple[int, Tally]]:
    for batch in loaded(here.loader, chunks):
        yield batch.chunk, here.tally(batch)


def _shared(here: Station, chunks: Iterable[int], workers: int) -> Counted:
    from .ray_runner import tallies

    return tallies(here, list(chunks), workers)


def _count(
    here: Station,
    state: State,
    batches: Counted,
    path: Path | None,
    save_every: float,
    advance: Callable[[int, int], None] | None,
) -> None:
    """Take batches in as they come, and keep the state; also where this is interrupted."""
    total, saved = len(here.images.names), time.monotonic()
    told = advance or (lambda images, total: None)
    if path is not None:
        state.save(path)  # where it cannot be written, that is known now and not in an hour
    whole = True
    try:
        told(state.tally.images + state.tally.broken_count, total)
        for chunk, tally in batches:
            whole = False
            state.count(chunk, tally)
            whole = True
            if path is not None and time.monotonic() - saved >= save_every:
                state.save(path)
                saved = time.monotonic()
            told(tally.images + tally.broken_count, total)
    finally:
        if path is not None and whole:  # what Ctrl-C left half counted is not kept
            state.save(path)
