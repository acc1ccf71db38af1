"""`python app.py`, as far as its command line goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deformviz import device

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_help_names_the_options() -> None:
    done = run("--help")
    assert done.returncode == 0, done.stderr
    for option in (
        "--device",
        "--host",
        "--port",
        "--root-path",
        "--queue",
        "--keep",
        "--browser",
        "--lessons",
    ):
        assert option in done.stdout


def test_an_unknown_device_is_answered_with_those_that_are_there() -> None:
    done = run("--device", "nonsense")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "there is no device 'nonsense' here" in last
    assert last.endswith(f"this machine has {', '.join(device.available())}")
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_queue_that_nobody_could_wait_in_is_refused() -> None:
    done = run("--queue", "0")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("argument --queue: expected 1 or more, got 0")


def test_a_lesson_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('title = "A"\nlearn = "B"\nminutes = 0\n[[step]]\n')
    done = run("--lessons", str(tmp_path), "--device", "cpu")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert "mine.toml: minutes must be a whole number from 1 to 240, got 0" in last
    assert "Traceback" not in done.stderr
