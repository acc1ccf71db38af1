"""The direction of imports: the ground floor needs neither plotly nor gradio, nor what uses them.

Read from the source, file by file, so that a lazy import inside a function counts as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "deformviz"
FILES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))

DRAWING = {"plotly", "deformviz.figures", "deformviz.viewer"}
SERVING = {"gradio", "starlette", "deformviz.web"}

FORBIDDEN: dict[str, set[str]] = {
    "deformviz/sampling.py": DRAWING | SERVING,
    "deformviz/operators": DRAWING | SERVING,
    "deformviz/analysis": DRAWING | SERVING,
    "deformviz/checkpoints": DRAWING | SERVING,
    "deformviz/training": DRAWING | SERVING | {"deformviz.explore", "deformviz.inspection"},
    "deformviz/inspection": DRAWING | SERVING,
    "deformviz/survey": DRAWING | SERVING,
    "deformviz/figures": SERVING | {"deformviz.viewer"},
    "deformviz/viewer": SERVING,
}
"""A file or folder, and what nothing in it may import. `SERVING` is for the web app and the
command line alone, wherever a file lies."""

DOOR = ("deformviz/sampling.py", "deformviz.viewer")
"""`Sampling.show` opens the viewer. A method that opens it is a door, not a dependency: the file
needs the viewer for nothing else, so it is imported when the method is called, and its name for
the types alone; `import deformviz` still loads neither plotly nor gradio. No other file has one."""

GROUND = {"torch", *sys.stdlib_module_names}
"""All that sampling.py may import; safetensors inside the functions that save and load, the viewer
through its door, numpy for the types alone."""


@dataclass(frozen=True)
class Import:
    """One imported name in full, whether it is inside a function, and whether for types alone."""

    name: str
    lazy: bool
    typing: bool = False

    def reaches(self, target: str) -> bool:
        return self.name == target or self.name.startswith(f"{target}.")


def imports(source: str, file: Path) -> list[Import]:
    """What a file imports, relative names resolved; `from a import b` counts as a.b."""
    package = list(file.with_suffix("").parts)[:-1]  # __init__.py and its neighbours alike
    found: list[Import] = []

    def visit(node: ast.AST, lazy: bool, typing: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, lazy, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            names = [".".join([*base, alias.name]) for alias in node.names]
            found.extend(Import(name, lazy, typing) for name in names)
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside, typing or _is_for_types(node, child))

    visit(ast.parse(source), False, False)
    return found


def _is_for_types(node: ast.AST, child: ast.AST) -> bool:
    """Whether `child` is what an `if TYPE_CHECKING:` holds, which never runs."""
    guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return guarded and child in node.body


def breaches(source: str, file: Path) -> list[str]:
    """The imports of a file that its place forbids."""
    rules = [
        targets
        for place, targets in FORBIDDEN.items()
        if file == Path(place) or Path(place) in file.parents
    ]
    if Path("deformviz/web") not in file.parents and file != Path("deformviz/cli.py"):
        rules.append(SERVING)
    forbidden = set().union(*rules)
    return [
        i.name
        for i in imports(source, file)
        if any(i.reaches(t) for t in forbidden) and not _through_the_door(i, file)
    ]


def _through_the_door(i: Import, file: Path) -> bool:
    """What the viewer itself offers, not its modules."""
    place, target = DOOR
    offered = target in (i.name, i.name.rpartition(".")[0])
    return file == Path(place) and offered and (i.lazy or i.typing)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_import_runs_back_up(file: Path) -> None:
    assert breaches((ROOT / file).read_text(encoding="utf-8"), file) == []


@pytest.mark.parametrize("name", ["geometry", "sampling"])
def test_the_ground_imports_torch_alone(name: str) -> None:
    file = Path(f"deformviz/{name}.py")
    found = imports((ROOT / file).read_text(encoding="utf-8"), file)
    assert any(i.reaches("torch") for i in found)
    for i in found:
        top = i.name.split(".")[0]
        ground = top in GROUND or (top == "safetensors" and i.lazy)
        if name == "sampling":
            ground |= i.reaches("deformviz.geometry") or (top == "numpy" and i.typing)
            ground |= _through_the_door(i, file)
        assert ground, i


def test_the_door_is_used() -> None:
    """An exception that nobody needs any more is to go."""
    place, target = DOOR
    found = imports((ROOT / place).read_text(encoding="utf-8"), Path(place))
    assert any(i.reaches(target) and i.lazy for i in found)


@pytest.mark.parametrize(
    ("file", "source", "found"),
    [
        ("deformviz/operators/new.py", "import plotly.graph_objects as go", "plotly.graph_objects"),
        ("deformviz/operators/new.py", "from ..figures import grid", "deformviz.figures.grid"),
        ("deformviz/analysis/new.py", "from .. import web", "deformviz.web"),
        ("deformviz/analysis/new.py", "def f():\n    import gradio", "gradio"),
        ("deformviz/analysis/__init__.py", "from ..web.app import x", "deformviz.web.app.x"),
        ("deformviz/analysis/deep/new.py", "from ...figures import x", "deformviz.figures.x"),
        ("deformviz/figures/new.py", "from deformviz.web import theme", "deformviz.web.theme"),
        ("deformviz/figures/new.py", "import gradio as gr", "gradio"),
        ("deformviz/sampling.py", "from .figures import x", "deformviz.figures.x"),
        ("deformviz/new.py", "from .web.theme import x", "deformviz.web.theme.x"),
        ("deformviz/new/new.py", "def f():\n    from ..web import x", "deformviz.web.x"),
        ("deformviz/viewer/new.py", "import gradio as gr", "gradio"),
        ("deformviz/viewer/new.py", "from ..web.asked import x", "deformviz.web.asked.x"),
        ("deformviz/viewer/new.py", "def f():\n    import starlette", "starlette"),
        ("deformviz/viewer/new.py", "from starlette.routing import x", "starlette.routing.x"),
        ("deformviz/figures/new.py", "from ..viewer import View", "deformviz.viewer.View"),
        ("deformviz/operators/new.py", "from ..viewer import View", "deformviz.viewer.View"),
        ("deformviz/analysis/new.py", "import deformviz.viewer", "deformviz.viewer"),
        # The door: of this file alone, to the viewer alone, and not before a method is called.
        ("deformviz/sampling.py", "from .viewer import View", "deformviz.viewer.View"),
        ("deformviz/sampling.py", "if x:\n    from .viewer import View", "deformviz.viewer.View"),
        ("deformviz/sampling.py", "class A:\n    from .viewer import x", "deformviz.viewer.x"),
        (
            "deformviz/sampling.py",
            "def f():\n    from .viewer.wire import x",
            "deformviz.viewer.wire.x",
        ),
        ("deformviz/sampling.py", "def f():\n    import plotly", "plotly"),
        ("deformviz/sampling.py", "def f():\n    from .figures import x", "deformviz.figures.x"),
        ("deformviz/sampling.py", "def f():\n    from .web import x", "deformviz.web.x"),
        (
            "deformviz/operators/new.py",
            "def f():\n    from ..viewer import x",
            "deformviz.viewer.x",
        ),
        ("deformviz/analysis/new.py", "def f():\n    from ..viewer import x", "deformviz.viewer.x"),
        ("deformviz/figures/new.py", "def f():\n    from ..viewer import x", "deformviz.viewer.x"),
        ("deformviz/operators/sampling.py", "def f():\n    import plotly", "plotly"),
        (
            "deformviz/operators/new.py",
            "if TYPE_CHECKING:\n    from ..viewer import View",
            "deformviz.viewer.View",
        ),
        (
            "deformviz/sampling.py",
            "if TYPE_CHECKING:\n    pass\nelse:\n    from .viewer import View",
            "deformviz.viewer.View",
        ),
    ],
)
def test_a_breach_is_found(file: str, source: str, found: str) -> None:
    assert breaches(source, Path(file)) == [found]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("deformviz/figures/new.py", "import plotly\nfrom ..analysis import terms_at"),
        ("deformviz/operators/new.py", "import torch\nfrom ..sampling import Sampling"),
        ("deformviz/operators/new.py", "from .webbing import x\nimport gradiometer"),
        ("deformviz/web/new.py", "import gradio\nfrom ..figures import grid"),
        ("deformviz/cli.py", "def f():\n    from .web import app"),
        ("deformviz/viewer/new.py", "import plotly\nfrom ..figures.colors import x"),
        ("deformviz/web/new.py", "import starlette\nfrom ..viewer import View"),
        ("deformviz/new.py", "import plotly\nfrom .viewer import View"),
        ("deformviz/sampling.py", "def f():\n    from .viewer import View"),
        ("deformviz/sampling.py", "class A:\n    def f(self):\n        import deformviz.viewer"),
        ("deformviz/sampling.py", "if TYPE_CHECKING:\n    from .viewer import View"),
    ],
)
def test_what_is_allowed_is_no_breach(file: str, source: str) -> None:
    assert breaches(source, Path(file)) == []


@pytest.mark.parametrize("missing", [False, True], ids=["installed", "not installed"])
def test_the_package_loads_neither_plotly_nor_gradio(missing: bool) -> None:
    """In a Python of its own; then in one where both, and the web app, cannot be imported."""
    unwanted = sorted(DRAWING | SERVING)
    hide = f"sys.modules.update(dict.fromkeys({unwanted!r}))" if missing else ""
    code = f"""
import sys
{hide}
import deformviz, deformviz.operators, deformviz.analysis
print(sorted(name for name in {unwanted!r} if sys.modules.get(name) is not None))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
