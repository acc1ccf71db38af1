"""How fast the operators are and what memory they take, against what one would use instead.

    python benchmarks/operators.py [--quick] [--json FILE] [--device cuda]

Deformable convolution in each backend against torchvision's operator, the copied pure-PyTorch code
and a plain convolution as the floor, at sizes above a power of two too; the geometric means; DRConv
against m full convolutions; the five ways to shift. A ratio above 1 says how many times as fast as
the reference, as the median of some rounds in which all took turns, with the least and the most in
brackets. It takes minutes on a machine that does nothing else; on another one the brackets tell.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Any, get_args

import dr_conv_rows
import paths  # noqa: F401  (where deformviz lies)
import torch
import torchvision
from dr_conv_rows import QUICK_ROWS, ROWS, Regions
from measuring import WAYS, Memory, geometric_mean, in_turns, ratio
from operator_rows import (
    AUTO,
    BESIDE,
    QUICK,
    SHAPES,
    Shape,
    check,
    columns,
    one_call,
)
from rows import Report, Row, arguments, finish, once_row

from deformviz.operators import spatial_shift
from deformviz.operators.spatial_shift import DIRECTIONS, Strategy

ROUNDS, SECONDS = 5, 12.0
"""So many rounds for a row, fewer (but two) where they would take longer than so many seconds."""

DYNAMIC_WAYS = [
    ("forward", False, WAYS["forward"]),
    ("forward + backward, guide fixed", False, WAYS["forward + backward"]),
    ("forward + backward, guide learns", True, WAYS["forward + backward"]),
]

TARGETS = {"forward": 2.5, "forward + backward": 8.0}
"""Of the geometric means against torchvision's operator, eagerly, on a processor."""
COMPILED_TARGETS = {"forward": 3.5}
MOST_MEMORY = 1.25

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


def dynamic(rows: Sequence[Regions], device: str, rounds: int) -> list[Cell]:
    """DRConv against the faster way to write it as m full convolutions."""
    cells = []
    print("\nDRConv against m full convolutions, however written; target m / 2, and what the")
    print("multiplications allow; last, one convolution as the floor")
    for shape in rows:
        dr_conv_rows.check(shape, device)
        for way, guided, wrap in DYNAMIC_WAYS:
            hold = dr_conv_rows.learned if guided else dr_conv_rows.fixed
            peers = {name: wrap(hold(f)) for name, f in dr_conv_rows.peers(guided).items()}
            own = {
                "dr_conv2d": wrap(hold(dr_conv_rows.ours)),
                "one convolution": wrap(hold(dr_conv_rows.one_convolution)),
            }
            if way == "forward" and device == "cpu":
                own["products alone"] = dr_conv_rows.products_alone(shape)
            times = in_turns(peers | own, shape.tensors(device), rounds, SECONDS)
            cell = _dynamic_cell(shape, way, guided, times, list(peers))
            cells.append(cell)
            least = f"{cell['one_convolution_milliseconds']:8.1f} ms"
            goal = f"of {cell['target']:.0f}, {cell['most']:4.1f}"
            print(f"  {shape!s:31} {way:31} {_time(cell)} {goal} {least}", flush=True)
    return cells


def _dynamic_cell(
    shape: Regions, way: str, guided: bool, times: dict[str, list[float]], peers: list[str]
) -> Cell:
    peer = min(peers, key=lambda name: median(times[name]))
    cell = {"shape": str(shape), "way": way, "peer": peer, "guided": guided}
    cell |= {"target": shape.regions / 2, "most": dr_conv_rows.most(shape.regions, guided)}
    cell |= {"one_convolution_milliseconds": median(times["one convolution"])}
    if "products alone" in times:
        cell |= {"products_alone": ratio(times[peer], times["products alone"]).middle}
    return cell | _timed(times, "dr_conv2d", peer)


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


def rows(report: Report, quick: bool, device: str = "cpu") -> None:
    """Print the tables, and what of them is wanted: that nothing is slower than its reference."""
    rounds = 2 if quick else ROUNDS
    name = platform.processor() or "CPU" if device == "cpu" else torch.cuda.get_device_name(device)
    report.note(
        f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, torchvision "
        f'{torchvision.__version__}; backend="auto" is {AUTO[device]}'
    )
    cells = deformable(QUICK if quick else SHAPES, device, rounds)
    whole = means(cells)
    beside = deformable(BESIDE[:1] if quick else BESIDE, device, rounds)
    dr_conv = dynamic(QUICK_ROWS if quick else ROWS, device, rounds)
    report.details |= {"deformable": cells, "means": whole, "beside_a_power_of_two": beside}
    report.details |= {"dr_conv": dr_conv, "shifts": shifts(device, rounds)}
    print()
    for cell in whole:
        if cell["column"] in (AUTO[device], "compile=True"):
            for row in _mean_rows(cell, cells, device):
                report.add(row)
    for cell in dr_conv:
        if cell["shape"] in map(str, QUICK_ROWS):
            report.add(_dynamic_row(cell))


def _mean_rows(mean: Cell, cells: list[Cell], device: str) -> list[Row]:
    """The geometric mean over the shapes, the least of them, and the memory."""
    own = [c for c in cells if (c["way"], c["column"]) == (mean["way"], mean["column"])]
    ratios = [cell["ratio"]["middle"] for cell in own]
    compiled = mean["column"] == "compile=True"
    title = f"deform_conv2d, {mean['way']}{', compile=True' if compiled else ''}"
    if device == "cpu":
        target = (COMPILED_TARGETS if compiled else TARGETS).get(mean["way"])
    else:
        target = 1.5 if compiled else 1.0
    least, most = min(ratios), max(ratios)
    return [
        Row(f"{title}: mean", mean["mean"], least, most, "×", target, "more", _slowest(own, cells)),
        Row(f"{title}: least", least, least, least, "×", 1.0, "more"),
        once_row(f"{title}: most memory", mean["most_memory"], MOST_MEMORY),
    ]


def _slowest(own: list[Cell], cells: list[Cell]) -> str:
    """Which shapes hold the mean down, and what a convolution without offsets reaches there."""
    told = []
    for cell in sorted(own, key=lambda cell: cell["ratio"]["middle"])[:2]:
        where = (cell["shape"], cell["way"], "conv2d")
        (floor,) = (c for c in cells if (c["shape"], c["way"], c["column"]) == where)
        told.append(
            f"{cell['shape']} has {cell['ratio']['middle']:.1f}, "
            f"a plain convolution {floor['ratio']['middle']:.1f}"
        )
    return "; ".join(told)


def _dynamic_row(cell: Cell) -> Row:
    times = cell["ratio"]
    if cell["guided"]:
        why = (
            f"the guide's gradient asks all m filters everywhere, and so {cell['most']:.1f} is most"
        )
    elif "products_alone" in cell:
        why = f"its products alone, of sorted patches, would be {cell['products_alone']:.1f}"
    else:
        why = "to sort, and to add gradients back to where they were read, takes the rest"
    title = f"dr_conv2d, {cell['shape']}, {cell['way']}"
    spread = times["middle"], times["low"], times["high"]
    return Row(title, *spread, "×", cell["target"], "more", why)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    finish(partial(rows, device=options.device), options.quick, options.json)
