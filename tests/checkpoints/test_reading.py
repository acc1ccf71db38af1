"""Honest checkpoints: what is listed and read is what torch.save and the others wrote."""

from __future__ import annotations

import argparse
import collections
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from deformviz.checkpoints.errors import CheckpointError
from deformviz.checkpoints.parsers.limits import Limits
from deformviz.checkpoints.reading import Checkpoint, open_checkpoint

State = dict[str, Tensor]


def state(seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    return {
        "conv.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "conv.bias": torch.randn(4, generator=generator),
        "bn.num_batches_tracked": torch.tensor(7 + seed),
    }


def saved(folder: Path, value: object, **options: Any) -> Checkpoint:
    path = folder / "net.pth"
    torch.save(value, path, **options)
    return open_checkpoint(path)


def assert_reads(checkpoint: Checkpoint, expected: State) -> None:
    """The same names in the same order, the same shapes, types and values."""
    assert checkpoint.shapes == {name: tuple(t.shape) for name, t in expected.items()}
    assert list(checkpoint.shapes) == list(expected)
    read = checkpoint.tensors(checkpoint.shapes)
    for name, tensor in expected.items():
        assert checkpoint.dtypes[name] == str(tensor.dtype).removeprefix("torch.")
        assert read[name].dtype == tensor.dtype
        assert read[name].is_contiguous()
        assert torch.equal(read[name], tensor)


class Config:
    """A class that the reader must not need."""

    def __init__(self) -> None:
        self.depth = 3


# ------------------------------------------------------------------------------------- wrappings

WRAPPINGS: dict[str, Callable[[State], object]] = {
    "bare": lambda s: s,
    "ordered": lambda s: collections.OrderedDict(s),
    "parameters": lambda s: {k: nn.Parameter(v, v.is_floating_point()) for k, v in s.items()},
    "state_dict": lambda s: {"epoch": 3, "state_dict": s, "best": 0.5},
    "model_state_dict": lambda s: {"model_state_dict": s, "epoch": torch.tensor(3)},
    "model": lambda s: {"model": s, "args": argparse.Namespace(lr=0.1, device=torch.device("cpu"))},
    "params": lambda s: {"params": s},
    "params_ema": lambda s: {"params": state(1), "params_ema": s},
    "ema": lambda s: {"model": state(1), "ema": {"module": s, "updates": 5}, "epoch": 3},
    "ema_state_dict": lambda s: {"state_dict": state(1), "ema_state_dict": s},
    "state_dict_ema": lambda s: {"state_dict_ema": s, "state_dict": state(1)},
    "generator": lambda s: {"discriminator": {"a.weight": torch.ones(2)}, "generator": s},
    "g_ema": lambda s: {"g": state(1), "d": state(2), "g_ema": s},
    "nested": lambda s: {"model": {"state_dict": s}, "meta": {"version": "1"}},
    "unknown": lambda s: {"my_own_key": s, "history": [0.1, 0.2]},
    "in a list": lambda s: [s, 3],
    "in an object": lambda s: {"run": [Config(), {"model": s}]},
    "class of its own": lambda s: {"state_dict": collections.defaultdict(int, s)},
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_state_dict_in_every_wrapping(tmp_path: Path, wrapping: str, legacy: bool) -> None:
    value = WRAPPINGS[wrapping](state())
    checkpoint = saved(tmp_path, value, _use_new_zipfile_serialization=not legacy)
    assert_reads(checkpoint, state())
    assert checkpoint.name == "net.pth"
    assert checkpoint.kind == ("torch, legacy format" if legacy else "torch")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle(tmp_path: Path, protocol: int, legacy: bool) -> None:
    value = {"state_dict": state(), "config": Config(), "set": {1, 2}, "bytes": b"abc"}
    form = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": not legacy}
    assert_reads(saved(tmp_path, value, **form), state())


def test_the_wrapper_is_named_and_others_can_be_taken(tmp_path: Path) -> None:
    value = {"generator": state(), "discriminator": state(1), "optimizer": {"state": state(2)}}
    checkpoint = saved(tmp_path, value)
    assert checkpoint.wrapper.taken == "generator"
    assert checkpoint.wrapper.others == ("discriminator",)
    other = open_checkpoint(tmp_path / "net.pth", take="discriminator")
    assert_reads(other, state(1))
    with pytest.raises(CheckpointError, match=r"generator.*discriminator.*critic"):
        open_checkpoint(tmp_path / "net.pth", take="critic")


def test_an_average_of_few_weights_is_none(tmp_path: Path) -> None:
    value = {"model": state(), "ema": {"decay": torch.tensor(0.999)}}
    checkpoint = saved(tmp_path, value)
    assert checkpoint.wrapper.taken == "model"
    assert checkpoint.notes == ()


def test_notes_say_what_was_taken_and_left_out(tmp_path: Path) -> None:
    mixed = {**state(), "version": "2", "config": Config()}
    notes = saved(tmp_path, {"ema": mixed, "model": state(1)}).notes
    assert "EMA weights taken" in notes
    assert "2 entries that are no tensors left out" in notes
    assert any("Config" in note and "unread" in note for note in notes)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_parallel_and_compiled_models_are_taken_off(
    tmp_path: Path, prefix: str
) -> None:
    value = {"steps": torch.tensor(3), **{prefix + name: t for name, t in state().items()}}
    assert_reads(saved(tmp_path, value), {"steps": torch.tensor(3), **state()})


def test_no_two_names_become_one(tmp_path: Path) -> None:
    value = {"module.a": torch.ones(1), "module.b": torch.ones(1), "a": torch.zeros(1)}
    assert_reads(saved(tmp_path, value), value)


# -------------------------------------------------------------------------------------- tensors

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn]
DTYPES += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
DTYPES += [torch.uint16, torch.uint32, torch.uint64, torch.complex64, torch.complex128]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_every_type_of_number(tmp_path: Path, dtype: torch.dtype, form: str) -> None:
    path = tmp_path / "file"
    tensor = torch.arange(6).reshape(2, 3).to(dtype)
    if form == "safetensors":
        if dtype == torch.complex128:
            pytest.skip("safetensors has none")
        save_file({"a": tensor}, path)
    else:
        torch.save({"a": tensor}, path, _use_new_zipfile_serialization=form == "zip")
    read = open_checkpoint(path).tensors(["a"])["a"]
    assert read.dtype == dtype
    assert torch.equal(read.view(torch.uint8), tensor.view(torch.uint8))


def test_views_strides_and_sizes_of_one(tmp_path: Path) -> None:
    base = torch.arange(120.0).reshape(4, 5, 6)
    value = {
        "transposed": base.permute(2, 0, 1),
        "sliced": base[1:3, ::2, 3],
        "offset": base[2],
        "number": torch.tensor(3.5),
        "none": torch.empty(0, 3),
        "ones": torch.arange(5).expand((1, -1)),
        "channels last": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "tied": base,
    }
    assert_reads(saved(tmp_path, value), {k: v.contiguous() for k, v in value.items()})


def test_only_what_is_asked_for_is_read_and_owns_its_memory(tmp_path: Path) -> None:
    base = torch.arange(1000.0)
    checkpoint = saved(tmp_path, {"a": base[10:13], "b": base})
    read = checkpoint.tensors(["a"])
    assert list(read) == ["a"]
    assert read["a"].untyped_storage().nbytes() == 12
    read["a"].zero_()
    assert torch.equal(checkpoint.tensors(["a"])["a"], base[10:13])


def test_a_conversion_leaves_whole_numbers_alone(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path, {"a": torch.ones(2).half(), "n": torch.tensor(3)})
    read = checkpoint.tensors(["a", "n"], dtype=torch.float32)
    assert read["a"].dtype == torch.float32
    assert read["n"].dtype == torch.int64


@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")
def test_tensors_that_are_no_plain_numbers_are_left_out(tmp_path: Path) -> None:
    quantised = torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8)
    value = {**state(), "sparse": torch.eye(3).to_sparse(), "array": np.ones(3), "q": quantised}
    checkpoint = saved(tmp_path, value)
    assert_reads(checkpoint, state())
    assert "3 entries that are no tensors left out" in checkpoint.notes


