"""The viewer's modules in a row as one script: each once, after what it needs."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import plotly.colors
import pytest
import torch
from torchvision.utils import flow_to_image

import deformviz
from deformviz.analysis import log_edges
from deformviz.viewer import ViewState, bundle
from deformviz.viewer.bundle import STATIC, bundled, markup, script, style

MODULES = sorted(path.name for path in STATIC.glob("*.js"))
IMPORT = re.compile(r"^import\b.*?\bfrom '\./(?P<name>.*?)';$", re.MULTILINE | re.DOTALL)
DEFINED = re.compile(
    r"^(?:export )?(?:async )?(?:const|let|var|class|function\*?) +(?P<name>[\w$]+|[{\[])",
    re.MULTILINE,
)


def source(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def imported(name: str) -> list[str]:
    """The modules that a module names."""
    return [found["name"] for found in IMPORT.finditer(source(name))]


def filled(text: str) -> str:
    """Without the lines that are empty."""
    return "\n".join(line for line in text.splitlines() if line.strip())


def body(name: str) -> str:
    """A module without its imports, nor the marks of its exports."""
    return filled(re.sub(r"^export ", "", IMPORT.sub("", source(name)), flags=re.MULTILINE))


def constant(name: str) -> Any:
    """A constant that the bundle brings along, as JSON."""
    (line,) = [line for line in script().splitlines() if line.startswith(f"const {name} = ")]
    return json.loads(line.removeprefix(f"const {name} = ").removesuffix(";"))


def test_the_modules_are_found() -> None:
    assert {"mount.js", "viewer.js", "scene.js", "state.js"} <= set(MODULES)
    assert "scene.js" in imported("viewer.js")


# Each module


def _script_with(name: str) -> str:
    """The viewer's script, or that of the tab whose module it is."""
    if name.startswith("lesson"):
        return bundled("lessons.js", "deformvizLessons", ("mountLessons",))
    if name.startswith("train"):
        return bundled("train.js", "deformvizTrain", ("mountTrain",))
    return script()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_in_the_script_once_and_after_what_it_imports(name: str) -> None:
    whole = filled(_script_with(name))
    assert whole.count(body(name)) == 1
    for needed in imported(name):
        assert whole.index(body(needed)) < whole.index(body(name)), needed


def test_no_import_and_no_export_is_left() -> None:
    left = [line for line in script().splitlines() if re.match(r"\s*(import|export)\b", line)]
    assert left == []


def test_names_are_unique_across_modules() -> None:
    """In one script a second definition is an error, or takes the first one's place."""
    found = [match["name"] for name in MODULES for match in DEFINED.finditer(source(name))]
    assert len(found) > len(MODULES)
    assert not {"{", "["} & set(found)  # whose names would not be seen here
    given = ["PALETTES", "EDGES", "FIRST_STATE"]
    counts = Counter([*found, *given])
    assert [name for name, count in counts.items() if count > 1] == []


def test_names_that_are_imported_keep_their_names() -> None:
    """`import { a as b }` would leave b undefined in one script."""
    for name in MODULES:
        for found in IMPORT.finditer(source(name)):
            assert re.fullmatch(r"import \{[\w\s,]*\} from '\./[\w.]+';", found[0]), name
            assert " as " not in found[0], name


def test_it_is_a_script_that_defines_one_name(tmp_path: Path) -> None:
    """By the language's own parser, where there is one."""
    file = tmp_path / "viewer.js"
    file.write_text(script(), encoding="utf-8")
    try:
        done = subprocess.run(
            ["node", "--check", file], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("node is not installed: the browser's tests run the script itself")
    assert done.returncode == 0, done.stderr


def test_everything_is_inside_one_function() -> None:
    lines = script().strip().splitlines()
    assert lines[:2] == ["(() => {", "'use strict';"]
    exports = "ask, mount, mountEarly, mountInPage, t, viewMounted"
    assert lines[-2:] == [f"window.deformviz = {{ {exports} }};", "})();"]


# What Python and the browser share


@pytest.mark.parametrize(
    ("name", "scale"),
    [("Cividis", "Cividis"), ("Plasma", "Plasma"), ("PuOr", "PuOr"), ("Greys", "Greys_r")],
)
def test_a_scale_is_plotlys_own(name: str, scale: str) -> None:
    table = np.array(constant("PALETTES")[name])
    assert table.shape == (256, 3)
    steps = plotly.colors.sample_colorscale(scale, np.linspace(0, 1, 256), colortype="tuple")
    assert np.abs(table - 255 * np.array(steps)).max() <= 0.5 + 1e-9


def test_greys_run_from_black_to_white() -> None:
    table = np.array(constant("PALETTES")["Greys"])
    assert table[0].tolist() == [0, 0, 0]
    assert table[-1].tolist() == [255, 255, 255]


def test_the_perceptual_wheel_is_plotlys_cyclic_scale() -> None:
    phase = [plotly.colors.unlabel_rgb(color) for color in plotly.colors.cyclical.Phase]
    assert phase[0] == phase[-1]
    assert constant("PALETTES")["perceptual"] == [list(color) for color in phase[:-1]]


def test_the_middlebury_wheel_is_torchvisions() -> None:
    """A vector of full length at the angle of each hue has that hue."""
    wheel = np.array(constant("PALETTES")["Middlebury"])
    assert wheel.shape == (55, 3)
    angle = np.pi * (2 * np.arange(55) / 54 - 1)  # as its authors spread the hues
    flow = -np.stack((np.cos(angle), np.sin(angle)))[:, None]  # [2, 1, 55], (dx, dy)
    drawn = flow_to_image(torch.tensor(flow, dtype=torch.float32))[:, 0].T.numpy()
    assert np.abs(wheel - drawn).max() <= 2


def test_there_are_no_other_palettes() -> None:
    expected = {"Cividis", "Plasma", "PuOr", "Greys", "perceptual", "Middlebury"}
    assert set(constant("PALETTES")) == expected


def test_the_bins_begin_at_four_steps_to_a_decade() -> None:
    """To the last bit of float64, so that both count the same: JSON keeps each of them."""
    assert constant("EDGES") == log_edges()
    np.testing.assert_allclose(constant("EDGES"), np.logspace(-3, 3, 25), rtol=1e-15)


def test_a_link_need_not_mention_what_python_has_first() -> None:
    first = constant("FIRST_STATE")
    assert first == {field.name: field.default for field in fields(ViewState)}
    assert list(first) == [field.name for field in fields(ViewState)]


# The files beside it


def test_the_markup_has_the_parts_that_the_script_asks_for() -> None:
    html = markup()
    for kind in ("part", "action"):
        asked = set(re.findall(rf"\.{kind}\('([\w-]+)'\)", script()))
        assert asked, kind
        assert [name for name in asked if f'data-{kind}="{name}"' not in html] == []


def test_the_style_and_the_markup_load_nothing() -> None:
    for text in (style(), markup()):
        assert text.strip()
        assert not re.search(r"https?:|//|@import|url\((?!#)", text.replace("*/", ""))


def test_the_static_files_are_installed_with_the_package() -> None:
    """Each folder of files that are no modules is named where the package is described."""
    root = Path(deformviz.__file__).parent
    project = tomllib.loads((root.parent / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"]["package-data"]
    folders = {path.parent for path in root.rglob("static/*") if path.is_file()}
    assert bundle.STATIC in folders
    for folder in folders:
        package = ".".join(("deformviz", *folder.parent.relative_to(root).parts))
        assert data.get(package) == ["static/*"], package
