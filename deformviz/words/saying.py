"""Saying things in the language of the page; `viewer/static/words.js` does the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from .catalogue import PLACEHOLDER, Language, catalogue, patterns, placeholders

_BETWEEN_SENTENCES = re.compile(r"(?<=\.) (?=[A-Z])")

_SPOKEN: ContextVar[Language] = ContextVar("spoken", default="en")


def spoken() -> Language:
    """The language that is spoken now."""
    return _SPOKEN.get()


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Speak a language.

    Example:
        >>> with speaking("zh"):
        ...     say("tap {tap}", tap=3)
        '采样点 3'
        >>> say("tap {tap}", tap=3)
        'tap 3'
    """
    before = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(before)


def say(text: str, **values: object) -> str:
    """A text in the language that is spoken.

    Args:
        text: in English, with `{placeholders}`; or a whole sentence that the core has made.
        values: what stands in the placeholders' places, told already where it is to be told.

    Example:
        >>> with speaking("zh"):
        ...     say("In group 3, the taps fall together at 12 % of the positions, more than 10 %: "
        ...         "they lie at less than 0.25 of the regular kernel's distances there.")
        '第 3 组：在 12 % 的位置上采样点聚在一起（超过 10 %），间距不到规则卷积核的 0.25。'
    """
    return _filled(_told(text, spoken()) or text, values)


def _told(text: str, language: Language) -> str | None:
    """By a line of its own, by the pattern that says the most of it, or sentence by sentence."""
    words = catalogue(language)
    if text in words or not words:
        return words.get(text)
    for template in patterns(language):
        found = matched(template, text)
        if found is not None:
            return _filled(words[template], {n: _value(n, v, language) for n, v in found.items()})
    sentences = _BETWEEN_SENTENCES.split(text)
    if len(sentences) == 1:
        return None
    return "".join(_told(sentence, language) or f"{sentence} " for sentence in sentences)


def _value(name: str, value: str, language: Language) -> str:
    """What stands for a placeholder; a sentence within another begins with a small letter."""
    if not name.isupper():
        return value
    whole = _told(value, language) or _told(value[:1].upper() + value[1:], language)
    if whole is not None:
        return whole
    parts = [_told(part, language) or part for part in value.split(", ")]
    return catalogue(language)[", "].join(parts)


def matched(template: str, text: str) -> dict[str, str] | None:
    """What a text has in the places of a template's placeholders; None where it is another.

    Each takes as little as it can, and nothing is tried twice: a long name of a stranger's file
    costs no more than its length.

    >>> matched("expected {what}, got {value}", "expected on or off, got 7")
    {'what': 'on or off', 'value': '7'}
    """
    first, *literals = PLACEHOLDER.split(template)[::2]
    if not text.startswith(first) or not text.endswith(literals[-1] if literals else first):
        return None
    values, start = {}, len(first)
    for name, literal in zip(placeholders(template), [*literals[:-1], ""], strict=True):
        end = text.find(literal, start + 1) if literal else len(text) - len(literals[-1])
        if end <= start:
            return None
        values[name] = text[start:end]
        start = end + len(literal)
    return values


def _filled(text: str, values: Mapping[str, object]) -> str:
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), text)
