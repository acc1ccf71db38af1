"""Hostile checkpoints are refused: quickly, in little memory, and with nothing left behind."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from attack_files import (
    claim,
    honest_legacy,
    honest_zip,
    initialiser,
    mapping,
    onnx,
    safetensors,
    tensor,
    torch_zip,
)
from container_attacks import ARCHIVES, ONNX, SAFETENSORS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pickle_attacks import CANARY, CODE, COSTS, MALFORMED
from tensor_attacks import TENSORS

from deformviz.checkpoints import child, reading
from deformviz.checkpoints.errors import CheckpointError
from deformviz.checkpoints.parsers.entry import answer_to
from deformviz.checkpoints.parsers.limits import Limits
from deformviz.checkpoints.parsers.source import Source
from deformviz.checkpoints.reading import open_checkpoint

SECONDS = 2.0
START = child._START
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

HONEST = {
    "zip": honest_zip(),
    "legacy": honest_legacy(),
    "safetensors": safetensors({"weight": claim()}),
    "onnx": onnx(initialiser()),
}


@pytest.fixture
def quarantine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the current one and that for temporary files: what appears is seen."""
    folder = tmp_path / "quarantine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def children() -> set[str]:
    """The processes that this one has started and not taken leave of, where the system tells."""
    files = Path("/proc/self/task").glob("*/children")
    return {number for file in files for number in file.read_text().split()}


def assert_refused(path: Path, quarantine: Path) -> None:
    before, names = children(), set(quarantine.iterdir())
    start, used = time.perf_counter(), processor_time()
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    wall, used = time.perf_counter() - start, processor_time() - used
    assert used < SECONDS
    assert wall < SECONDS or is_busy()
    assert_tame(str(caught.value), path)
    assert children() <= before
    assert set(quarantine.iterdir()) == names
    assert not (quarantine / CANARY).exists()


def is_busy() -> bool:
    """Whether others use the machine: by the clock, everything takes longer then."""
    return os.getloadavg()[0] > 0.75 * (os.cpu_count() or 1)


def processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def assert_tame(message: str, path: Path) -> None:
    assert 20 < len(message) < 400
    assert message.isprintable()
    assert str(path.parent) not in message
    assert "<" not in message
    assert message[-1] in '.)")'


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


# ------------------------------------------------------------------------- things that are no files


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


