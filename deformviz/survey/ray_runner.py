"""The same survey on many machines, through Ray Data: `pip install deformviz[ray]`.

Each worker has the network and reads its own images, so checkpoint, images and the model's code lie
at the same paths on every machine, as on a shared disk. What travels are numbers of batches one
way, and their tallies, some kilobytes each, the other way. The machine that asked adds them up and
keeps the state, as it does alone: a batch is counted once, whichever worker ran it, even twice.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from .loading import loaded
from .state import packed, unpacked
from .station import Recipe, Station, station
from .tally import Tally

_BLOCK = 4
"""Batches that a worker is given at once: it decodes the next one while the network runs."""

_INSTALL = "running on a Ray cluster needs Ray: pip install 'deformviz[ray]'"


def tallies(here: Station, chunks: Sequence[int], workers: int) -> Iterator[tuple[int, Tally]]:
    """What each batch adds, in the order in which workers are done.

    `RAY_ADDRESS` in the environment names the cluster; without it one is started on this machine,
    open to nobody else, and ended.

    Args:
        here: of the machine that asks.
        chunks: the numbers of the batches.
        workers: how many at most; each has an equal share of this machine's cores, or one GPU.

    Raises:
        ImportError: Ray is not installed.
        ValueError: fewer than one worker, or one that sees other images or another checkpoint.
        Exception: whatever a worker raises.
    """
    for chunk, _, tally in rows(here, chunks, workers):
        yield chunk, tally


def rows(here: Station, chunks: Sequence[int], workers: int) -> Iterator[tuple[int, str, Tally]]:
    """The same, with the worker's own name in the middle."""
    if workers < 1:
        raise ValueError(f"expected 1 worker or more, got {workers}")
    if not chunks:
        return
    with _cluster() as ray:
        found = _dataset(ray, here, chunks, workers)
        try:
            for block in found.iter_batches(batch_size=None, batch_format="numpy"):
                columns = (block[name] for name in ("chunk", "worker", "tally"))
                for chunk, worker, data in zip(*columns, strict=True):
                    yield int(chunk), str(worker), unpacked(data)
        except ray.exceptions.RayTaskError as error:
            raise _own_error(error) from error


class Worker:
    """One machine's part, made by Ray and given batches to do."""

    def __init__(self, recipe: Recipe, plan: dict[str, Any], folder: str, threads: int) -> None:
        self._recipe, self._plan = recipe, plan
        self._opened: Station | None = None
        self._until_end = ExitStack()
        torch.set_num_threads(threads)
        if Path(folder).is_dir():
            os.chdir(folder)  # where the model's own code is imported from

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, Any]:
        """Numbers of batches to what each adds."""
        here = self._station()
        chunks = [int(chunk) for chunk in block["chunk"]]
        told = [packed(here.tally(batch)) for batch in loaded(here.loader, chunks)]
        data = np.empty(len(told), dtype=object)
        data[:] = told
        worker = f"{platform.node()} {os.getpid()}"
        return {"chunk": np.array(chunks), "worker": [worker] * len(chunks), "tally": data}

    def _station(self) -> Station:
        """Ready with the first batch: an error then names its cause."""
        if self._opened is None:
            opened = self._until_end.enter_context(station(self._recipe))
            differ = [key for key in self._plan if opened.plan[key] != self._plan[key]]
            if differ:
                raise ValueError(
                    f"The worker on {platform.node()} sees other {', '.join(differ)}: the same "
                    "files have to lie at the same paths on every machine."
                )
            self._opened = opened
        return self._opened


def _dataset(ray: ModuleType, here: Station, chunks: Sequence[int], workers: int) -> Any:  # noqa: ANN401
    recipe, gpu = here.recipe, here.recipe.device.startswith("cuda")
    threads = max(1, (os.cpu_count() or 1) // workers)
    blocks = -(-len(chunks) // _BLOCK)
    numbers = ray.data.from_items(
        [{"chunk": chunk} for chunk in chunks], override_num_blocks=max(blocks, 1)
    )
    return numbers.map_batches(
        Worker,
        batch_size=None,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=2
        ),
        num_cpus=threads,
        num_gpus=1 if gpu else None,
        fn_constructor_args=(recipe, here.plan, str(Path.cwd()), threads),
    )


@contextmanager
def _cluster() -> Iterator[ModuleType]:
    """Ray, joined or started for as long as the block, and quiet."""
    # Read when it is imported. Nothing is reported; a cluster of one machine, as on a desktop's
    # system, listens on 127.0.0.1 alone.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
    if not os.environ.get("RAY_ADDRESS"):
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(_INSTALL) from error
    begun = not ray.is_initialized()
    if begun:
        ray.init(**_address(), log_to_driver=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    before = (context.enable_progress_bars, context.print_on_execution_start)
    context.enable_progress_bars = context.print_on_execution_start = False
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        logger.setLevel(level)
        context.enable_progress_bars, context.print_on_execution_start = before
        if begun:
            ray.shutdown()


def _address() -> dict[str, Any]:
    """The cluster that the environment names, or one of this machine alone."""
    if os.environ.get("RAY_ADDRESS"):
        return {"address": os.environ["RAY_ADDRESS"]}
    # Workers import what this process can, however it was started.
    found = os.pathsep.join(str(Path(place).resolve()) for place in sys.path)
    return {
        "address": "local",
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
        "runtime_env": {"env_vars": {"PYTHONPATH": found}},
    }


def _own_error(error: Any) -> Exception:  # noqa: ANN401
    """What a worker raised, without Ray's frames around it."""
    cause: object = getattr(error, "cause", None)
    while isinstance(inner := getattr(cause, "cause", None), Exception):
        cause = inner
    return cause if isinstance(cause, Exception) else RuntimeError(str(error))
