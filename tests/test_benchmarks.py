"""The benchmarks' frame: what a row says, and that nothing is left out in silence."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    """A module of the benchmarks, whose folder is no package."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return load("rows")


@pytest.fixture
def suite(rows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [*sys.path, str(FOLDER)])
    return load("suite")


def test_a_row_says_by_how_much_it_misses(rows: ModuleType) -> None:
    missed = rows.Row("time", 2.6, 2.4, 2.8, "×", 1.3)
    assert (missed.met, missed.missed_by) == (False, pytest.approx(1.0))
    assert "MISSED by 100 %" in str(missed)
    slow = rows.Row("speed", 0.75, 0.7, 0.8, "×", 1.0, "more")
    assert (slow.met, slow.missed_by) == (False, pytest.approx(0.25))
    because = rows.Row("speed", 1, 1, 1, "×", 2, "more", "the wire is slow")
    assert str(because).endswith("MISSED by 50 %: the wire is slow")
    for met in (rows.Row("time", 1.3, 1, 2, "×", 1.3), rows.Row("speed", 4, 3, 5, "×", 1, "more")):
        assert (met.met, met.missed_by) == (True, 0)
        assert str(met).endswith("met")
    assert rows.Row("time", 5, 4, 6, "ms").met is None


def test_what_cannot_be_measured_is_seen_in_the_table_and_in_the_file(
    suite: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(name: str, quick: bool) -> dict[str, Any]:
        if name == "capture":
            return {"failed": "it fell over"}
        row = {"name": "speed", "value": 1, "low": 1, "high": 1, "unit": "×", "target": 2}
        row |= {"better": "more", "why": "", "met": False, "missed_by": 0.5}
        return {"rows": [row], "seconds": 1}

    monkeypatch.setattr(suite, "run", run)
    monkeypatch.setattr(suite, "chromium_missing", lambda: "there is no Chromium")
    path = tmp_path / "told.json"
    only = ["operators", "capture", "viewer"]
    monkeypatch.setattr(sys, "argv", ["suite.py", "--only", *only, "--json", str(path)])
    assert suite.main() == 1
    told = capsys.readouterr().out
    assert "SKIPPED: there is no Chromium" in told
    assert "FAILED: it fell over" in told
    assert "MISSED by 50 %" in told
    assert "1 rows, 1 of them miss their target; not measured: capture, viewer" in told
    found = json.loads(path.read_text())["benchmarks"]
    assert list(found) == ["operators", "capture", "viewer"]
    assert found["viewer"] == {"skipped": "there is no Chromium"}
    assert found["operators"]["rows"][0]["missed_by"] == 0.5


def test_the_page_has_every_row_and_why_one_is_missed(suite: ModuleType, rows: ModuleType) -> None:
    slow = rows.Row("DRConv", 3.0, 2.0, 3.5, "×", 4.0, "more", "sorting takes the rest")
    fast = rows.Row("hover", 1.5, 1.0, 2.0, "ms", 2.0, "less", "nothing is in the way")
    plain = rows.Row("time", 5, 4, 6, "ms")
    benchmarks = {
        "operators": {"rows": [row.json() for row in (slow, fast, plain)], "seconds": 1},
        "load": {"failed": "it fell over"},
    }
    whole = {"machine": rows.machine(), "quick": False, "benchmarks": benchmarks}
    text = suite.markdown(whole, {"operators": "the operators", "load": "a class at once"})
    assert "## Operators\n\nMeasured: the operators." in text
    assert "| DRConv | 3.00 × | 2.00 to 3.50 | ≥ 4.00 | **missed by 25 %** |" in text
    assert "| hover | 1.50 ms | 1.00 to 2.00 | ≤ 2.00 | met |" in text
    assert "| time | 5.00 ms | 4.00 to 6.00 |  |  |" in text
    assert "- DRConv: sorting takes the rest" in text
    assert "nothing is in the way" not in text
    assert "Not measured: it fell over." in text


def test_every_benchmark_is_a_file_that_fills_a_report(suite: ModuleType) -> None:
    for name in suite.BENCHMARKS:
        tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        (rows,) = (function for function in functions if function.name == "rows")
        assert [argument.arg for argument in rows.args.args][:2] == ["report", "quick"]


def test_a_benchmark_starts_from_any_folder(tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    for name in ("operators", "capture"):
        command = [sys.executable, str(FOLDER / f"{name}.py"), "--help"]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert "--quick" in ended.stdout