def test_an_unknown_name_and_too_much_at_once(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "net.pth")
    checkpoint = open_checkpoint(tmp_path / "net.pth", limits=Limits(read_bytes=100))
    assert checkpoint.tensors(["conv.bias"])["conv.bias"].shape == (4,)
    with pytest.raises(CheckpointError, match="at most 100 bytes"):
        checkpoint.tensors(["conv.weight"])
    with pytest.raises(CheckpointError, match="no tensor called"):
        checkpoint.tensors(["conv.width"])


# ---------------------------------------------------------------------------------- whole models


class Block(nn.Module):
    """A class of the writer's program; the reader imports neither it nor torch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("grid", torch.arange(4.0))
        self.register_buffer("passing", torch.zeros(1), persistent=False)
        self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1))])
        self.layers.append(self.layers[0])  # one module under two names
        self.scale = nn.Parameter(torch.ones(3))
        self.callback = Config()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_whole_model_is_read_without_its_classes(tmp_path: Path, legacy: bool) -> None:
    model = Block()
    checkpoint = saved(
        tmp_path, {"model": None, "ema": model}, _use_new_zipfile_serialization=not legacy
    )
    assert_reads(checkpoint, dict(model.state_dict()))
    assert any("whole model" in note and "Block" in note for note in checkpoint.notes)


def test_the_state_of_a_parallel_whole_model(tmp_path: Path) -> None:
    model = Block()
    assert_reads(saved(tmp_path, nn.DataParallel(model)), dict(model.state_dict()))


# --------------------------------------------------------------------------- safetensors and onnx


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "net.bin"  # by content, not by name
    save_file(state(), path, metadata={"format": "pt"})
    checkpoint = open_checkpoint(path)
    assert checkpoint.kind == "safetensors"
    expected = state()
    read = checkpoint.tensors(expected)
    assert checkpoint.shapes.keys() == expected.keys()
    assert all(torch.equal(read[name], expected[name]) for name in expected)


def onnx_model(tensors: list[onnx.TensorProto]) -> onnx.ModelProto:
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    info = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "net", info[:1], info[1:], initializer=tensors)
    return onnx.helper.make_model(graph)


@pytest.mark.parametrize("raw", [True, False])
def test_onnx(tmp_path: Path, raw: bool) -> None:
    weight, double = torch.rand(4, 3, 3, 3), torch.rand(2, dtype=torch.float64)
    values = {"weight": weight, "double": double, "number": torch.tensor(2.5)}
    if raw:
        values |= {"count": torch.tensor([3, 4]), "half": torch.rand(5).half()}
        tensors = [onnx.numpy_helper.from_array(t.numpy(), n) for n, t in values.items()]
    else:
        tensors = [
            onnx.helper.make_tensor(
                n,
                onnx.helper.np_dtype_to_tensor_dtype(t.numpy().dtype),
                t.shape,
                t.flatten().tolist(),
            )
            for n, t in values.items()
        ]
        tensors.append(onnx.helper.make_tensor("packed", onnx.TensorProto.INT64, [2], [1, 2]))
    path = tmp_path / "net.onnx"
    onnx.save(onnx_model(tensors), path)
    checkpoint = open_checkpoint(path)
    assert checkpoint.kind == "onnx"
    assert_reads(checkpoint, values)
    assert checkpoint.notes == (
        () if raw else ("1 initialisers that are no plain numbers left out",)
    )


# -------------------------------------------------------------------------------------- real files


@pytest.mark.parametrize("name", ["aliked-n16.pth", "scaled-mnist-dcnv2.pth"])
def test_real_files(shared_data: Path, name: str) -> None:
    checkpoint = open_checkpoint(shared_data / name)
    expected = torch.load(shared_data / name, weights_only=True, map_location="cpu")
    assert_reads(checkpoint, dict(expected))
    assert checkpoint.wrapper.taken is None
    assert checkpoint.notes == ()


# -------------------------------------------------------------------------------------- large files


def sparse_safetensors(path: Path, count: int) -> None:
    """A file of 2 GB and more that takes a few kilobytes of disk."""
    size = 1 << 22
    header = {
        f"layers.{n}.weight": {
            "dtype": "F32",
            "shape": [1024, 1024],
            "data_offsets": [n * size, (n + 1) * size],
        }
        for n in range(count)
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + count * size)


def test_a_large_safetensors_is_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "large"
    sparse_safetensors(path, 600)
    start = time.perf_counter()
    checkpoint = open_checkpoint(path)
    assert time.perf_counter() - start < 2
    assert path.stat().st_size > 2_000_000_000
    assert len(checkpoint.shapes) == 600
    name = "layers.599.weight"
    assert checkpoint.tensors([name])[name].shape == (1024, 1024)


@pytest.mark.parametrize("megabytes", [2_100, 5_000], ids=["2 GB", "5 GB, ZIP64"])
def test_a_large_torch_file_is_listed_at_once(tmp_path: Path, megabytes: int) -> None:
    """Written by torch, whose writer seeks nowhere: so on a sparse file, with holes for zeros."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        torch.save({"big": torch.empty(megabytes << 18), "small": torch.ones(3)}, Holes(file))
    assert path.stat().st_size > megabytes << 20
    start = time.perf_counter()
    checkpoint = open_checkpoint(path)
    assert time.perf_counter() - start < 2
    assert checkpoint.shapes == {"big": (megabytes << 18,), "small": (3,)}
    assert torch.equal(checkpoint.tensors(["small"])["small"], torch.ones(3))


