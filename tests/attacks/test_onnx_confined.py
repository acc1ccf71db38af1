"""A stranger's network runs in a child: whatever it asks for, one message comes, and no more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from network_attacks import ATTACKS, honest
from refusals import assert_tame, children

from deformviz.checkpoints import CheckpointError, RunLimits, onnx_confined, run_onnx_confined
from deformviz.checkpoints.onnx_run import input_of, run_onnx

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
LIMITS = RunLimits(seconds=30, memory_bytes=1 << 30, answer_bytes=128 << 20)
START = onnx_confined._START


def run(data: bytes, limits: RunLimits = LIMITS) -> list[object]:
    return list(run_onnx_confined(data, PHOTO, limits=limits))


def peak() -> int:
    """The most memory that this process had since `forget_peak`, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def test_an_honest_network_gives_the_numbers_of_a_run_without_a_child(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(honest())
    (inside,), (outside,) = run_onnx_confined(path, PHOTO), run_onnx(path, PHOTO)
    assert inside.header() == outside.header()
    assert inside.known().keys() == outside.known().keys()
    for name, tensor in outside.known().items():
        assert (getattr(inside, name) == tensor).all()


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_end_with_their_child(attack: str, tmp_path: Path, quarantine: Path) -> None:
    make, message = ATTACKS[attack]
    limits = replace(LIMITS, seconds=2) if "without end" in attack else LIMITS
    data, before = make(), children()
    forget_peak()
    used = peak()
    with pytest.raises(CheckpointError, match=message) as caught:
        run(data, limits)
    assert_tame(str(caught.value), tmp_path)
    assert peak() - used < 30 << 20
    assert children() <= before
    assert list(quarantine.iterdir()) == []


DEEDS = {
    "open('attacked', 'w')": "Refused",
    "os.open('/etc/passwd', 0)": "Refused",
    "__import__('socket')": "Refused",
    "os.system('touch attacked')": "Refused",
    "bytearray(2 << 30)": "MemoryError",
    "bytearray(1 << 20)": "done",
}


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
@pytest.mark.parametrize("deed", DEEDS)
def test_the_child_can_do_nothing_else(
    deed: str, monkeypatch: pytest.MonkeyPatch, quarantine: Path
) -> None:
    """By the time that it looks at the file."""
    spy = f"""
import os
import signal
from deformviz.checkpoints import onnx_child
from deformviz.checkpoints.errors import CheckpointError
def attack(*_):
    try:
        {deed}
    except BaseException as error:
        outcome = type(error).__name__
    else:
        outcome = "done"
    raise CheckpointError("the outcome: " + outcome)
onnx_child._serve = attack
main()
"""
    monkeypatch.setattr(onnx_confined, "_START", START.replace("\nmain()\n", spy))
    with pytest.raises(CheckpointError, match=f"the outcome: {DEEDS[deed]}$"):
        run(honest())
    assert list(quarantine.iterdir()) == []


SAY = """
import os, sys
def said(kind, data):
    os.write(1, kind + len(data).to_bytes(8, "little") + data)
"""
TAKEN = b'{"taken": {"name": "x", "shape": [1, 3, 32, 32], "dtype": "float32"}, "nodes": [%s]}'
NODE = b'{"operator": "", "name": "", "inputs": ["a", "b", "c"], "outputs": ["d"], "integers": {}}'
VALUES = b"[%s]" % b", ".join(b'["%c", "float32", [1, 2]]' % name for name in b"abcd")
TOLD = f"said(b'n', {TAKEN % NODE!r});"


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "print('{')",
        "1 / 0",
        "said(b'n', b'[]')",
        "said(b'n', b'{}')",
        "said(b'v', b'{}')",
        "os.write(1, b'n' + bytes([255] * 8))",
        "os.write(1, b'r' + bytes([255] * 8))",
        f"said(b'n', {TAKEN % b'{}'!r})",
        f"said(b'n', {TAKEN.replace(b'32]', b'-1]')!r})",
        f"{TOLD} said(b'v', b'no list')",
        f"{TOLD} said(b'v', b'[]')",
        f"{TOLD} said(b'v', b'[1, 2]')",
        f"{TOLD} said(b'v', {VALUES.replace(b'float32', b'object', 1)!r})",
        f"{TOLD} said(b'v', {VALUES.replace(b'[1', b'[-1', 1)!r})",
        f"{TOLD} said(b'v', {VALUES.replace(b'[1', b'[[1]', 1)!r})",
        f"{TOLD} said(b'v', {VALUES!r}); os.write(1, bytes(3))",
        f"{TOLD} os.kill(os.getpid(), 9)",
    ],
)
def test_a_child_that_answers_nonsense(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_confined, "_START", SAY + code)
    with pytest.raises(CheckpointError, match="ended early"):
        run(honest())


def test_a_child_that_refuses_in_odd_words(monkeypatch: pytest.MonkeyPatch) -> None:
    said = '{"refused": "no \\\\u001b[2J' + "x" * 5000 + '"}'
    monkeypatch.setattr(onnx_confined, "_START", f"{SAY} said(b'r', b'{said}')")
    with pytest.raises(CheckpointError) as caught:
        run(honest())
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1100


def test_without_onnxruntime_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = START.replace(
        "import json, sys", "import sys; sys.modules['onnxruntime'] = None\nimport json, sys"
    )
    monkeypatch.setattr(onnx_confined, "_START", hidden)
    with pytest.raises(ImportError, match=r"pip install onnxruntime"):
        run(honest())


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(CheckpointError, match="at most 0 MB of ONNX"):
        run(honest(), RunLimits(file_bytes=100))


def test_onnxruntime_reports_to_nobody(quarantine: Path) -> None:
    """Its wheels for Linux begin a telemetry session when they are imported, and note it there."""
    code = START.replace("onnx_child import main", "onnx_network import onnxruntime_alone as main")
    subprocess.run(
        [sys.executable, "-I", "-c", code, json.dumps(onnx_confined._FOLDERS)],
        check=True,
        env={**os.environ, "TMPDIR": str(quarantine), "HOME": str(quarantine)},
    )
    assert list(quarantine.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has such a signal")
def test_the_child_ends_with_a_parent_that_is_killed() -> None:
    child = START.replace("\nmain()\n", "\nmain(); print('ready', flush=True); time.sleep(60)\n")
    child = "import time\n" + child.replace("import main", "import _choose_me as main")
    command = [sys.executable, "-I", "-c", child, json.dumps(onnx_confined._FOLDERS)]
    parent = f"""
import subprocess
child = subprocess.Popen({command!r})
print(child.pid, flush=True)
child.wait()
"""
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as made:
        assert made.stdout is not None
        pid = int(made.stdout.readline())
        assert made.stdout.readline() == "ready\n"
        made.kill()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "State:\tZ" in _status(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the child went on")


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return "State:\tZ"


def test_a_child_takes_one_image_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    start = onnx_confined._Child.__enter__

    def counted(self: onnx_confined._Child) -> onnx_confined._Child:
        begun.append(1)
        return start(self)

    monkeypatch.setattr(onnx_confined._Child, "__enter__", counted)
    with onnx_confined.ConfinedNetwork(honest(), replace(LIMITS, images=2)) as network:
        for seed in range(5):
            photo = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
            x = input_of(network.taken, photo, None, "unit")
            (inside,), (outside,) = network.run(x, (32, 32)), run_onnx(honest(), photo)
            for name, tensor in outside.known().items():
                assert (getattr(inside, name) == tensor).all()
    assert len(begun) == 3  # two images each
    assert not children()
