"""Which commit made something: the code's, as git itself says it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deformviz.training.origin import commit_of

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("code/a.py", "assets/a.bin", ".gitignore"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("*.pyc\n" if name == ".gitignore" else "first")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_the_commit_is_the_one_that_is_checked_out(repository: Path) -> None:
    assert commit_of(repository / "code") == git(repository, "rev-parse", "HEAD")[:12]


def test_what_is_made_does_not_change_the_code(repository: Path) -> None:
    (repository / "assets" / "a.bin").write_text("second")
    (repository / "code" / "a.pyc").write_text("compiled")
    assert not commit_of(repository / "code").endswith("-dirty")


@pytest.mark.parametrize("name", ["a.py", "new.py"])
def test_changed_code_is_told(repository: Path, name: str) -> None:
    (repository / "code" / name).write_text("second")
    commit = git(repository, "rev-parse", "HEAD")[:12]
    assert commit_of(repository / "code") == f"{commit}-dirty"


def test_a_folder_that_git_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_of(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", "")
    assert commit_of(tmp_path) == "unknown"
