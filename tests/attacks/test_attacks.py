"""Hostile checkpoints are refused: quickly, in little memory, and with nothing left behind."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from attack_files import HONEST
from container_attacks import ARCHIVES, ONNX, SAFETENSORS
from pickle_attacks import CANARY, CODE, COSTS, MALFORMED
from refusals import assert_refused
from tensor_attacks import TENSORS

from deformviz.checkpoints import Limits, child, open_checkpoint

MEGABYTES = 300

OTHERS: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"P",
    "zeros": bytes(1000),
    "random": bytes((n * 7919 + n // 3 * 31) % 251 for n in range(5000)),
    "random behind a ZIP's mark": b"PK\3\4" + bytes(n * 97 % 256 for n in range(5000)),
    "random behind a pickle's mark": b"\x80\x02" + bytes(n * 97 % 256 for n in range(5000)),
    "web page": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n",
    "tar": b"model.pt".ljust(257, b"\0") + b"ustar\0" + bytes(1000),
    "gzip": b"\x1f\x8b\x08" + bytes(100),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "text": b"import os\nos.system('touch attacked')\n",
}

KINDS = {
    "code": CODE,
    "costs": COSTS,
    "malformed": MALFORMED,
    "tensors": TENSORS,
    "archives": ARCHIVES,
    "safetensors": SAFETENSORS,
    "onnx": ONNX,
    "others": OTHERS,
}
ATTACKS = {f"{kind}: {name}": data for kind, files in KINDS.items() for name, data in files.items()}


def test_the_tools_make_honest_files(tmp_path: Path) -> None:
    """An attack that is refused for a slip of its author's proves nothing."""
    for name, data in HONEST.items():
        path = tmp_path / name
        path.write_bytes(data)
        checkpoint = open_checkpoint(path)
        assert next(iter(checkpoint.shapes.values())) == (3, 4), name
    read = open_checkpoint(tmp_path / "zip").tensors(["weight"])["weight"]
    assert torch.equal(read, torch.arange(12.0).reshape(3, 4))


BITING = [
    "os.system",
    "INST",
    "OBJ",
    "getattr of a name",
    "names on the stack",
    "dotted name",
    "protocol 0",
]


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are Unix's")
@pytest.mark.parametrize("attack", BITING)
def test_the_attacks_would_work(attack: str, quarantine: Path) -> None:
    """In Python's own unpickler, so that a canary that does not appear says something."""
    with zipfile.ZipFile(io.BytesIO(CODE[attack])) as archive:
        value = archive.read("net/data.pkl")
    code = "import sys, pickle, email.utils; pickle.load(sys.stdin.buffer)"
    subprocess.run([sys.executable, "-c", code], input=value, check=False, timeout=60)
    assert (quarantine / CANARY).exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(attack: str, tmp_path: Path, quarantine: Path) -> None:
    path = tmp_path / "upload.pth"
    path.write_bytes(ATTACKS[attack])
    assert_refused(path, quarantine)


# The children of a small Python, as a child's peak begins with that of its parent's memory.
MEASURE = """
import json, os, subprocess, sys
command, peaks = json.loads(sys.argv[1]), {}
for name in sorted(os.listdir(sys.argv[2])):
    with open(os.path.join(sys.argv[2], name), "rb") as file:
        process = subprocess.Popen(command, stdin=file, stdout=subprocess.DEVNULL)
        _, _, used = os.wait4(process.pid, 0)
        peaks[name] = used.ru_maxrss
print(json.dumps(peaks))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_attacks_take_little_memory(tmp_path: Path) -> None:
    """Of those of some size: what a parser keeps is in proportion to the file, so small ones do not
    count, but for those that were made to cost more than they weigh."""
    names = [name for name, data in ATTACKS.items() if len(data) > 30_000 or "costs" in name]
    for number, name in enumerate(names):
        (tmp_path / f"{number:04}").write_bytes(ATTACKS[name])
    command = [sys.executable, "-I", "-S", "-c", child._START, str(child._FOLDER)]
    command += [json.dumps(asdict(Limits())), "null"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", MEASURE, json.dumps(command), str(tmp_path)],
        capture_output=True,
        check=True,
    )
    peaks = {names[int(number)]: kb / 1024 for number, kb in json.loads(done.stdout).items()}
    assert len(peaks) == len(names) > 40
    assert {name: mb for name, mb in peaks.items() if mb > MEGABYTES} == {}
    assert min(peaks.values()) < 30
