"""What the tests of attacks share."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def quarantine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the current one and that for temporary files: what appears is seen."""
    folder = tmp_path / "quarantine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder
