"""The child that reads: what it cannot do, and what its parent believes of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from attack_files import honest_zip
from refusals import children

from deformviz.checkpoints import CheckpointError, Limits, child, open_checkpoint, reading

START = child._START

CONFINED = """
import sys; sys.path.append(sys.argv[1])
from parsers import confine, limits
confine.confine(limits.Limits(cpu_seconds=1))
try:
    {}
except BaseException as error:
    print(type(error).__name__)
else:
    print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
@pytest.mark.parametrize(
    ("deed", "outcome"),
    [
        ("import socket", "Refused"),
        ("open('attacked', 'w')", "Refused"),
        ("eval('1')", "Refused"),
        ("sys.modules['os'].system('touch attacked')", "Refused"),
        ("sys.modules['posix'].fork()", "Refused"),
        ("sys.modules['posix'].open('/etc/passwd', 0)", "Refused"),
        ("bytearray(300_000_000)", "MemoryError"),
        ("[[] for _ in range(10_000_000)]", "MemoryError"),
        ("bytearray(1_000_000)", "done"),
        ("while True: pass", ""),
    ],
)
def test_the_child_can_do_nothing_else(deed: str, outcome: str, quarantine: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", CONFINED.format(deed), str(child._FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    assert done.stdout.strip() == outcome
    assert list(quarantine.iterdir()) == []


def test_the_clock_ends_a_child_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no limits of its own, as on Windows."""
    monkeypatch.setattr(child, "_START", "import time; time.sleep(60)")
    path = tmp_path / "net.pth"
    path.write_bytes(honest_zip())
    before = children()
    with pytest.raises(CheckpointError, match="longer"):
        open_checkpoint(path, limits=Limits(seconds=0.3))
    assert children() <= before


def test_a_system_without_limits_still_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows, which has no module of that name."""
    monkeypatch.setattr(child, "_START", f"import sys; sys.modules['resource'] = None; {START}")
    path = tmp_path / "net.pth"
    path.write_bytes(honest_zip())
    assert open_checkpoint(path).shapes == {"weight": (3, 4)}


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "print('[1]')",
        "print('{')",
        "1 / 0",
        "import os; print('{}'); os.kill(os.getpid(), 9)",
    ],
)
def test_a_child_that_answers_nonsense(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_START", code)
    path = tmp_path / "net.pth"
    path.write_bytes(honest_zip())
    with pytest.raises(CheckpointError, match="ended early"):
        open_checkpoint(path)


def test_a_row_that_lies_is_not_believed() -> None:
    for at, shape, stride in [(50, [3, 4], None), (0, [3, 4], [40, 1]), (-4, [1], None)]:
        with pytest.raises(CheckpointError, match=re.escape("beyond its end")):
            reading.place_of(["w", "float32", shape, stride, at], 60)
