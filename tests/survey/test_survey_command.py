"""`deformviz survey`, as it is typed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from surveyed import net, photos

from deformviz.arguments import parser
from deformviz.cli import main
from deformviz.survey.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
OWN = ["--model", "surveyed:net", "--size", "32", "48", "--batch", "4"]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a network, one in good health, and nine images."""
    photos(tmp_path / "photos", 9)
    torch.save(net().state_dict(), tmp_path / "net.pth")
    torch.save(net(0.5).state_dict(), tmp_path / "well.pth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_findings_end_with_1_and_leave_nothing_behind(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(there.iterdir())
    assert main(["survey", "net.pth", "--images", "photos", *OWN, "--json"]) == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert said.err == ""  # no progress where nobody watches
    assert told["images"] == 9
    assert [layer["name"] for layer in told["layers"]] == ["first.conv", "second.conv"]
    assert all(0 < found["images"] <= found["of"] == 9 for found in told["findings"])
    assert all((there / "photos" / found["first"]).is_file() for found in told["findings"])
    assert sorted(there.iterdir()) == before
    assert main(["survey", "net.pth", "--images", "photos", *OWN]) == 1
    text = capsys.readouterr().out
    assert "9 images, each at 32 x 48" in text
    assert f"of 9 images ({100 * told['findings'][0]['images'] / 9:.0f} %)" in text


def test_a_clean_bill(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["survey", "well.pth", "--images", "photos", *OWN, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (status, told["findings"]) == (0, [])


def test_the_state_that_was_asked_for_is_kept(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["survey", "net.pth", "--images", "photos", *OWN, "--state", "s", "--json"]
    assert main(command) == 1
    first = capsys.readouterr().out
    assert (there / "s").is_file()
    assert main(command) == 1
    assert capsys.readouterr().out == first
    assert main([*command, "--normalisation", "signed"]) == 2
    assert "normalisation differs" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["net.pth", "--images", "absent", *OWN], "Expected a folder of images"),
        (["absent.pth", "--images", "photos", *OWN], "no such file"),
        (["net.pth", "--images", "photos"], "holds weights alone"),
        (["net.pt2", "--images", "photos"], "--trust"),
        (["net.pth", "--images", "photos", *OWN, "--device", "toaster"], "no device 'toaster'"),
        (["net.pth", "--images", "photos", *OWN, "--state", "absent/s"], "No such file"),
    ],
)
def test_what_cannot_be_run_ends_with_2_and_one_line(
    there: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["survey", *arguments]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert said in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["net.pth"],
        ["net.pth", "--images", "photos", "--batch", "0"],
        ["net.pth", "--images", "photos", "--ray", "x"],
        ["net.pth", "--images", "photos", "--save-every", "-1"],
    ],
)
def test_options_that_make_no_sense(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["survey", *arguments])
    assert ended.value.code == 2


def test_ctrl_c_says_how_to_go_on(
    there: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: Progress, images: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", stopped)
    assert main(["survey", "net.pth", "--images", "photos", *OWN]) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert len(list(there.glob("net.*.survey"))) == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0, 120.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    stream = Terminal()
    progress = Progress(stream)
    progress.advance(50, 250)  # by an earlier run
    progress.advance(50, 250)
    assert "100 of 250 images, 5 images/s, 30 s left" in stream.getvalue()
    progress.advance(150, 250)
    assert stream.getvalue().count("\n") == 0
    assert "250 of 250 images, 10 images/s\x1b" in stream.getvalue()
    progress.end()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_neither_the_page_nor_ray_is_loaded(there: Path) -> None:
    code = (
        "import sys\nfrom deformviz.cli import main\n"
        "main(sys.argv[1:])\nprint('loaded', *sys.modules)"
    )
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", code, "survey", "net.pth", "--images", "photos", *OWN],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert not {"plotly", "gradio", "ray"} & set(done.stdout.rpartition("loaded")[2].split())
