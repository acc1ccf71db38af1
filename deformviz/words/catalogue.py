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
    """English to words; empty for English itself. Sections are there for the reader alone.

    Example:
        >>> catalogue("zh")["Kernel"]
        '卷积核'
    """
    if language == "en":
        return {}
    text = (Path(__file__).parent / f"{language}.toml").read_text(encoding="utf-8")
    return {key: words for section in tomllib.loads(text).values() for key, words in section.items()}


def placeholders(text: str) -> list[str]:
    """The names in braces, in their order.

    >>> placeholders("In group {group}, {SENTENCE}")
    ['group', 'SENTENCE']
    """
    return PLACEHOLDER.findall(text)