class Holes:
    """A file that steps over what is large instead of writing it."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, data: bytes) -> int:
        size = memoryview(data).nbytes
        if size > 1 << 20:
            self.file.seek(size, os.SEEK_CUR)
        else:
            self.file.write(data)
        return size

    def flush(self) -> None:
        self.file.flush()


def test_ten_thousand_tensors_with_their_optimiser(tmp_path: Path) -> None:
    """Some three times what the largest published networks have, within the child's budget."""
    weights = {f"layer.{n}.weight": torch.zeros(1) for n in range(6_000)}
    moments = {n: {"exp_avg": torch.zeros(1), "step": torch.zeros(())} for n in range(6_000)}
    checkpoint = saved(tmp_path, {"model": weights, "optimizer": {"state": moments}})
    assert len(checkpoint.shapes) == 6_000
    assert checkpoint.wrapper.others == ()


# ---------------------------------------------------------------------------------------- the child


def test_the_child_imports_the_standard_library_alone() -> None:
    """And starts in a Python that has nothing else: -S hides all installed packages."""
    folder = Path(__file__).resolve().parents[2] / "deformviz" / "checkpoints"
    code = (
        f"import sys; sys.path.append({str(folder)!r}); import parsers.entry; "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'numpy', 'deformviz')])"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_python_2_byte_strings_are_names(tmp_path: Path) -> None:
    """As in files that torch wrote under Python 2: an OrderedDict made from a list of pairs."""
    path = tmp_path / "net.pth"
    torch.save({"ab": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    old = b"X\x02\x00\x00\x00ab"
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, b"U\x02ab"))
    assert_reads(open_checkpoint(path), {"ab": torch.ones(2)})


@pytest.mark.parametrize("weights", [{"a": 1}, {n: np.ones(100) for n in range(2000)}])
def test_a_plain_pickle_is_told_apart(tmp_path: Path, weights: object) -> None:
    path = tmp_path / "net.pkl"
    path.write_bytes(pickle.dumps(weights))
    with pytest.raises(CheckpointError, match=r"torch\.save did not write"):
        open_checkpoint(path)
