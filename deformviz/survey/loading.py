"""The next batches are decoded while the network runs on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from .images import Loaded, Loader

_AHEAD = 2
"""So many batches wait at most: more would take memory and gain nothing."""


def loaded(loader: Loader, chunks: Iterable[int]) -> Iterator[Loaded]:
    """Batches in their order, each decoded by a thread before it is asked for.

    Args:
        loader: what reads a batch.
        chunks: which.

    Example:
        >>> from deformviz.survey.images import list_images
        >>> from deformviz import examples
        >>> images = list_images(examples.path("cat").parent)
        >>> loader = Loader(images, 2, (32, 32), 3, "unit")
        >>> [tuple(batch.x.shape) for batch in loaded(loader, [0])]
        [(2, 3, 32, 32)]
    """
    wanted = iter(chunks)
    pool = ThreadPoolExecutor(1, thread_name_prefix="deformviz-decode")
    waiting: deque[Future[Loaded]] = deque()
    try:
        waiting.extend(pool.submit(loader.load, chunk) for chunk in islice(wanted, _AHEAD))
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(pool.submit(loader.load, chunk) for chunk in islice(wanted, 1))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
