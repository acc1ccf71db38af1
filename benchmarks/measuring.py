"""Times as ratios from the same minutes, and peak memory from a process of its own."""

from __future__ import annotations

import ctypes
import math
import multiprocessing
import os
import resource
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from timeit import Timer
from typing import Any

import torch
from torch import Tensor
from torch.utils.benchmark.utils.timer import timer as clock

Function = Callable[..., Tensor]

LEAST = 0.05
"""Seconds of one measurement: a faster call is repeated."""


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as the reference: the median of the rounds, the least, the most."""

    middle: float
    low: float
    high: float


def forward(function: Function) -> Function:
    """The call alone."""

    def run(*tensors: Tensor) -> Tensor:
        with torch.no_grad():
            return function(*tensors)

    return run


def with_backward(function: Function) -> Function:
    """The call and the gradients of all that it takes."""

    def run(*tensors: Tensor) -> Tensor:
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        output = function(*leaves)
        output.backward(torch.ones_like(output))
        return output

    return run


WAYS: dict[str, Callable[[Function], Function]] = {
    "forward": forward,
    "forward + backward": with_backward,
}


def in_turns(
    functions: dict[str, Function], tensors: tuple[Tensor, ...], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Milliseconds of each function in each round.

    All take turns within a round, so that a machine that is busy disturbs them alike. There are
    `rounds` rounds, fewer where they would take longer than `seconds`, but two at least. The clock
    is torch's, which waits for a GPU.
    """
    timers, repeats = {}, {}
    for name, function in functions.items():
        names = {"function": function, "tensors": tensors}
        timers[name] = Timer("function(*tensors)", timer=clock, globals=names)
        first = timers[name].timeit(1)  # warm: memory, and what is compiled at the first call
        once = first if first > 20 * LEAST else timers[name].timeit(1)
        repeats[name] = max(1, math.ceil(LEAST / once))
    found: dict[str, list[float]] = {name: [] for name in functions}
    start = perf_counter()
    for index in range(rounds):
        if index >= 2 and perf_counter() - start > seconds:
            break
        for name, timer in timers.items():
            found[name].append(1000 * timer.timeit(repeats[name]) / repeats[name])
    return found


def ratio(reference: list[float], times: list[float]) -> Ratio:
    """From the times of two functions in the same rounds."""
    each = [a / b for a, b in zip(reference, times, strict=True)]
    return Ratio(median(each), min(each), max(each))


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios: twice and half make one."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


class Memory:
    """Peak memory of single calls, each in a process that is forked for it.

    Beyond Linux a peak cannot be forgotten, and what the first call took hides the second's.
    """

    def __init__(self) -> None:
        # glibc is told to hand freed memory back at once; else the peak depends on its history.
        os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**16)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["torch", "torchvision", "torch.utils.benchmark"])

    def peak(self, call: Callable[..., None], *arguments: object) -> float:
        """MiB by which `call`, a function of a module, raises the peak of its process."""
        ours, theirs = self._context.Pipe(duplex=False)
        child: Any = self._context.Process(target=_measure, args=(theirs, call, arguments))
        child.start()
        theirs.close()
        try:
            peak: float = ours.recv()
        except EOFError:
            peak = math.nan  # it was killed for its memory
        child.join()
        return peak


def _measure(pipe: Any, call: Callable[..., Any], arguments: tuple[object, ...]) -> None:  # noqa: ANN401
    run = call(*arguments)
    run()  # threads, libraries and their workspaces, and what is compiled at the first call
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _peak()
    run()
    pipe.send(_peak() - before)
    pipe.close()


def _peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
