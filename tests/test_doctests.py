"""The examples in the docstrings are run: what they show is what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

import deformviz


def modules(package: ModuleType) -> Iterator[str]:
    """The names of a package and of every module below it, apart from the web app."""
    yield package.__name__
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if found.name == "deformviz.web" or found.name.endswith(".__main__"):
            continue
        if found.ispkg:
            yield from modules(importlib.import_module(found.name))
        else:
            yield found.name


NAMES = list(modules(deformviz))


def test_the_modules_are_found() -> None:
    assert {"deformviz.sampling", "deformviz.operators.deform_conv"} <= set(NAMES)
    assert not [n for n in NAMES if n.startswith("deformviz.web")]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    torch.manual_seed(0)
    result = doctest.testmod(module)
    assert result.failed == 0, f"{result.failed} examples of {name} fail: see the output above"
    assert module.__file__ is not None
    if ">>>" in Path(module.__file__).read_text(encoding="utf-8"):
        assert result.attempted > 0, f"{name} holds examples that doctest does not find"
