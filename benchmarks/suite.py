"""Every benchmark in one run: one table, and one JSON file.

    python benchmarks/suite.py [--quick] [--only operators viewer ...] [--json FILE] [--page FILE]

What is fast here is measured against what one would use instead, in the same minutes and by turns,
and so most rows are ratios. Each benchmark runs in a process of its own, and can be run by itself:
`python benchmarks/viewer.py`. Close other programs: the spread tells where they were in the way.

The JSON is {"machine": {...}, "quick": bool, "benchmarks": {NAME: {"rows", "notes", "details",
"seconds"} or {"skipped": why} or {"failed": why}}}; `rows.py` says what a row is.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import markdown
from rows import HEAD, Row, arguments, machine

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tests" / "browser"))


@dataclass(frozen=True)
class Entry:
    """A benchmark: `NAME.py` beside this file.

    Attributes:
        about: what is measured, against what.
        browser: whether it needs a Chromium.
    """

    about: str
    browser: bool = False


BENCHMARKS: dict[str, Entry] = {
    "operators": Entry("the operators, against torchvision's and m full convolutions"),
    "capture": Entry("deformviz.capture around a network, against the network alone"),
    "viewer": Entry("the page, against a bare Gradio page and a bare plotly figure", browser=True),
    "survey": Entry("deformviz survey over a folder, against the network alone"),
    "load": Entry("a class at once, against one person", browser=True),
    "trainings": Entry("the hover while the server trains, against the same without", browser=True),
    "sessions": Entry("the server's memory, against nobody being there", browser=True),
    "follow": Entry("taps followed down through layers, against a hover without", browser=True),
}
"""In the order in which they run. To add one: its file, as `rows.py` says, and a line here."""


def chromium_missing() -> str | None:
    """Why what needs a browser cannot run, or None."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed: pip install -r requirements-dev.txt"
    from chromium import find

    try:
        found = find()
    except FileNotFoundError as error:
        return str(error)
    return None if found else "there is no Chromium: python tests/browser/chromium.py gets one"


def run(name: str, quick: bool) -> dict[str, Any]:
    """One benchmark's rows, as its own process writes them; its lines are seen as they come."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="deformviz-") as folder:
        path = Path(folder) / "rows.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(path)]
        ended = subprocess.run([*command, *(["--quick"] if quick else [])], check=False)
        if ended.returncode or not path.exists():
            return {"failed": f"{name}.py ended with {ended.returncode}"}
        told = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: told[key] for key in ("rows", "notes", "details")}
    return kept | {"seconds": round(time.perf_counter() - start, 1)}


def table(found: dict[str, dict[str, Any]]) -> str:
    """All rows, what is missing among them, and how many targets are."""
    lines, missed, rows = [HEAD], 0, 0
    for name, told in found.items():
        lines.append(f"{name}: {BENCHMARKS[name].about}")
        for kind in ("skipped", "failed"):
            if kind in told:
                lines.append(f"  {kind.upper()}: {told[kind]}")
        for values in told.get("rows", []):
            row = Row(**{key: values[key] for key in Row.__dataclass_fields__})
            lines.append(f"{row}")
            rows, missed = rows + 1, missed + (row.met is False)
    left = [name for name, told in found.items() if "rows" not in told]
    verdict = f"{rows} rows, {missed} of them miss their target"
    return "\n".join([*lines, verdict + (f"; not measured: {', '.join(left)}" if left else "")])


def main() -> int:
    """Run what is asked for; 1 where something failed."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), help="these alone"
    )
    parser.add_argument("--page", type=Path, help="write the tables to this file as Markdown")
    options = parser.parse_args()
    told = machine()
    missing = chromium_missing()
    found: dict[str, dict[str, Any]] = {}
    for name, entry in BENCHMARKS.items():
        if name in options.only:
            print(f"\n{name}: {entry.about}", flush=True)
            skipped = entry.browser and missing
            found[name] = {"skipped": missing} if skipped else run(name, options.quick)
            if skipped:
                print(f"  SKIPPED: {missing}", flush=True)
    print(f"\n{table(found)}")
    whole = {"machine": told, "quick": options.quick, "benchmarks": found}
    if options.json:
        text = json.dumps(whole, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.page:
        about = {name: entry.about for name, entry in BENCHMARKS.items()}
        options.page.write_text(markdown(whole, about), encoding="utf-8")
    return int(any("failed" in each for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
