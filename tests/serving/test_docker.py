"""The Dockerfile, as far as it can be tried without an engine: what it copies, runs and asks."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    """Each as its name and the rest, continued lines joined, comments left out."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.split("\n"))
            if name]  # fmt: skip


def only(name: str) -> str:
    (rest,) = [rest for each, rest in instructions() if each == name]
    return rest


def ignored(path: str) -> bool:
    """By .dockerignore's rules: the last pattern that fits the path or a folder above it counts."""
    out = False
    parts = path.split("/")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        folders = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        if pattern.startswith("**/"):
            fits = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            fits = any(
                folder.count("/") == pattern.count("/") and fnmatch.fnmatchcase(folder, pattern)
                for folder in folders
            )
        if fits:
            out = not line.startswith("!")
    return out


def copied(to: Path) -> None:
    """Do what the COPY instructions do."""
    for name, rest in instructions():
        if name != "COPY":
            continue
        *sources, target = shlex.split(rest)
        for source in sources:
            path = ROOT / source
            assert path.exists(), source
            files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            kept = [file for file in files if not ignored(file.relative_to(ROOT).as_posix())]
            assert kept, f"nothing of {source} is sent to the builder"
            for file in kept:
                inside = file.name if path.is_file() else file.relative_to(path)
                there = to / target / inside
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, there)


def test_each_instruction_is_one_that_there_is() -> None:
    known = {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE", "HEALTHCHECK",
             "ENTRYPOINT"}  # fmt: skip
    names = [name for name, _ in instructions()]
    assert set(names) == known
    assert names[0] == "FROM"
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))
    assert only("FROM") == "python:3.12-slim"
    assert only("USER") not in ("0", "root")


def test_shell_commands_can_be_parsed() -> None:
    for name, rest in instructions():
        if name == "RUN":
            done = subprocess.run(["bash", "-n", "-c", rest], capture_output=True, check=False)
            assert done.returncode == 0, done.stderr


def test_torch_comes_from_an_index_that_can_be_chosen() -> None:
    assert only("ARG").startswith("TORCH_INDEX=https://")
    assert only("ARG").endswith("/cpu")
    (install,) = [rest for name, rest in instructions() if name == "RUN" and "pip" in rest]
    assert '--extra-index-url "$TORCH_INDEX"' in install
    assert "-r requirements.txt" in install


@pytest.mark.parametrize(
    ("path", "sent"),
    [("app.py", True), ("deformviz/web/server.py", True), ("assets/images/cat.jpg", True),
     ("assets/trained/scale.safetensors", True), ("assets/recorded/scale.safetensors", True),
     ("deformviz/web/static/style.css", True), ("tests/conftest.py", False), (".git/HEAD", False),
     ("deformviz/__pycache__/cli.cpython-312.pyc", False), ("assets/screenshot.jpg", False),
     (".venv/bin/python", False), ("shared/secret.pth", False)],
)  # fmt: skip
def test_only_what_is_copied_is_sent(path: str, sent: bool) -> None:
    assert ignored(path) != sent


def test_it_serves_from_what_is_copied_and_is_healthy(tmp_path: Path) -> None:
    """With this environment's Python; where that can be, as another user, without rights."""
    app, home = tmp_path / "app", tmp_path / "home"
    copied(app)
    home.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    entry = json.loads(only("ENTRYPOINT"))
    assert entry[-4:] == ["--host", "0.0.0.0", "--port", "7860"]
    assert only("EXPOSE") == "7860"
    health = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    command = [sys.executable, *entry[1:-3], "127.0.0.1", "--port", port, "--device", "cpu"]
    settings = dict(
        pair.split("=", 1) for pair in shlex.split(only("ENV").replace("/tmp/deformviz", str(home)))
    )
    environment = {"PATH": os.environ["PATH"], **settings}
    other = as_another_user(app, home)
    process = subprocess.Popen(command, cwd=app, env=environment, **other)
    try:
        check = [sys.executable, *(part.replace("7860", port) for part in health[1:])]
        assert wait_until_healthy(check, process), "it was never healthy"
        url = f"http://127.0.0.1:{port}"
        assert b"deformviz" in urllib.request.urlopen(url, timeout=60).read()
    finally:
        process.terminate()
        process.wait(timeout=60)
    done = subprocess.run(check, capture_output=True, check=False)
    assert done.returncode != 0  # and says so when it is gone


def as_another_user(app: Path, home: Path) -> dict[str, int]:
    """How `subprocess` starts one as 1000, where this is root and Python is everybody's."""
    if os.geteuid() != 0:
        return {}
    try:
        subprocess.run(
            [sys.executable, "-c", f"open({str(app / 'app.py')!r})"],
            user=1000, group=1000, extra_groups=[], capture_output=True, check=True,
        )  # fmt: skip
    except (PermissionError, subprocess.CalledProcessError):  # a folder above is root's alone
        return {}
    os.chown(home, 1000, 1000)
    return {"user": 1000, "group": 1000}


def wait_until_healthy(check: list[str], process: subprocess.Popen[bytes]) -> bool:
    for _ in range(240):
        assert process.poll() is None, "the server ended before it was ready"
        if subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(0.5)
    return False
