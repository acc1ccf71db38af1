"""How fast the operators are and what memory they take, against what one would use instead.

    python benchmarks/operators.py [--quick] [--json FILE] [--device cuda]

Four tables: deformable convolution in each backend against torchvision's operator, the copied
pure-PyTorch code and a plain convolution as the floor; the geometric means; DRConv against m full
convolutions; the five ways to shift. A ratio above 1 says how many times as fast as the reference,
as the median of some rounds in which all took turns, with the least and the most in brackets. It
takes minutes on a machine that does nothing else; on another one the brackets tell.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, get_args

import torch
import torchvision

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from measuring import WAYS, Memory, geometric_mean, in_turns, ratio  # noqa: E402
from operator_rows import (  # noqa: E402  (they need the path)
    AUTO,
    QUICK,
    SHAPES,
    Shape,
    check,
    columns,
    full_convolutions,
    one_call,
    regions,
)

from deformviz.operators import dr_conv2d, spatial_shift  # noqa: E402
from deformviz.operators.spatial_shift import DIRECTIONS, Strategy  # noqa: E402

ROUNDS, SECONDS = 5, 12.0
"""So many rounds for a row, fewer (but two) where they would take longer than so many seconds."""

Cell = dict[str, Any]


def deformable(shapes: Sequence[Shape], device: str, rounds: int) -> list[Cell]:
    """A cell for each shape, way and column: milliseconds, ratio, and peak memory in MiB."""
    memory = Memory() if device == "cpu" else None
    cells = []
    for shape in shapes:
        check(shape, device)
        for way, wrap in WAYS.items():
            functions = {name: wrap(function) for name, function in columns().items()}
            peaks = {
                name: memory.peak(one_call, shape, name, way) if memory else _on_gpu(shape, f)
                for name, f in functions.items()
            }
            times = in_turns(functions, shape.tensors(device), rounds, SECONDS)
            row = [
                {"shape": str(shape), "way": way, "column": name, "peak_mib": peaks[name]}
                | _timed(times, name, "torchvision")
                for name in functions
            ]
            cells += row
            _print_row(f"{shape}, {way}", row)
    return cells


def _on_gpu(shape: Shape, function: Any) -> float:  # noqa: ANN401
    tensors = shape.tensors("cuda")
    function(*tensors)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function(*tensors)
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _timed(times: dict[str, list[float]], name: str, reference: str) -> Cell:
    return {
        "milliseconds": median(times[name]),
        "rounds": len(times[name]),
        "ratio": asdict(ratio(times[reference], times[name])),
    }


def _print_row(title: str, row: list[Cell]) -> None:
    print(f"\n{title} ({row[0]['rounds']} rounds)")
    for cell in row:
        print(f"  {cell['column']:15} {_time(cell)} {cell['peak_mib']:9.0f} MiB", flush=True)


def _time(cell: Cell) -> str:
    times = cell["ratio"]
    spread = f"({times['low']:.2f} to {times['high']:.2f})"
    return f"{cell['milliseconds']:9.1f} ms  × {times['middle']:6.2f} {spread:18}"


def means(cells: list[Cell]) -> list[Cell]:
    """Of each column and way over all shapes: the geometric mean, the least ratio, the memory."""
    found = []
    for way in WAYS:
        reference = {
            c["shape"]: c for c in cells if (c["way"], c["column"]) == (way, "torchvision")
        }
        for name in columns():
            own = [c for c in cells if (c["way"], c["column"]) == (way, name)]
            ratios = [c["ratio"]["middle"] for c in own]
            memory = [c["peak_mib"] / reference[c["shape"]]["peak_mib"] for c in own]
            found.append(
                {"way": way, "column": name, "mean": geometric_mean(ratios)}
                | {"least": min(ratios), "most_memory": max(memory)}
            )
    print(f"\n{'against torchvision':36} {'mean':>7} {'least':>7} {'most memory':>12}")
    for cell in found:
        print(
            f"{cell['way']:20} {cell['column']:15} {cell['mean']:7.2f} {cell['least']:7.2f} "
            f"{cell['most_memory']:12.2f}"
        )
    return found


def dynamic(device: str, rounds: int) -> list[Cell]:
    """DRConv against m full convolutions."""
    cells = []
    print("\nDRConv against m full convolutions, gradient of the guide included")
    for channels, size, m in regions():
        random = torch.Generator().manual_seed(0)
        shapes = [(1, channels, size, size), (1, m, channels, channels, 3, 3), (1, m, size, size)]
        tensors = tuple(torch.randn(s, generator=random).to(device) for s in shapes)
        for way, wrap in WAYS.items():
            functions = {
                "m convolutions": wrap(full_convolutions),
                "dr_conv2d": wrap(lambda x, w, guide: dr_conv2d(x, w, guide, padding=1)),
            }
            times = in_turns(functions, tensors, rounds, SECONDS)
            cell = {"channels": channels, "size": size, "regions": m, "way": way}
            cell |= _timed(times, "dr_conv2d", "m convolutions")
            cells.append(cell)
            print(f"  {channels:4} × {size:3}², m = {m:2}, {way:19} {_time(cell)}", flush=True)
    return cells


def shifts(device: str, rounds: int) -> list[Cell]:
    """The five ways to shift by a pixel up, down, left and right, and which is the fastest."""
    cells = []
    names = get_args(Strategy)
    print("\nSpatial shift, forward, milliseconds; * is the fastest")
    print(" " * 14 + "".join(f"{name:>15}" for name in names))
    for channels, size in [(8, 64), (64, 56), (64, 128), (256, 28), (512, 14)]:
        x = torch.rand(1, channels, size, size, device=device)
        functions = {
            name: WAYS["forward"](lambda x, n=name: spatial_shift(x, _DIRECTIONS, n))
            for name in names
        }
        times = in_turns(functions, (x,), rounds, SECONDS)
        milliseconds = {name: median(times[name]) for name in names}
        fastest = min(milliseconds, key=lambda name: milliseconds[name])
        cells.append({"channels": channels, "size": size, "milliseconds": milliseconds})
        line = "".join(f"{t:14.3f}{'*' if n == fastest else ' '}" for n, t in milliseconds.items())
        print(f"  {channels:4} × {size:3}² {line}", flush=True)
    return cells


_DIRECTIONS = DIRECTIONS["up, down, left, right"]


def machine(device: str) -> Cell:
    """What the numbers are worth."""
    on_gpu = device != "cpu"
    name = torch.cuda.get_device_name(device) if on_gpu else platform.processor() or "CPU"
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "system": platform.platform(),
    }


def main() -> None:
    """Print the tables, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three shapes, two rounds")
    parser.add_argument("--json", type=Path, help="write the numbers to this file as well")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    rounds = 2 if options.quick else ROUNDS
    told = machine(options.device)
    print(", ".join(f"{key} {value}" for key, value in told.items()))
    print(f'backend="auto" is {AUTO[options.device]}', flush=True)
    cells = deformable(QUICK if options.quick else SHAPES, options.device, rounds)
    report = {
        "machine": told,
        "deformable": cells,
        "means": means(cells),
        "dr_conv": dynamic(options.device, rounds),
        "shifts": shifts(options.device, rounds),
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
