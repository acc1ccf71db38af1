"""How fast the operators are, against what one would use instead, as ratios from one run.

    python benchmarks/operators.py [--seconds 0.5]

Each row is measured by `torch.utils.benchmark`, forward and forward + backward; a ratio above 1
says how many times as fast as the other ours is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor
from torch.utils.benchmark import Timer

from deformviz.operators import deform_conv2d, dr_conv2d

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Row:
    """Ours and another way to the same result, with the tensors that both take."""

    name: str
    ours: Function
    other: Function
    tensors: tuple[Tensor, ...]


def deformable() -> Iterator[Row]:
    """Modulated deformable convolution against torchvision's operator."""
    shapes = [(3, 256, 3, 1), (3, 512, 3, 1), (3, 512, 7, 1), (64, 56, 3, 1), (64, 128, 3, 1)]
    for channels, size, k, groups in [*shapes, (128, 64, 3, 8), (256, 28, 3, 1)]:
        tensors = (
            torch.rand(1, channels, size, size),
            torch.randn(1, 2 * groups * k * k, size, size),
            torch.rand(channels, channels, k, k),
            torch.rand(1, groups * k * k, size, size),
        )
        yield Row(
            f"deform_conv2d, {channels} channels, {size}², kernel {k}, {groups} groups",
            lambda x, offset, w, m, p=k // 2: deform_conv2d(x, offset, w, None, 1, p, 1, m),
            lambda x, offset, w, m, p=k // 2: torchvision.ops.deform_conv2d(
                x, offset, w, None, 1, p, 1, m
            ),
            tensors,
        )


def masked_convolutions(x: Tensor, weight: Tensor, guide: Tensor) -> Tensor:
    """DRConv as m full convolutions, of which each position keeps one."""
    full = torch.stack([F.conv2d(x, w, padding=1) for w in weight[0]], dim=1)  # [1, m, O, h, w]
    choice = F.one_hot(guide.argmax(dim=1), guide.shape[1]).movedim(-1, 1)  # [1, m, h, w]
    soft = guide.softmax(dim=1)
    return (full * (choice + soft - soft.detach())[:, :, None]).sum(dim=1)


def dynamic() -> Iterator[Row]:
    """DRConv against m full convolutions."""
    for channels, size, regions in [(3, 512, 4), (64, 64, 4), (64, 64, 8), (128, 32, 16)]:
        yield Row(
            f"dr_conv2d, {channels} channels, {size}², {regions} regions",
            lambda x, w, guide: dr_conv2d(x, w, guide, padding=1),
            masked_convolutions,
            (
                torch.rand(1, channels, size, size),
                torch.rand(1, regions, channels, channels, 3, 3),
                torch.rand(1, regions, size, size),
            ),
        )


def milliseconds(function: Function, tensors: tuple[Tensor, ...], seconds: float) -> float:
    """The median time of a call."""
    timer = Timer(
        "function(*tensors)",
        globals={"function": function, "tensors": tensors},
        num_threads=torch.get_num_threads(),
    )
    return 1000 * timer.blocked_autorange(min_run_time=seconds).median


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
        output.sum().backward()
        return output

    return run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement")
    seconds = parser.parse_args().seconds
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, milliseconds")
    print(f"{'':58} {'forward':^26} {'forward + backward':^26}")
    print(f"{'':58} {'ours':>8} {'other':>8} {'ratio':>8} {'ours':>8} {'other':>8} {'ratio':>8}")
    for row in (*deformable(), *dynamic()):
        line = f"{row.name:58}"
        for way in (forward, with_backward):
            ours = milliseconds(way(row.ours), row.tensors, seconds)
            other = milliseconds(way(row.other), row.tensors, seconds)
            line += f" {ours:8.1f} {other:8.1f} {other / ours:8.2f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
