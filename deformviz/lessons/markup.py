"""The light markup of a lesson's text: paragraphs, lists, bold, code, numbers, and lights.

What it gives is plain data, never HTML: whatever a text holds is shown as the characters it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..viewer.state import OVERLAYS, short

PLACES = (
    "image",
    "output",
    "kernel",
    "formula",
    "histogram",
    "findings",
    "controls",
    "tasks",
    "more",
)
"""Parts of the page that words can light up."""

VIEW_CONTROLS = (
    "overlay",
    "arrows",
    "tap",
    "output",
    "input",
    "morph",
    "sweep",
    "pin",
    "moves",
    "layer",
)
"""Controls of the viewer that words can light up, as `control=NAME`."""

_NUMBER = re.compile(r"\{([a-z][a-z0-9_]*)(?::([0-6]))?\}")
_TOKENS = re.compile(
    r"`(?P<code>[^`]*)`|(?P<bold>\*\*)|\[(?P<words>[^\[\]]+)\]\((?P<target>[^()]*)\)|(?P<stray>[`{}])"
)


def check_text(text: str, numbers: Mapping[str, Any]) -> None:
    """Refuse what `blocks` would.

    Args:
        text: as a lesson's file has it.
        numbers: whose names `{name}` may have.

    Raises:
        ValueError: an unknown number or light, or a mark that is not closed.
    """
    for found in _NUMBER.finditer(text):
        if found[1] not in numbers:
            known = ", ".join(numbers) or "none"
            raise ValueError(f"{found[0]} names no number of this step, which has: {known}")
    blocks(fill(text, dict.fromkeys(numbers, 0.0)))


def fill(text: str, numbers: Mapping[str, float]) -> str:
    """Put numbers into a text: `{name}`, or `{name:3}` for three digits after the point.

    >>> fill("{taps} taps, {mask:1} and {mask}", {"taps": 9.0, "mask": -0.25})
    '9 taps, −0.2 and −0.25'
    """
    return _NUMBER.sub(lambda found: written(numbers[found[1]], found[2]), text)


def written(value: float, digits: str | None = None) -> str:
    """A number as a text has it: a whole one without a point, any other with two digits.

    >>> written(18.0), written(-1 / 3), written(-0.001), written(2.0, "1")
    ('18', '−0.33', '0.00', '2.0')
    """
    if digits is None and value == round(value):
        return f"{value:.0f}".replace("-", "−")
    text = f"{value:.{digits or 2}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def blocks(text: str) -> list[dict[str, Any]]:
    """A text as the paragraphs and list items that the page shows.

    Returns:
        {"item": whether it is one of a list, "parts": [{"text", and "bold", "code" or "light"}]}
        each; a light is [name, value].

    Raises:
        ValueError: an unknown light, or a mark that is not closed.

    Example:
        >>> blocks("See [tap 4](light:tap=4).")[0]["parts"][1]
        {'text': 'tap 4', 'light': ['tap', '4']}
    """
    found = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in paragraph.splitlines()]
        if all(line.startswith("- ") for line in lines):
            found += [{"item": True, "parts": _parts(line[2:])} for line in lines]
        else:
            found.append({"item": False, "parts": _parts(_joined(lines))})
    return found


def _joined(lines: list[str]) -> str:
    """Lines in a row; between two Chinese characters, there is no space."""
    text = " ".join(lines)
    return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])", "", text)


def _parts(text: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    bold, end = False, 0

    def add(words: str, **marks: Any) -> None:  # noqa: ANN401
        if words:
            parts.append({"text": words, **({"bold": True} if bold else {}), **marks})

    for found in _TOKENS.finditer(text):
        add(text[end : found.start()])
        end = found.end()
        if found["stray"]:
            raise ValueError(f"a {found['stray']} stands alone near {short(text[found.start() :])}")
        if found["bold"]:
            bold = not bold
        elif found["target"] is not None:
            add(found["words"], light=list(_light(found["target"])))
        else:
            add(found["code"], code=True)
    add(text[end:])
    if bold:
        raise ValueError(f"a ** is not closed in {short(text)}")
    return parts


def _light(target: str) -> tuple[str, str]:
    """The name and value of a light.

    Raises:
        ValueError: it is none that the page has.
    """
    name, _, value = target.removeprefix("light:").partition("=")
    known = (
        (name in PLACES and not value)
        or (name == "tap" and value.isascii() and value.isdigit() and len(value) <= 3)
        or (name == "overlay" and value in OVERLAYS)
        or (name == "morph" and value in ("0", "1"))
        or (name == "control" and value in VIEW_CONTROLS)
    )
    if not target.startswith("light:") or not known:
        raise ValueError(
            f"a light must be light: and one of {', '.join(PLACES)}, tap=NUMBER, overlay=NAME, "
            f"morph=0, morph=1 or control=NAME; got {short(target)}"
        )
    return name, value
