"""The operations of pickle on the stack, the memo, containers and objects.

They move references: none copies, hashes, compares or calls a value.
"""

from __future__ import annotations

from .inert import OPAQUE, Inert, Mapping, Tensor
from .known import named
from .literals import Operation
from .machine import Machine
from .refusal import damaged

_NAMING_COSTS = 10  # steps of the budget: a name is looked at letter by letter

# ------------------------------------------------------------------------------- stack and memo


def mark(m: Machine) -> None:
    """Begin to collect."""
    m.marks.append(m.stack)
    m.stack = []


def pop(m: Machine) -> None:
    """Drop the top value, or the mark that is there instead."""
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


def pop_mark(m: Machine) -> None:
    """Drop everything since the mark."""
    m.pop_mark()


def duplicate(m: Machine) -> None:
    """Push the top value once more."""
    m.stack.append(m.stack[-1])


def get(count: int) -> Operation:
    """Push a remembered value, by a number of so many bytes."""
    return lambda m: m.stack.append(m.memo[m.unsigned(count)])


def put(count: int) -> Operation:
    """Remember the top value by such a number."""
    return lambda m: m.remember(m.unsigned(count))


def get_line(m: Machine) -> None:
    """Push a remembered value, by a number in digits."""
    m.stack.append(m.memo[int(m.line()[:20])])


def put_line(m: Machine) -> None:
    """Remember the top value by such a number."""
    m.remember(int(m.line()[:20]))


def memoize(m: Machine) -> None:
    """Remember the top value by the next number."""
    m.remember(len(m.memo))


# ----------------------------------------------------------------------------------- containers


def marked_tuple(m: Machine) -> None:
    """Everything since the mark, as a tuple."""
    items = m.pop_mark()
    m.stack.append(tuple(items))


def short_tuple(count: int) -> Operation:
    """The top one, two or three values, as a tuple."""

    def operation(m: Machine) -> None:
        if len(m.stack) < count:
            raise IndexError
        m.stack[-count:] = [tuple(m.stack[-count:])]

    return operation


def marked_list(m: Machine) -> None:
    """Everything since the mark, as a list; sets are lists here as well."""
    items = m.pop_mark()
    m.stack.append(items)


def marked_mapping(m: Machine) -> None:
    """Everything since the mark, as a mapping."""
    items = m.pop_mark()
    m.stack.append(Mapping())
    _set_pairs(m, items)


def append(m: Machine) -> None:
    """One value to the list below it."""
    value = m.stack.pop()
    _extend(m, [value])


def extend(m: Machine) -> None:
    """Everything since the mark to the list below it."""
    items = m.pop_mark()
    _extend(m, items)


def set_item(m: Machine) -> None:
    """One pair to the mapping below it."""
    value = m.stack.pop()
    _set_pairs(m, [m.stack.pop(), value])


def set_items(m: Machine) -> None:
    """All pairs since the mark to the mapping below it."""
    items = m.pop_mark()
    _set_pairs(m, items)


def _extend(m: Machine, items: list[object]) -> None:
    target = m.stack[-1]
    if isinstance(target, list):
        target.extend(items)
    elif isinstance(target, Inert):
        target.elements = target.elements or []
        target.elements.extend(items)
    elif target is not OPAQUE:
        raise damaged("is damaged: it appends to what is no list")


def _set_pairs(m: Machine, items: list[object]) -> None:
    target = m.stack[-1]
    pairs = zip(items[::2], items[1::2], strict=True)
    if isinstance(target, Mapping):
        target.pairs.extend(pairs)
    elif isinstance(target, Inert):
        target.pairs = target.pairs or []
        target.pairs.extend(pairs)
    elif target is not OPAQUE:
        raise damaged("is damaged: it sets items of what has none")


# -------------------------------------------------------------------------------------- objects


def global_line(m: Machine) -> None:
    """A name, written as two lines."""
    m.budget -= _NAMING_COSTS
    module = m.line().decode("utf-8")
    m.stack.append(named(module, m.line().decode("utf-8")))


def global_stack(m: Machine) -> None:
    """A name, taken as two strings from the stack."""
    m.budget -= _NAMING_COSTS
    name, module = m.stack.pop(), m.stack.pop()
    m.stack.append(named(module, name))


def extension(count: int) -> Operation:
    """A class by a number of a table that only the writer had."""

    def operation(m: Machine) -> None:
        m.skip(count)
        m.stack.append(OPAQUE)

    return operation


def reduce(m: Machine) -> None:
    """A call, recorded: REDUCE, and NEWOBJ, which calls the class's __new__."""
    args, function = m.stack.pop(), m.stack.pop()
    m.stack.append(m.call(function, args))


def new_with_keywords(m: Machine) -> None:
    """The same with keyword arguments, which nothing here asks for."""
    m.stack.pop()
    reduce(m)


def instance_line(m: Machine) -> None:
    """A class by two lines, and its arguments since the mark."""
    global_line(m)
    function = m.stack.pop()
    args = tuple(m.pop_mark())
    m.stack.append(m.call(function, args))


def instance_stack(m: Machine) -> None:
    """A class and its arguments, all since the mark."""
    function, *args = m.pop_mark()
    m.stack.append(m.call(function, tuple(args)))


def build(m: Machine) -> None:
    """A state, kept beside its object. Tensors and mappings have attributes that say nothing."""
    state, target = m.stack.pop(), m.stack[-1]
    if isinstance(target, Inert):
        target.state = state
    elif not isinstance(target, Mapping | Tensor | list | tuple) and target is not OPAQUE:
        raise damaged("is damaged: it gives a state to what has none")


def persistent(m: Machine) -> None:
    """Numbers that lie outside the pickle."""
    m.stack.append(m.persistent(m.stack.pop()))
