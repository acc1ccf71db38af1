"""The few classes and functions whose meaning matters to a list of tensors, by name.

Their meaning is written out here; none is imported and none is called. All others stay names.
"""

from __future__ import annotations

from collections.abc import Callable

from .dtypes import BYTES, QUANTISED, STORAGES
from .inert import OPAQUE, Global, Inert, Mapping, Storage, Tensor
from .refusal import Attack, damaged, quoted

# Names that no honest checkpoint holds. The list is a courtesy to the person who would open the
# file elsewhere, not a defence: nothing that a file names is ever run here, listed or not.
_ROOTS = {"os", "posix", "nt", "subprocess", "sys", "pty", "socket", "shutil", "ctypes", "runpy"}
_ROOTS |= {"importlib", "webbrowser", "asyncio", "pip", "timeit", "pdb"}
_ANYWHERE = {"os", "posix", "subprocess", "__builtins__", "__globals__", "__subclasses__"}
_LAST = {"system", "popen", "eval", "exec", "execfile", "execWrapper", "runstring", "__import__"}
_BUILTINS = {"compile", "open", "input", "breakpoint", "globals", "locals", "vars", "setattr"}
_BUILTINS |= {"delattr", "apply", "reload"}
_LONGEST_NAME = 300
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


def named(module: object, name: object) -> Global:
    """Return a name, refusing those that would run a stranger's commands in an ordinary loader."""
    if not isinstance(module, str) or not isinstance(name, str):
        raise Attack(
            "This file computes the names of the functions it wants to call, which no honest "
            "checkpoint does. Nothing was run. Do not open it with torch.load."
        )
    if len(module) + len(name) > _LONGEST_NAME:
        raise damaged("is damaged: it names a function by hundreds of letters")
    path = f"{_PYTHON_2.get(module, module)}.{name}"
    if _is_attack(path.split(".")):
        raise Attack(
            f"This file asks Python to run {quoted(path)}, which no honest checkpoint does. "
            "Nothing was run. Do not open it with torch.load; ask its author for safetensors."
        )
    return Global(path)


def _is_attack(parts: list[str]) -> bool:
    if parts[0] in _ROOTS or parts[-1] in _LAST:
        return True
    return not _ANYWHERE.isdisjoint(parts) or (parts[0] == "builtins" and parts[1] in _BUILTINS)


def call(function: object, args: object) -> object:
    """Say what a call makes, as far as a list of tensors needs to know."""
    if not isinstance(function, Global):
        return Inert("an unnamed object", args)
    meaning = _MEANINGS.get(function.path)
    if meaning is not None and isinstance(args, tuple):
        made = meaning(args)
        if made is not None:
            return made
    return Inert(function.path, args)


def storage_of(key: tuple[object, ...]) -> Storage | None:
    """Read ("storage", type, key, location, count); the legacy format has a sixth, see view_of."""
    if len(key) not in (5, 6) or key[0] != "storage" or not isinstance(key[1], Global):
        return None
    module, _, kind = key[1].path.rpartition(".")
    name, count = key[2], key[4]
    if module not in {"torch", "torch.cuda", "torch.storage"}:
        return None
    dtype = STORAGES.get(kind)
    size = BYTES[dtype] if dtype else QUANTISED.get(kind)
    if size is None or type(count) is not int or not 0 <= count < 1 << 56:
        return None
    if not isinstance(name, str | int) or len(str(name)) > 100:
        return None
    return Storage(str(name), dtype, size, count)


def view_of(root: Storage, view: object) -> Storage | None:
    """Read (key of the view, first element, elements), which torch before 0.4 wrote."""
    if not isinstance(view, tuple) or len(view) != 3:
        return None
    first, count = view[1], view[2]
    if type(first) is not int or type(count) is not int or min(first, count) < 0:
        return None
    if first + count > root.count:
        return None
    made = Storage(root.key, root.dtype, root.item_bytes, root.count)
    made.first, made.view = first, count
    return made


# --------------------------------------------------------------------------------------- meanings
# Each takes the arguments of the call and returns None where they are not what they should be.


def _mapping(args: tuple[object, ...]) -> object:
    """Return a mapping of what it is made from, which is moved, not copied.

    A copy would cost a hundred thousand steps for one operation, as often as a file asks for it.
    """
    made = Mapping()
    source = args[0] if args else None
    if isinstance(source, Mapping):
        made.pairs = source.pairs
    elif isinstance(source, list):  # Python 2 gave an OrderedDict its items so
        made.pairs = [(p[0], p[1]) for p in source if isinstance(p, list | tuple) and len(p) == 2]
        source.clear()
    return made


def _set(args: tuple[object, ...]) -> object:
    return args[0] if args and isinstance(args[0], list) else []


def _first(args: tuple[object, ...]) -> object:
    """Return the tensor of a parameter, the tuple of a torch.Size."""
    return args[0] if args and isinstance(args[0], Tensor | tuple) else None


def _tensor(args: tuple[object, ...]) -> object:
    if len(args) < 4 or not isinstance(args[0], Storage) or args[0].dtype is None:
        return None
    return Tensor(args[0], args[0].dtype, args[1], args[2], args[3])


def _tensor_with_dtype(args: tuple[object, ...]) -> object:
    """Return a tensor of a type that has no storage class: the storage is one of bytes."""
    if len(args) < 7 or not isinstance(args[0], Storage) or not isinstance(args[6], Global):
        return None
    dtype = args[6].path.removeprefix("torch.")
    if args[0].dtype != "uint8" or dtype not in BYTES:
        return None
    return Tensor(args[0], dtype, args[1], args[2], args[3])


def _from_type(args: tuple[object, ...]) -> object:
    """Return a tensor with attributes, or of a subclass: (function, type, its arguments, state)."""
    if len(args) < 3 or not isinstance(args[0], Global) or args[0].path not in _REBUILDS:
        return None
    return call(args[0], args[2])


def _attribute(args: tuple[object, ...]) -> object:
    """Return the name of a nested class, which older pickle protocols reach with getattr."""
    if len(args) != 2 or not isinstance(args[1], str):
        raise Attack(
            "This file computes the names of what it wants to use, which no honest checkpoint "
            "does. Nothing was run. Do not open it with torch.load."
        )
    return named(args[0].path if isinstance(args[0], Global) else "object", args[1])


def _reconstructed(args: tuple[object, ...]) -> object:
    """Return an object of pickle protocols 0 and 1: (class, base, state)."""
    return Inert(args[0].path) if args and isinstance(args[0], Global) else None


def _opaque(_: tuple[object, ...]) -> object:
    return OPAQUE


_REBUILDS: dict[str, Callable[[tuple[object, ...]], object]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_with_dtype,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
}

_MEANINGS: dict[str, Callable[[tuple[object, ...]], object]] = {
    **_REBUILDS,
    "torch._tensor._rebuild_from_type": _from_type,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.tensor._rebuild_from_type": _from_type,
    "torch.nn.parameter.Parameter": _first,
    "torch.nn.parameter.Buffer": _first,
    "torch.Size": _first,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda _: Mapping(),
    "collections.Counter": _mapping,
    "builtins.dict": _mapping,
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "builtins.list": _set,
    "builtins.bytearray": _opaque,
    "builtins.bytes": _opaque,
    "builtins.complex": _opaque,
    "builtins.slice": _opaque,
    "builtins.range": _opaque,
    "builtins.getattr": _attribute,
    "_codecs.encode": _opaque,
    "copyreg._reconstructor": _reconstructed,
    "torch.device": _opaque,
    "torch.serialization._get_layout": _opaque,
}
