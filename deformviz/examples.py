"""The example images that ship with the app, in ``assets/images`` beside this package.

    names()         # ["cat", "coffee", "glyphs", ...]
    path("cat")     # .../assets/images/cat.jpg

``assets/README.md`` says of each what it shows, who made it and under which licence.
"""

from __future__ import annotations

from pathlib import Path

from deformviz.images import ImageError

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "images"

_SUFFIXES = {".jpg", ".png"}


def names() -> list[str]:
    """List the examples, in alphabetical order.

    Returns:
        Names without a suffix; none where the package is installed without its assets.

    Example:
        >>> "cat" in names()
        True
    """
    return sorted(_files())


def path(name: str) -> Path:
    """Find the file of an example.

    Args:
        name: one of ``names()``. Looked up in that list, never joined to a path.

    Returns:
        The image file.

    Raises:
        ImageError: there is no example of that name.

    Example:
        >>> path("cat").name
        'cat.jpg'
    """
    files = _files()
    if name not in files:
        known = ", ".join(sorted(files)) or "none, the assets folder is missing"
        raise ImageError(f"There is no example image {name!r}. Choose one of: {known}.")
    return files[name]


def _files() -> dict[str, Path]:
    if not FOLDER.is_dir():
        return {}
    return {file.stem: file for file in FOLDER.iterdir() if file.suffix in _SUFFIXES}
