"""The viewer's JavaScript as one script, for the page and for files that must stand alone.

The modules of `static/` are plain ES modules, for editors and linters. No module loader works in a
page opened from disk, so they are put in a row, what each needs before it, without their import and
export marks: their names are unique across files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ..analysis import log_edges
from ..figures.colors import color_table, direction_tables
from ..words import Language, catalogue, patterns, say, speaking
from .state import ViewState

STATIC = Path(__file__).parent / "static"
ENTRY = "mount.js"

_IMPORT = re.compile(r"^import \{[^}]*\} from '\./([\w.]+)';\n", re.MULTILINE)
_WORDS = re.compile(r"(>\s*)([^<>\s][^<>]*?)(\s*<)")
_SAID = re.compile(r'(\b(?:title|aria-label|placeholder|alt)=")([^"]+)(")')
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|class|function))", re.MULTILINE)


@lru_cache
def script(language: Language = "en") -> str:
    """All modules as one classic script, that defines `window.deformviz.mount`."""
    constants = (
        f"const PALETTES = {json.dumps(_palettes(), separators=(',', ':'))};\n"
        f"const EDGES = {json.dumps(log_edges())};\n"
        f"{words_for(language)}"
        f"const FIRST_STATE = {json.dumps(ViewState().json())};\n"
    )
    exports = ("ask", "mount", "mountEarly", "mountInPage", "t", "viewMounted")
    return bundled(ENTRY, "deformviz", exports, constants)


def words_for(language: Language) -> str:
    """The constants with which a script speaks a language."""
    return (
        f"const LANGUAGE = {json.dumps(language)};\n"
        f"const CATALOGUE = {json.dumps(catalogue(language), ensure_ascii=False)};\n"
        f"const PATTERNS = {json.dumps(patterns(language), ensure_ascii=False)};\n"
    )


def bundled(entry: str, name: str, exports: Sequence[str], constants: str = "") -> str:
    """A module and all that it needs as one classic script, that defines `window[name]`.

    Args:
        entry: a file of `static/`.
        name: of the object that has the exports.
        exports: names of the entry.
        constants: what the modules take for given.
    """
    modules = "\n".join(_plain(module) for module in _in_order(entry, []))
    return (
        f"(() => {{\n'use strict';\n{constants}"
        f"{modules}\nwindow.{name} = {{ {', '.join(exports)} }};\n}})();\n"
    )


@lru_cache
def markup(language: Language = "en") -> str:
    """The viewer's HTML, the same for every picture."""
    return told_markup(_source("viewer.html"), language)


def told_markup(html: str, language: Language) -> str:
    """HTML of ours with its words in a language."""

    def told(found: re.Match[str]) -> str:
        before, text, after = found.groups()
        return f"{before}{say(text)}{after}"

    with speaking(language):
        return _SAID.sub(told, _WORDS.sub(told, html))


def style() -> str:
    """The viewer's style sheet."""
    return (STATIC / "viewer.css").read_text(encoding="utf-8")


def _source(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _in_order(name: str, found: list[str]) -> list[str]:
    """The modules that `name` needs, and then itself; each once."""
    for needed in _IMPORT.findall(_source(name)):
        if needed not in found:
            _in_order(needed, found)
    found.append(name)
    return found


def _plain(name: str) -> str:
    return f"// --- {name}\n{_EXPORT.sub('', _IMPORT.sub('', _source(name)))}"


def _palettes() -> dict[str, list[list[int]]]:
    """The colours of Python's figures, so that the browser's are the same: [n][3] by name."""
    tables = {
        "Greys" if name == "Greys_r" else name: color_table(name).tolist()
        for name in ("Cividis", "Plasma", "PuOr", "Greys_r")
    }
    return tables | {name: table.tolist() for name, table in direction_tables().items()}
