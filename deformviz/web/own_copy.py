"""A visitor's own copy of what was uploaded.

Gradio has one file for all uploads of equal content, which it touches, replaces and deletes when
others come: who has it open would be told that it has changed.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


class OwnCopy:
    """A copy that is deleted when nobody holds this any more, and when the server ends.

    Attributes:
        path: of the copy; the file's name is the upload's.
        size: in bytes.

    Raises:
        OSError: there is no such upload, or no room for a copy.

    Example:
        >>> copy = OwnCopy(Path(__file__))
        >>> copy.path.name, copy.path.read_bytes() == Path(__file__).read_bytes()
        ('own_copy.py', True)
    """

    def __init__(self, upload: Path) -> None:
        folder = tempfile.mkdtemp(prefix="deformviz-open-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.path = Path(shutil.copyfile(upload, Path(folder) / upload.name))
        self.size = self.path.stat().st_size
