"""The catalogue of a language: English to its words."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Literal

Language = Literal["en", "zh"]

LANGUAGES: dict[Language, str] = {"en": "en", "zh": "zh-CN"}
"""Every language, as addresses have it, and as HTML's `lang` does."""

PLACEHOLDER = re.compile(r"\{(\w+)\}")


@lru_cache
def catalogue(language: Language) -> dict[str, str]:
    """English to words; empty for English itself.

    Example:
        >>> catalogue("zh")["Kernel"]
        '卷积核'
    """
    return _lines(language, "words") | _lines(language, "sentences")


@lru_cache
def patterns(language: Language) -> list[str]:
    """The sentences with placeholders; those with the most words of their own come first.

    Example:
        >>> "stride {pace}" in patterns("zh"), "group {group}" in patterns("zh")
        (True, False)
    """
    found = [text for text in _lines(language, "sentences") if PLACEHOLDER.search(text)]
    return sorted(found, key=lambda text: -len(PLACEHOLDER.sub("", text)))


def _lines(language: Language, part: str) -> dict[str, str]:
    """A part's sections as one: they are there for the reader alone."""
    if language == "en":
        return {}
    file = Path(__file__).parent / "static" / f"{language}.toml"
    sections = tomllib.loads(file.read_text(encoding="utf-8"))[part].values()
    return {text: words for section in sections for text, words in section.items()}


def placeholders(text: str) -> list[str]:
    """The names in braces, in their order.

    >>> placeholders("In group {group}, {SENTENCE}")
    ['group', 'SENTENCE']
    """
    return PLACEHOLDER.findall(text)
