"""The shipped images: each is there, small, decodable and accounted for."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from deformviz import examples
from deformviz.images import ImageError, decode

README = examples.FOLDER.parent / "README.md"
NAMES = ["cat", "coffee", "glyphs", "grid", "retina", "rocket"]


def test_names_are_what_is_shipped() -> None:
    assert examples.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_small_file_of_about_512_pixels(name: str) -> None:
    file = examples.path(name)
    assert file.stat().st_size < 150_000
    photo = decode(file)
    assert photo.notes == ()  # nothing has to be shrunk, flattened or turned
    assert 440 <= max(photo.pixels.shape[:2]) <= 512
    assert photo.pixels.std() > 25  # there is something to see


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_listed_with_author_source_and_licence(name: str) -> None:
    file = f"images/{examples.path(name).name}"
    rows = [line for line in README.read_text("utf-8").splitlines() if f"`{file}`" in line]
    assert len(rows) == 1
    what, author, source, licence = [cell.strip() for cell in rows[0].strip("|").split("|")][1:]
    assert min(len(what), len(author), len(source)) > 5
    assert licence in {"CC0 1.0", "public domain", "the project's own"}


def test_the_readme_lists_no_file_that_is_not_shipped() -> None:
    listed = set(re.findall(r"^\| `images/(\S+)`", README.read_text("utf-8"), re.MULTILINE))
    assert listed == {examples.path(name).name for name in NAMES}


@pytest.mark.parametrize("name", ["../README", "../x", "cat.jpg", "", "/etc/passwd", "CAT", "a\0b"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ImageError) as caught:
        examples.path(name)
    message = str(caught.value)
    assert repr(name) in message
    assert message.endswith("Choose one of: cat, coffee, glyphs, grid, retina, rocket.")
    assert str(examples.FOLDER) not in message


def test_without_assets_there_are_no_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(examples, "FOLDER", tmp_path / "missing")
    assert examples.names() == []
    with pytest.raises(ImageError, match="assets folder is missing"):
        examples.path("cat")


def test_the_drawings_are_what_their_script_draws() -> None:
    """Redrawn, they are the shipped ones but for what another version of Pillow may round."""
    drawn = runpy.run_path(str(README.parent / "draw.py"))["test_card"]()
    shipped = decode(examples.path("grid")).pixels
    assert np.abs(np.asarray(drawn).astype(int) - shipped).mean() < 2
