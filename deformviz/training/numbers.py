"""What five seeds gave: measured on held-out data, kept as JSON, printed as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from . import FOLDER, TASKS, Trained, score, train
from .measured import MEASURES
from .task import Value

SEEDS = (0, 1, 2, 3, 4)
FILE = FOLDER / "numbers.json"

RUNS: dict[str, tuple[str, dict[str, Value]]] = {
    "scale": ("scale", {"twin": "equal time"}),
    "coordinates, quadrant": ("coordinates", {}),
    "coordinates, uniform": ("coordinates", {"split": "uniform"}),
    "places, quadrant": ("coordinates", {"asked": "picture to place"}),
    "regions": ("regions", {}),
    "shifts": ("shifts", {}),
}
"""What is trained with five seeds: a task, and its knobs that are not as by default."""

SCORED = 256
"""Pictures of each kind."""

Numbers = dict[str, dict[str, list[float]]]
"""{run: {what was measured: a number for each seed}}."""


@torch.no_grad()
def measure(trained: Trained) -> dict[str, float]:
    """All numbers of one training, by what they are.

    Example:
        >>> *_, last = train("shifts", {"steps": 100}, stop=lambda: True)
        >>> measure(last.trained)["shift, layer 1, standard deviation"]
        0.0
    """
    task = TASKS[trained.task]
    held_out = task.held_out(trained.knobs, SCORED)
    found: dict[str, float] = {}
    for name, net in trained.networks().items():
        rated = score(task, net, held_out)
        found[f"{name}, shown"] = rated.accuracy
        found |= {f"{name}, {kind}": rate for kind, rate in rated.unseen.items()}
    return found | MEASURES[trained.task](trained.network(), trained.knobs)


def collect(
    runs: Iterable[str] = RUNS, told: Callable[[str], None] = print, folder: Path | None = None
) -> Numbers:
    """Train every run with every seed, which takes half an hour on two cores, and measure it.

    Args:
        runs: names in `RUNS`.
        told: is told of each training that is done.
        folder: where to keep the trained networks, if anywhere.
    """
    numbers: Numbers = {}
    for run in runs:
        task, knobs = RUNS[run]
        for seed in SEEDS:
            *_, last = train(task, knobs, seed, moments=1)
            assert last.trained is not None
            if folder is not None:
                last.trained.save(folder / f"{run}-{seed}.safetensors")
            add(numbers, run, last.trained)
            told(f"{run}, seed {seed}: {last.seconds:.0f} s")
    return numbers


def add(numbers: Numbers, run: str, trained: Trained) -> None:
    """Append what one more seed gave."""
    for name, value in measure(trained).items():
        numbers.setdefault(run, {}).setdefault(name, []).append(round(value, 4))


def write(numbers: Numbers, origin: Mapping[str, Any]) -> None:
    """Keep the numbers, and by what they were made."""
    text = json.dumps({"origin": dict(origin), "seeds": list(SEEDS), "numbers": numbers}, indent=1)
    FILE.write_text(text + "\n", encoding="utf-8")


def read() -> Numbers:
    """The numbers that are kept."""
    numbers: Numbers = json.loads(FILE.read_text(encoding="utf-8"))["numbers"]
    return numbers


def mean_and_spread(values: list[float]) -> str:
    """Mean ± standard deviation over the seeds.

    Example:
        >>> mean_and_spread([1.0, 2.0, 3.0])
        '2.00 ± 1.00'
    """
    each = torch.tensor(values, dtype=torch.float64)
    spread = each.std().item() if len(values) > 1 else 0.0
    return f"{each.mean().item():.2f} ± {spread:.2f}"


def table(numbers: Numbers) -> str:
    """Markdown: for each run, tables of what was measured of the same things.

    Example:
        >>> print(table({"run": {"a, x": [1.0, 2.0], "a, y": [2.0, 2.0], "b, x": [0.0, 0.0]}}))
        **run**
        <BLANKLINE>
        |  | x | y |
        |---|---|---|
        | a | 1.50 ± 0.71 | 2.00 ± 0.00 |
        <BLANKLINE>
        |  | x |
        |---|---|
        | b | 0.00 ± 0.00 |
    """
    parts = []
    for run, found in numbers.items():
        rows: dict[str, dict[str, str]] = {}
        for name, each in found.items():
            row, _, column = name.rpartition(", ")
            rows.setdefault(row, {})[column] = mean_and_spread(each)
        alike = dict.fromkeys(tuple(cells) for cells in rows.values())
        tables = [_table(rows, columns) for columns in alike]
        parts.append("\n\n".join([f"**{run}**", *tables]))
    return "\n\n".join(parts)


def _table(rows: Mapping[str, Mapping[str, str]], columns: tuple[str, ...]) -> str:
    """Of the rows that have just these columns."""
    lines = [
        ["", *columns],
        *([row, *c.values()] for row, c in rows.items() if tuple(c) == columns),
    ]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([text[0], "|---" * len(lines[0]) + "|", *text[1:]])
