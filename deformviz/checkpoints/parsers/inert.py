"""What a pickle becomes here: names, and records of what was to be done. Nothing acts.

No class below has a method, so that no value can be made to do anything. Values are never hashed,
compared, copied or printed: a pickle of forty bytes can nest a tuple so deep that the interpreter
crashes on its hash, or so often in itself that its text would fill the disk.
"""

from __future__ import annotations


class Opaque:
    """A value that no listing needs: bytes, a long number, an extension."""

    __slots__ = ()


OPAQUE = Opaque()


class Global:
    """The name of a class or function, as the file has it. It is never looked up."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


class Mapping:
    """A dictionary, as pairs in the order of the file; a later one replaces an earlier."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[object, object]] = []


class Inert:
    """An object that was to be made by a class or function, with what it was to be given."""

    __slots__ = ("args", "elements", "pairs", "path", "state")

    def __init__(self, path: str, args: object = None) -> None:
        self.path = path
        self.args = args
        self.state: object = None
        self.pairs: list[tuple[object, object]] | None = None
        self.elements: list[object] | None = None


class Storage:
    """A run of numbers of one type, somewhere in the file.

    ``dtype`` is None for quantised types. ``first`` and ``view`` are the part that a view of the
    legacy format takes: from which element on, and how many of them.
    """

    __slots__ = ("count", "dtype", "first", "item_bytes", "key", "view")

    def __init__(self, key: str, dtype: str | None, item_bytes: int, count: int) -> None:
        self.key = key
        self.dtype = dtype
        self.item_bytes = item_bytes
        self.count = count
        self.first = 0
        self.view = count


class Tensor:
    """A view of a storage, unchecked: offset, shape and stride are whatever the file says."""

    __slots__ = ("dtype", "offset", "shape", "storage", "stride")

    def __init__(
        self, storage: Storage, dtype: str, offset: object, shape: object, stride: object
    ) -> None:
        self.storage = storage
        self.dtype = dtype
        self.offset = offset
        self.shape = shape
        self.stride = stride
