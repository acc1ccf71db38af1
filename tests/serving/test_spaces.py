"""The front matter of a Hugging Face Space, by that hub's own parser."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import RepoCard

ROOT = Path(__file__).resolve().parents[2]
# https://huggingface.co/docs/hub/spaces-config-reference
COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def test_the_front_matter_is_one_that_spaces_take() -> None:
    card = RepoCard.load(ROOT / "docs" / "spaces.md")
    data = card.data.to_dict()
    assert data["sdk"] == "docker"
    assert {data["colorFrom"], data["colorTo"]} <= COLORS
    assert len(data["title"]) > 0
    assert len(data["short_description"]) <= 60
    assert len(data["emoji"].encode("utf-16-le")) == 4  # one character
    assert "license" not in data
    assert card.text.strip().startswith("# deformviz")


def test_its_port_is_the_containers() -> None:
    data = RepoCard.load(ROOT / "docs" / "spaces.md").data.to_dict()
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^EXPOSE (\d+)$", dockerfile, re.M) == [str(data["app_port"])]


def test_what_is_to_be_copied_there_is_there() -> None:
    text = (ROOT / "docs" / "serving.md").read_text().partition("## On Hugging Face Spaces")[2]
    named = re.findall(r"`([\w./]+)`", text.partition("copy it there with")[2])
    assert named == ["app.py", "requirements.txt", "Dockerfile", "assets", "deformviz"]
    assert all((ROOT / name).exists() for name in named)