NO_FILES: dict[str, Callable[[Path], None]] = {
    "folder": Path.mkdir,
    "pipe": pipe,
    "nothing": lambda _: None,
    "link to a device that never ends": link("/dev/zero"),
    "link to a device that is empty": link("/dev/null"),
    "link to a terminal": link("/dev/tty"),
    "link to nothing": link("/nonexistent/file"),
    "link to itself": link("upload.pth"),
    "link to a folder": link("/"),
    "link to a secret": link("/etc/passwd"),
    "link to memory": link("/proc/self/mem"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="these are made by Unix")
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_checkpoint_file(kind: str, tmp_path: Path, quarantine: Path) -> None:
    path = tmp_path / "upload.pth"
    NO_FILES[kind](path)
    assert_refused(path, quarantine)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800"], ids=ascii)
def test_paths_that_are_none(name: str, tmp_path: Path, quarantine: Path) -> None:
    assert_refused(tmp_path / name, quarantine)


def test_a_link_to_a_checkpoint_is_followed(tmp_path: Path) -> None:
    """As in the cache of Hugging Face, which is made of links."""
    (tmp_path / "blob").write_bytes(honest_zip())
    (tmp_path / "net.pth").symlink_to("blob")
    assert open_checkpoint(tmp_path / "net.pth").shapes == {"weight": (3, 4)}


def test_a_file_that_is_too_large(tmp_path: Path, quarantine: Path) -> None:
    path = tmp_path / "upload.pth"
    with path.open("wb") as file:
        file.write(b"PK\3\4")
        file.truncate(30_000_000_000)
    assert_refused(path, quarantine)


# -------------------------------------------------------------------------------- files that change


def test_a_file_that_changes_after_it_was_listed(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(honest_zip())
    checkpoint = open_checkpoint(path)
    path.write_bytes(honest_zip()[:-100])
    with pytest.raises(CheckpointError, match="changed"):
        checkpoint.tensors(["weight"])
    path.unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.tensors(["weight"])
    path.symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="device"):
        checkpoint.tensors(["weight"])


@pytest.mark.parametrize("change", [lambda d: d[:-100], lambda d: d + d, lambda d: b""])
def test_a_file_that_changes_while_it_is_listed(
    change: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(honest_zip())
    listing = reading.listing_from_child

    def changing(*args: object) -> object:
        answer = listing(*args)  # type: ignore[arg-type]
        path.write_bytes(change(honest_zip()))
        return answer

    monkeypatch.setattr(reading, "listing_from_child", changing)
    with pytest.raises(CheckpointError, match="changed"):
        open_checkpoint(path)


# ---------------------------------------------------------------------------------------- odd names

NAMES = {
    "HTML": "<img src=x onerror=alert(1)>.weight",
    "script": "</script><script>alert(1)</script>",
    "path": "../../etc/passwd",
    "template": "{{7*7}}${7*7}%s{0}",
    "formula": "=cmd|' /C calc'!A0",
    "null": "a\0b",
    "control characters": "a\r\n\x1b[31mred\x07\x08",
    "right to left": "weight\u202ethgiew",
    "no space": "\u200b\ufeff",
    "emoji": "\N{PILE OF POO}" * 10,
    "empty": "",
    "a thousand letters": "n" * 1000,
    "a method's name": "__class__",
    "JSON": '"],"refused":"x',
}


@pytest.mark.parametrize("kind", NAMES)
def test_odd_names_are_data(kind: str, tmp_path: Path) -> None:
    name = NAMES[kind]
    files = {
        "zip": torch_zip(mapping(**{name: tensor()})),
        "safetensors": safetensors({name: claim()}),
        "onnx": onnx(initialiser(called=name)) if "\0" not in name else b"",
    }
    for form, data in files.items():
        if not data:
            continue
        path = tmp_path / form
        path.write_bytes(data)
        checkpoint = open_checkpoint(path)
        assert checkpoint.shapes == {name: (3, 4)}, form
        assert checkpoint.tensors([name])[name].shape == (3, 4)


@pytest.mark.parametrize("kind", [*NAMES, "half a character"])
def test_odd_names_of_wrappers_are_data(kind: str, tmp_path: Path) -> None:
    name, path = NAMES.get(kind, "\ud800"), tmp_path / "net.pth"
    path.write_bytes(torch_zip(mapping(**{name: mapping(weight=tensor())})))
    checkpoint = open_checkpoint(path)
    assert checkpoint.shapes == {"weight": (3, 4)}
    taken = checkpoint.wrapper.taken or ""
    assert taken.encode() == name[:100].encode("utf-8", "replace")
    assert open_checkpoint(path, take=taken).wrapper == checkpoint.wrapper


def test_an_odd_name_in_a_message_is_tame(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    for name in NAMES.values():
        path.write_bytes(torch_zip(mapping(**{name: tensor(offset=5)})))
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(path)
        assert_tame(str(caught.value), path)
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(path, take=name)
        assert_tame(str(caught.value), path)


# ----------------------------------------------------------------------------- damage of every kind


def answered(data: bytes, path: Path) -> dict[str, object]:
    """What the child would answer, in this process: a thousand children would take a minute."""
    path.write_bytes(data)
    with path.open("rb") as file:
        return answer_to(Source(file.fileno()), Limits(), None)


@pytest.mark.parametrize("kind", HONEST)
def test_truncated_anywhere(kind: str, tmp_path: Path) -> None:
    data, path = HONEST[kind], tmp_path / "net"
    whole = answered(data, path)
    assert "tensors" in whole
    for length in range(len(data)):
        answer = answered(data[:length], path)
        # ONNX has no end of its own: without the last field the model is whole.
        assert "refused" in answer or (kind == "onnx" and answer == whole), length


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(HONEST)), data=st.data())
def test_damaged_anywhere(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    """Some bytes are changed: refused, or read with every tensor inside the file."""
    made = bytearray(HONEST[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    answer = answered(bytes(made), tmp_path / "net")
    if "refused" in answer:
        assert_tame(str(answer["refused"]), tmp_path / "net")
    else:
        for row in answer["tensors"]:  # type: ignore[attr-defined]
            reading.place_of(row, len(made))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.binary(max_size=200))
def test_random_pickles(value: bytes, tmp_path: Path) -> None:
    answer = answered(torch_zip(value), tmp_path / "net")
    assert_tame(str(answer["refused"]), tmp_path / "net")


# -------------------------------------------------------------------------- the limits of the child

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


@pytest.mark.parametrize("answer", ["", "[1]", "{", "x" * 100])
def test_a_child_that_answers_nonsense(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_START", f"print({answer!r})")
    path = tmp_path / "net.pth"
    path.write_bytes(honest_zip())
    with pytest.raises(CheckpointError, match="ended early"):
        open_checkpoint(path)


def test_a_row_that_lies_is_not_believed() -> None:
    for at, shape, stride in [(50, [3, 4], None), (0, [3, 4], [40, 1]), (-4, [1], None)]:
        with pytest.raises(CheckpointError, match=re.escape("beyond its end")):
            reading.place_of(["w", "float32", shape, stride, at], 60)
