"""What a benchmark tells: rows, each a number with its spread and its target.

A benchmark is a module with `rows(report, quick)`, which fills a `Report`, and ends in
`alone(...)`, so that it can be run by itself as well as by `suite.py`.

A row as JSON: {"name", "value", "low", "high", "unit", "target", "better", "why", "met",
"missed_by"}.
`value` is the median, `low` and `high` its spread, as the benchmark says; `better` is "less" or
"more"; `target` is null where there is none, and then `met` is null, too. `missed_by` is how far
off the target is, as a share of it, and 0 where it is met; `why` says what is in the way, where
that is known.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

WIDTH = 72
"""Characters of a row's name."""


@dataclass(frozen=True)
class Row:
    """One result, and what is wanted of it."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    target: float | None = None
    better: Literal["less", "more"] = "less"
    why: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "less" else self.value >= self.target

    @property
    def missed_by(self) -> float:
        """How far off the target is, as a share of it."""
        if self.target is None or self.met:
            return 0.0
        return abs(self.value / self.target - 1)

    def json(self) -> dict[str, Any]:
        """As the module says."""
        return asdict(self) | {"met": self.met, "missed_by": round(self.missed_by, 4)}

    def __str__(self) -> str:
        spread = f"{self.low:.2f} to {self.high:.2f}"
        sign = "≤" if self.better == "less" else "≥"
        target = "" if self.target is None else f"{sign} {self.target:.2f}"
        told = {None: "", True: "met", False: f"MISSED by {100 * self.missed_by:.0f} %"}[self.met]
        name = f"{self.name:{WIDTH}} {self.value:8.2f} {self.unit:3}"
        because = f": {self.why}" if self.why and self.met is False else ""
        return f"{name} {spread:>18} {target:>8} {told}{because}".rstrip()


HEAD = f"{'':{WIDTH}} {'value':>12} {'spread':>18} {'target':>8}"


@dataclass
class Report:
    """All rows, what was checked beside them, and what they were made of."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Keep a row and print it."""
        self.rows.append(row)
        print(row, flush=True)

    def note(self, text: str) -> None:
        """Keep a remark and print it."""
        self.notes.append(text)
        print(f"    {text}", flush=True)

    def check(self, text: str, passed: bool) -> None:
        """Keep whether something holds without which a row would mean nothing."""
        self.note(f"{text}: {'yes' if passed else 'NO'}")

    def json(self) -> dict[str, Any]:
        """As plain JSON types."""
        rows = [row.json() for row in self.rows]
        return {"rows": rows, "notes": self.notes, "details": self.details}


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median, the upper quartile."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def ratio_row(
    name: str, ratios: Sequence[float], target: float | None, unit: str = "×", why: str = ""
) -> Row:
    """The median of what was measured by turns, and its quartiles."""
    low, middle, high = quartiles(ratios)
    return Row(name, middle, low, high, unit, target, why=why)


def once_row(name: str, value: float, target: float | None, unit: str = "×") -> Row:
    """What is measured once."""
    return Row(name, value, value, value, unit, target)


def spoken(values: Sequence[float]) -> str:
    """Milliseconds with their quartiles."""
    low, middle, high = quartiles(values)
    return f"{middle:.0f} ms ({low:.0f} to {high:.0f})"


def machine() -> dict[str, Any]:
    """What the numbers are worth."""
    return {
        "system": f"{platform.system()} on {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def _processor() -> str:
    """Its name as it tells it; Python knows it on few systems."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor()) or "a processor that tells no name"


Benchmark = Callable[[Report, bool], None]


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """What every benchmark takes."""
    parser = argparse.ArgumentParser(description=(doc or "").strip().splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", type=Path, help="write the rows to this file as well")
    return parser


def alone(doc: str | None, rows: Benchmark) -> None:
    """Run one benchmark by itself: print its table, and write its JSON where that is asked for."""
    options = arguments(doc).parse_args()
    finish(rows, options.quick, options.json)


def finish(rows: Benchmark, quick: bool, path: Path | None) -> None:
    """Fill a report and tell it."""
    report, start = Report(), time.perf_counter()
    print(HEAD)
    rows(report, quick)
    report.note(f"{time.perf_counter() - start:.0f} s in all")
    if path is not None:
        text = json.dumps(machine() | report.json(), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
