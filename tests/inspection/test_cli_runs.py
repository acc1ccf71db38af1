"""The command line with a photo: the network runs, and what it did is reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_networks import Small, healthy, seeded, trained_epochs
from torch import nn

import deformviz
from deformviz.checkpoints.pictures import _NAMED
from deformviz.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photo, the weights of two networks, and a program."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    torch.save(healthy().state_dict(), tmp_path / "net.pth")
    torch.save(seeded().state_dict(), tmp_path / "new.pth")
    program = torch.export.export(healthy(), (torch.rand(1, 3, 32, 64),))
    torch.export.save(program, tmp_path / "net.pt2")
    return tmp_path


@pytest.fixture
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the current folder."""
    monkeypatch.chdir(folder)
    return folder


class Loud(Small):
    """Prints as it is made."""

    def __init__(self) -> None:
        super().__init__()
        print("building ...")


class Fails(Small):
    """Does not run."""

    def forward(self, x: Any) -> Any:
        a, b = x  # two values out of a batch of one
        return a + b


class Plain(nn.Module):
    """Has no deformable layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)

    def forward(self, x: Any) -> Any:
        return self.stem(x)


def leaves() -> nn.Module:
    """Ends the program that imports it."""
    sys.exit("not today")


OWN = ["--image", "photo.png", "--model", "small_networks:Small"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["net.pth", *OWN], 0),
        (["new.pth", *OWN], 1),
        (["net.pt2", "--image", "photo.png", "--trust"], 0),
        (["net.pth"], 0),
        (["new.pth"], 1),
        (["net.pth", *OWN, "--size", "64", "32"], 0),
        (["net.pth", "--image", "photo.png", "--model", f"{__name__}:Loud"], 0),
    ],
)
def test_status_and_layers(
    there: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    assert main(["check", *arguments, "--json"]) == status
    told = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in told["layers"]] == ["first", "second"]
    kinds = {"untrained"} if status else set()
    assert {found["kind"] for found in told["findings"]} == kinds
    for layer in told["layers"]:
        assert layer["family"] == "mmcv DCNv2"
        if "--image" in arguments:
            assert layer["verified"]["ok"]
    assert main(["check", *arguments]) == status
    text = capsys.readouterr().out
    assert "first" in text
    assert ("order verified: 2 of 2 layers" in text) == ("--image" in arguments)


def test_a_program_gives_what_the_live_model_gives(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for arguments in (["net.pth", *OWN], ["net.pt2", "--image", "photo.png", "--trust"]):
        main(["check", *arguments, "--size", "32", "64", "--json"])
        told.append(json.loads(capsys.readouterr().out)["layers"])
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["net.pth", "--image", "photo.png"], "holds weights alone"),
        (["net.pth", "--model", "small_networks:Small"], "give --image"),
        (["net.pth", "--image", "no.png", "--model", "small_networks:Small"], "no such file"),
        (["net.pth", "--image", "net.pth", "--model", "small_networks:Small"], "PNG"),
        (
            ["net.pth", "--image", "photo.png", "--model", "small_networks"],
            "package.module:factory",
        ),
        (["net.pth", "--image", "photo.png", "--model", "absent:Net"], "no module 'absent'"),
        (["net.pth", "--image", "photo.png", "--model", "small_networks:No"], "has no 'No'"),
        (["net.pth", "--image", "photo.png", "--model", f"{__name__}:Plain"], "does not fit"),
        (
            ["net.pth", "--image", "photo.png", "--model", f"{__name__}:Plain", "--loose"],
            "2 deformable layers, but none of them ran",
        ),
        (
            ["net.pth", "--image", "photo.png", "--model", f"{__name__}:Fails"],
            r"ValueError: not enough values to unpack (expected 2, got 1) (",
        ),
        (["net.pth", "--image", "photo.png", "--model", f"{__name__}:leaves"], "not today"),
        (["absent.pth", *OWN], "no such file"),
        (["net.pt2"], "may run any code"),
        (["net.pt2", "--image", "photo.png"], "--trust"),
        (["net.pt2", "--image", "photo.png", "--trust", "--size", "64", "64"], "32 x 64 alone"),
        (["net.pt2", "--image", "photo.png", "--trust", "--model", "a:b"], "runs by itself"),
        (["absent.pt2", "--image", "photo.png", "--trust"], "no file absent.pt2"),
        (["net.pth", "--html", "absent/page.html"], "No such file or directory"),
    ],
)
def test_what_cannot_be_run_ends_with_2_and_one_line(
    there: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["check", *arguments]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert said in error
    assert main(["check", *arguments, "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"error"}
    assert said in told["error"]


def test_an_error_in_the_models_own_code_says_where(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", "net.pth", "--image", "photo.png", "--model", f"{__name__}:Fails"])
    assert f"({Path(__file__)}, line " in capsys.readouterr().err


def test_what_loose_loading_leaves_out_is_told(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {key: t for key, t in healthy().state_dict().items() if not key.startswith("head")}
    torch.save(state, there / "part.pth")
    assert main(["check", "part.pth", *OWN]) == 2
    assert "--loose" in capsys.readouterr().err
    assert main(["check", "part.pth", *OWN, "--loose"]) == 0
    assert "2 weights of the model are not in the file, head.weight the first" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("size", [["0", "64"], ["64", "9000"], ["64", "x"], ["64"]])
def test_sizes_that_make_no_sense(there: Path, size: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "net.pth", *OWN, "--size", *size])
    assert ended.value.code == 2


def test_the_normalisations_are_those_there_are() -> None:
    from deformviz.arguments import parser

    for name in _NAMED:
        options = parser().parse_args(["check", "net.pth", "--normalisation", name])
        assert options.normalisation == name


# -------------------------------------------------------------------------------- several files


def test_a_series_is_in_natural_order_and_judged_by_its_last(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [path.name for path in trained_epochs(there)]
    assert main(["series", *reversed(names), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == ["epoch_0.pth", "epoch_2.pth", "epoch_10.pth"]
    assert told["layers"][0]["numbers"]["untrained"] == [1, 0, 0]
    assert main(["compare", *reversed(names), "--json"]) == 1  # as given: the untrained is the last
    assert json.loads(capsys.readouterr().out)["files"] == names[::-1]
    assert main(["compare", "epoch_2.pth", "epoch_10.pth"]) == 0
    assert "pattern moved px" in capsys.readouterr().out


def test_a_series_of_runs(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "new.pth", "net.pth", *OWN, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"][0]["numbers"]["dilation"][0] == 1
    assert told["layers"][0]["changes"]["offsets"][0] > 0.1


@pytest.mark.parametrize("files", [["net.pth"], ["net.pth", "absent.pth"], ["net.pt2", "net.pth"]])
def test_a_series_that_cannot_be_read(
    there: Path, capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    for command in ("compare", "series"):
        assert main([command, *files, "--json"]) == 2
        assert set(json.loads(capsys.readouterr().out)) == {"error"}


# ----------------------------------------------------------------------------------- the viewer


@pytest.mark.parametrize("options", [[], OWN])
def test_a_file_alone_opens_the_viewer(
    there: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("tempfile.tempdir", str(there))
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert main(["net.pth", *options]) == 0
    path = Path(capsys.readouterr().out.removeprefix("The viewer is in ").strip())
    assert opened == [path.as_uri()]
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "mmcv DCNv2, 3 \\u00d7 3" in page or "mmcv DCNv2, 3 × 3" in page
    assert main(["net.pth", *options, "--save", "page.html"]) == 0
    assert len(opened) == 1
    assert (there / "page.html").read_text(encoding="utf-8") == page


def test_a_check_also_writes_the_page(there: Path) -> None:
    assert main(["check", "new.pth", *OWN, "--html", "page.html"]) == 1
    assert "untrained" in (there / "page.html").read_text(encoding="utf-8")


def test_nothing_to_show(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(Plain().state_dict(), "plain.pth")
    assert main(["plain.pth", "--save", "page.html"]) == 2
    assert "nothing to show" in capsys.readouterr().err
    assert not (there / "page.html").exists()


# ------------------------------------------------------------------------------ help, and speed


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Exit status: 0 for a clean bill" in capsys.readouterr().out
    for command in ("view", "check", "compare", "series", "survey"):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        told = " ".join(capsys.readouterr().out.split())
        assert "Loading one may run any code" in told
        assert "--model package.module:factory" in told


@pytest.mark.parametrize(
    ("arguments", "left_out"),
    [
        ([], {"torch", "numpy", "plotly", "gradio"}),
        (["--version"], {"torch", "numpy", "plotly", "gradio"}),
        (["check", "net.pth"], {"plotly", "gradio", "onnxruntime", "torch.utils.benchmark"}),
        (["compare", "net.pth", "new.pth", "--json"], {"plotly", "gradio", "onnxruntime"}),
    ],
)
def test_nothing_is_loaded_that_is_not_needed(
    folder: Path, arguments: list[str], left_out: set[str]
) -> None:
    code = (
        "import sys\nfrom deformviz.cli import main\ntry: main(sys.argv[1:])\n"
        "except SystemExit: pass\nprint('loaded', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True,
        check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert not left_out & set(done.stdout.rpartition("loaded")[2].split())


def test_public_names_are_there() -> None:
    for name in deformviz.__all__:
        assert getattr(deformviz, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        deformviz.nothing  # noqa: B018
