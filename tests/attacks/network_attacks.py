"""ONNX graphs that ask for more than they should; each takes one image of 3 x 32 x 32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
h, FLOAT, INT, BOOL = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, 9

Attack = Callable[[], bytes]


def graph_of(
    nodes: list[Any], tensors: dict[str, Any], shape: tuple[Any, ...] = (1, 3, 32, 32)
) -> Any:
    held = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()]
    return h.make_graph(
        nodes,
        "attack",
        [h.make_tensor_value_info("x", FLOAT, shape)],
        [h.make_tensor_value_info("y", FLOAT, None)],
        held,
    )


def model_of(*parts: Any, **more: Any) -> Any:
    opsets = [h.make_opsetid("", 19), h.make_opsetid("mmcv", 1)]
    return h.make_model(graph_of(*parts, **more), opset_imports=opsets, ir_version=9)


def layer(before: list[Any], tensors: dict[str, Any], source: str, count: int = 1) -> Any:
    """So many deformable layers of one pixel that read what the nodes before them give."""
    offset = [
        h.make_node("Slice", [source, "zero", "two", "one"], ["pair"]),
        h.make_node("Mul", ["pair", "nothing"], ["offset"]),
    ]
    layers = [
        h.make_node("DeformConv", [source, "weight", "offset"], ["y" if i == 0 else f"y{i}"])
        for i in range(count)
    ]
    fixed = {
        "weight": np.ones((1, 3, 1, 1), np.float32),
        "nothing": np.float32(0),
        "zero": np.array([0]),
        "two": np.array([2]),
        "one": np.array([1]),
    }
    return model_of([*before, *offset, *layers], tensors | fixed)


def honest() -> bytes:
    return layer([], {}, "x").SerializeToString()


def hundred_gigabytes() -> bytes:
    nodes = [h.make_node("ConstantOfShape", ["size"], ["huge"])]
    nodes += [h.make_node("ReduceSum", ["huge"], ["sum"]), h.make_node("Add", ["x", "sum"], ["z"])]
    return layer(nodes, {"size": np.array([25_000_000_000])}, "z").SerializeToString()


def expanded() -> bytes:
    """The image, a hundred thousand times over."""
    nodes = [h.make_node("Expand", ["x", "size"], ["z"])]
    return layer(nodes, {"size": np.array([10_000_000, 3, 32, 32])}, "z").SerializeToString()


def doubled() -> bytes:
    """No single value asks for much more than the one before."""
    nodes = [
        h.make_node("Concat", [f"z{i}" if i else "x"] * 2, [f"z{i + 1}"], axis=3) for i in range(30)
    ]
    return layer(nodes, {}, "z30").SerializeToString()


def _loop(state_grows: bool) -> bytes:
    i, go = h.make_tensor_value_info("i", INT, []), h.make_tensor_value_info("go", BOOL, [])
    state, after = (h.make_tensor_value_info(n, FLOAT, None) for n in "st")
    body = [h.make_node("Identity", ["go"], ["again"])]
    body += [h.make_node("Concat", ["s", "s"], ["t"], axis=3) if state_grows
             else h.make_node("Sin", ["s"], ["t"])]  # fmt: skip
    outs = [h.make_tensor_value_info("again", BOOL, []), after]
    inner = h.make_graph(body, "body", [i, go, state], outs)
    node = h.make_node("Loop", ["many", "yes", "x"], ["z"], body=inner)
    return layer([node], {"many": np.array(10**9), "yes": np.array(True)}, "z").SerializeToString()


def endless() -> bytes:
    return _loop(state_grows=False)


def growing_loop() -> bytes:
    return _loop(state_grows=True)


def external() -> bytes:
    model = layer([], {}, "x")
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    tensor.ClearField("raw_data")
    return model.SerializeToString()


def unknown_operator() -> bytes:
    node = h.make_node("MMCVModulatedDeformConv2d", ["x"], ["y"], domain="mmcv")
    return model_of([node], {}).SerializeToString()


def lying_weight() -> bytes:
    model = layer([], {}, "x")
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1, 3, 100_000, 100_000])
    return model.SerializeToString()


def _taking(*shape: int) -> bytes:
    model = layer([], {}, "x")
    for dim, side in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dim.dim_value = side
    return model.SerializeToString()


def huge_image() -> bytes:
    return _taking(1, 3, 100_000, 100_000)


def huge_batch() -> bytes:
    return _taking(10_000_000, 3, 32, 32)


def sideless_image() -> bytes:
    return _taking(1, 3, 0, 32)


def shared_by_many() -> bytes:
    """A map that a thousand layers read: it comes once, but a record is made for each of them."""
    nodes = [h.make_node("Resize", ["x", "", "scale"], ["z"])]
    scale = {"scale": np.array([1, 1, 4, 4], np.float32)}
    return layer(nodes, scale, "z", count=1000).SerializeToString()


def wide_answer() -> bytes:
    """Maps of 160 MB."""
    nodes = [h.make_node("Resize", ["x", "", "scale"], ["z"])]
    scale = {"scale": np.array([1, 1, 80, 80], np.float32)}
    return layer(nodes, scale, "z").SerializeToString()


def many_layers() -> bytes:
    return layer([], {}, "x", count=1001).SerializeToString()


def empty_maps() -> bytes:
    nodes = [h.make_node("Slice", ["x", "zero", "zero", "three"], ["z"])]
    return layer(nodes, {"three": np.array([3])}, "z").SerializeToString()


ATTACKS: dict[str, tuple[Attack, str]] = {
    "100 GB": (hundred_gigabytes, r"asks for more than 1 GB of memory"),
    "the image expanded": (expanded, r"asks for more than 1 GB of memory"),
    "doubled again and again": (doubled, r"asks for more than 1 GB of memory"),
    "a loop that grows": (growing_loop, r"asks for more than 1 GB of memory"),
    "a batch of millions": (huge_batch, r"asks for more than 1 GB of memory"),
    "a loop without end": (endless, r"runs for more than 2 seconds"),
    "weights in another file": (external, r"keeps its weights in another file"),
    "an operator of its own": (unknown_operator, r"MMCVModulated.*dynamo=True"),
    "a weight larger than the file": (lying_weight, r"onnxruntime cannot load this file"),
    "an image of 100,000 x 100,000": (huge_image, r"at most 16,777,216 numbers"),
    "an image without a side": (sideless_image, r"takes one image"),
    "one map shared by a thousand layers": (shared_by_many, r"take more than 128 MB"),
    "maps of 160 MB": (wide_answer, r"take more than 128 MB"),
    "a thousand and one layers": (many_layers, r"at most 1,000 deformable layers"),
    "maps of nothing": (empty_maps, r"."),
    "no model": (lambda: b"no model", r"Expected a checkpoint"),
    "cut short": (lambda: honest()[:-9], r"Expected a checkpoint|cannot load"),
}
"""How each is made, and what its refusal says under limits of 1 GB, 128 MB of maps and, for the
loop without end, 2 s."""
