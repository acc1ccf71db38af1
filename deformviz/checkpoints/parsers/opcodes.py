"""The operations of pickle, protocols 0 to 5, and the walk over them.

Python's own unpickler is not used, not even a restricted one: it still hashes keys, sizes its memo
by a number that the file chooses, follows dotted names and calls what `find_class` returned. Here
an operation moves values between the stack, the memo and records of what was to be done; none
calls, imports, hashes, compares or copies a value, so that each costs little and none acts.
"""

from __future__ import annotations

from typing import NoReturn

from . import literals as lit
from . import structures as on
from .inert import Mapping
from .machine import Machine
from .refusal import Refused, damaged

_STOP = ord(".")


def run(machine: Machine) -> object:
    """Walk one pickle to its end and return its value, in inert form.

    Raises:
        Refused: it is damaged, too long, or names what only an attack names.
        IndexError, KeyError, ValueError, struct.error: it is damaged; the child's main says so.

    Example:
        >>> import pickle
        >>> run(Machine(pickle.dumps({"epoch": 3}))).pairs
        [('epoch', 3)]
    """
    data, table = machine.data, _TABLE
    while machine.budget > 0:
        machine.budget -= 1
        code = data[machine.at]
        machine.at += 1
        if code == _STOP:
            return machine.stack.pop()
        table[code](machine)
    raise Refused(
        "This file lists far more than the weights of a network. "
        "Save the network's state_dict alone, without the optimiser and logs."
    )


def _unknown(_: Machine) -> NoReturn:
    raise damaged("is damaged: its pickle holds an unknown operation")


# As listed in the standard library's pickle.py. Not here: PERSID, which torch cannot write, and
# the buffers of protocol 5, which lie outside the file.
_OPERATIONS: dict[bytes, lit.Operation] = {
    b"\x80": lambda m: m.skip(1),  # PROTO
    b"\x95": lambda m: m.skip(8),  # FRAME
    b"N": lit.push(None),
    b"\x88": lit.push(True),
    b"\x89": lit.push(False),
    b"I": lit.integer_line,
    b"L": lit.integer_line,
    b"J": lit.number("<i"),
    b"K": lit.unsigned(1),
    b"M": lit.unsigned(2),
    b"\x8a": lit.long(1),
    b"\x8b": lit.long(4),
    b"F": lit.float_line,
    b"G": lit.number(">d"),
    b"S": lit.string_line,
    b"T": lit.text(4),
    b"U": lit.text(1),
    b"V": lit.unicode_line,
    b"X": lit.text(4),
    b"\x8c": lit.text(1),
    b"\x8d": lit.text(8),
    b"B": lit.skipped(4),
    b"C": lit.skipped(1),
    b"\x8e": lit.skipped(8),
    b"\x96": lit.skipped(8),
    b"(": on.mark,
    b"0": on.pop,
    b"1": on.pop_mark,
    b"2": on.duplicate,
    b"h": on.get(1),
    b"j": on.get(4),
    b"g": on.get_line,
    b"q": on.put(1),
    b"r": on.put(4),
    b"p": on.put_line,
    b"\x94": on.memoize,
    b")": lit.push(()),
    b"t": on.marked_tuple,
    b"\x85": on.short_tuple(1),
    b"\x86": on.short_tuple(2),
    b"\x87": on.short_tuple(3),
    b"]": lit.new(list),
    b"l": on.marked_list,
    b"a": on.append,
    b"e": on.extend,
    b"\x8f": lit.new(list),  # EMPTY_SET
    b"\x90": on.extend,  # ADDITEMS
    b"\x91": on.marked_list,  # FROZENSET
    b"}": lit.new(Mapping),
    b"d": on.marked_mapping,
    b"s": on.set_item,
    b"u": on.set_items,
    b"c": on.global_line,
    b"\x93": on.global_stack,
    b"\x82": on.extension(1),
    b"\x83": on.extension(2),
    b"\x84": on.extension(4),
    b"R": on.reduce,
    b"\x81": on.reduce,  # NEWOBJ
    b"\x92": on.new_with_keywords,
    b"i": on.instance_line,
    b"o": on.instance_stack,
    b"b": on.build,
    b"Q": on.persistent,
}

_TABLE: list[lit.Operation] = [_unknown] * 256
for _code, _operation in _OPERATIONS.items():
    _TABLE[_code[0]] = _operation
