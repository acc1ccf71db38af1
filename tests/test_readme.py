"""Every example and every path of the README, tried."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deformviz.training.numbers import read, table
from deformviz.web import server
from deformviz.web.explore_tab import FIRST

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEED = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the examples have defined so far: they build on each other, top to bottom."""
    return {}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    page = server.launch("cpu", prevent_thread_lock=True, quiet=True)
    yield str(page.local_url)
    page.close()


def test_there_is_an_example_of_each_use() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("index", range(3))
def test_an_example_of_a_use_runs(
    index: int,
    names: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[index], names)
    if index == 0:
        assert 'class="dv-viewer' in (tmp_path / "view.html").read_text(encoding="utf-8")
    if index == 1:
        total, output = map(float, capsys.readouterr().out.split("\n")[-2].split())
        assert total == pytest.approx(output, abs=1e-6)
    if index == 2:
        assert names["samplings"][0].points_at(10, 20).shape == (1, 9, 2)
        assert 'class="dv-viewer' in (tmp_path / "layers.html").read_text(encoding="utf-8")


def test_the_example_for_programs_runs(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    code = BLOCKS[3]
    assert "http://127.0.0.1:7860" in code
    names: dict[str, Any] = {}
    exec(code.replace("http://127.0.0.1:7860", address), names)
    assert names["result"]["region"] in range(3)
    tap = FIRST.dilation  # the page's own dilation, as the example names none
    assert names["result"]["points"][0][0] == [10 - tap, 20 - tap]
    assert names["result"]["points"][0][4] == [10, 20]


def test_every_path_in_the_readme_is_there() -> None:
    linked = re.findall(r"\]\((?!http)([^)]+)\)", README)
    named = re.findall(r"`((?:assets|benchmarks|deformviz|tests)/[\w./]+)`", README)
    assert linked
    assert [path for path in linked + named if not (ROOT / path).exists()] == []


def test_the_numbers_of_trainings_are_those_that_were_measured() -> None:
    measured = table(read())
    rows = [line for line in README.splitlines() if line.startswith("|") and "±" in line]
    assert len(rows) == 7
    assert [row for row in rows if row not in measured.splitlines()] == []
    said = dict(re.findall(r"(CoordConv) gets ([0-9.]+ ± [0-9.]+)\s+right", README))
    _, _, quadrant = measured.partition("**coordinates, quadrant**")
    line = next(line for line in quadrant.splitlines() if line.startswith("| CoordConv"))
    assert line.split("|")[-2].strip() == said["CoordConv"]
    agreement = next(line for line in measured.splitlines() if line.startswith("| guide"))
    (words,) = re.findall(
        r"agrees with regions that nobody showed it\s+by ([0-9.]+ ± [0-9.]+)", README
    )
    assert agreement.split("|")[-2].strip() == words
    accuracy = {
        name: float(next(line for line in _rows_of(measured, "regions") if name in line).split()[3])
        for name in ("DRConv", "plain")
    }
    assert ("its plain twin filters them better" in README.replace("\n", " ")) == (
        accuracy["plain"] > accuracy["DRConv"]
    )


def _rows_of(measured: str, task: str) -> list[str]:
    """The lines of one task's tables."""
    return measured.partition(f"**{task}**")[2].partition("**")[0].splitlines()


def test_what_is_said_of_speed_was_measured() -> None:
    def row(name: str) -> float:
        (line,) = (line for line in SPEED.splitlines() if line.startswith(f"| {name} |"))
        return float(line.split("|")[2].split()[0])

    ways = ("forward", "forward + backward")
    for title, how in (
        ("torchvision's operator", ""),
        ("the same, with `compile=True`", ", compile=True"),
    ):
        told = [
            tuple(row(f"deform_conv2d, {way}{how}: {what}") for what in ("mean", "least"))
            for way in ways
        ]
        (line,) = (line for line in README.splitlines() if line.startswith(f"| {title} |"))
        assert [
            tuple(map(float, re.findall(r"[0-9]+\.[0-9]", cell))) for cell in line.split("|")[2:4]
        ] == [tuple(round(value, 1) for value in pair) for pair in told]
    for shape, title in (
        ("64 × 56², kernel 3, m = 8", "DRConv, against m convolutions: 64 channels, m = 8"),
        ("128 × 64², kernel 3, m = 16", "DRConv: 128 channels, m = 16"),
    ):
        told_of = ("forward", "forward + backward, guide fixed", "forward + backward, guide learns")
        measured = [round(row(f"dr_conv2d, {shape}, {way}"), 1) for way in told_of]
        (line,) = (line for line in README.splitlines() if line.startswith(f"| {title} |"))
        said = re.findall(r"[0-9]+\.[0-9]", "|".join(line.split("|")[2:]))
        assert list(map(float, said)) == measured
    (change,) = re.findall(r"a control's change is a picture after (\d+) ms", README)
    assert int(change) == round(row("change to picture"))


def test_every_make_target_in_the_readme_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make (\w+)", README, flags=re.MULTILINE))
    assert {"run", "test", "lint"} <= named
    assert [target for target in named if f"\n{target}:" not in makefile] == []
