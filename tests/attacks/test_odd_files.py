"""Paths that lead to no file, files that change, and tensors with odd names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attack_files import (
    claim,
    honest_zip,
    initialiser,
    mapping,
    onnx,
    safetensors,
    tensor,
    torch_zip,
)
from refusals import assert_refused, assert_tame

from deformviz.checkpoints import CheckpointError, open_checkpoint, reading


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
