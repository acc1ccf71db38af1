"""An ONNX file gives the same points as the live model, within float32, and opens no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import Mixed, trained
from torch import nn

from deformviz import Sampling, examples
from deformviz.checkpoints.errors import CheckpointError
from deformviz.checkpoints.models import run_on_image
from deformviz.checkpoints.onnx_graph import read_graph, with_outputs
from deformviz.checkpoints.onnx_run import run_onnx
from deformviz.checkpoints.verify import verify
from deformviz.images import decode

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TOLERANCE = 1e-4
"""Of a pixel, and of the largest output: the convolutions before a layer are summed up in another
order by onnxruntime than by PyTorch, in float32."""

OPEN = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}


@pytest.fixture
def pixels() -> np.ndarray:
    """A photo, [85, 128, 3]."""
    return decode(examples.path("cat"), max_side=128).pixels


def export(model: nn.Module, shape: tuple[int, ...], **options: Any) -> bytes:
    pytest.importorskip("onnxscript")
    program = torch.onnx.export(
        model.eval(), (torch.rand(shape),), dynamo=True, opset_version=19, verbose=False, **options
    )
    return program.model_proto.SerializeToString()


def assert_near(ours: list[Sampling], live: list[Sampling]) -> None:
    assert [s.name for s in ours] == [s.name for s in live]
    assert len(ours) > 1
    for one, other in zip(ours, live, strict=True):
        assert one.image_map == other.image_map
        assert one.kernel == other.kernel
        assert one.known().keys() == other.known().keys()
        assert torch.equal(one.weight, other.weight)
        assert torch.equal(one.bias, other.bias)
        assert (one.offset - other.offset).abs().max() < TOLERANCE
        for name in ("input", "output", "mask"):
            a, b = getattr(one, name), getattr(other, name)
            assert (a is None) == (b is None)
            if a is not None:
                assert (a - b).abs().max() < TOLERANCE * b.abs().max()
        assert verify(one).ok


def test_the_same_as_live(pixels: np.ndarray, tmp_path: Path) -> None:
    model = Mixed().eval()
    data = export(model, (1, 3, 40, 64), dynamic_shapes=(OPEN,))
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    for size in ((64, 96), (33, 47), None):
        assert_near(run_onnx(path, pixels, size=size), run_on_image(model, pixels, size=size))


@pytest.mark.parametrize("file", ["aliked-n16.pth", "scaled-mnist-dcnv2.pth"])
def test_trained_networks(file: str, pixels: np.ndarray, shared_data: Path) -> None:
    model = trained(file, shared_data)
    shape = (1, 1, 28, 28) if "mnist" in file else (1, 3, 64, 96)
    ours = run_onnx(export(model, shape), pixels, normalisation="signed")
    assert_near(ours, run_on_image(model, pixels, size=shape[2:], normalisation="signed"))


def test_a_network_without_deformable_layers(pixels: np.ndarray) -> None:
    assert run_onnx(export(nn.Conv2d(3, 4, 3), (1, 3, 32, 32)), pixels) == []


# ------------------------------------------------------------------------------ written by hand


def deform_model(
    pads: tuple[int, ...] = (1, 1, 1, 1),
    bias: bool = True,
    direct: bool = False,
    listed: bool = False,
    output: str = "y",
    name: str = "",
    weight: str = "weight",
) -> Any:
    """One DeformConv of 3 x 2 taps on the image itself or on a copy of it, offsets by a Conv.

    Args:
        direct: it reads the graph's own input.
        listed: weights are among the inputs, too, as files before version 4 had it.
        output: what is the graph's output.
        weight: the name of the main weight.
    """
    h = onnx.helper
    random = np.random.default_rng(0)
    tensors = {
        weight: random.standard_normal((4, 3, 3, 2)),
        "offset.weight": random.standard_normal((12, 3, 3, 2)),
        "bias": random.standard_normal(4),
    }
    held = [onnx.numpy_helper.from_array(v.astype(np.float32), k) for k, v in tensors.items()]
    x = "x" if direct else "copy"
    geometry = {"kernel_shape": [3, 2], "pads": list(pads), "strides": [2, 1]}
    nodes = [
        h.make_node("Identity", ["x"], ["copy"]),
        h.make_node("Conv", [x, "offset.weight"], ["offset"], **geometry),
        h.make_node(
            "DeformConv", [x, weight, "offset"] + (["bias"] if bias else []), ["y"], name,
            **geometry,
        ),
        h.make_node("Relu", ["y"], ["z"]),
    ]  # fmt: skip
    floats = onnx.TensorProto.FLOAT
    inputs = [h.make_tensor_value_info("x", floats, [1, 3, 16, 12])]
    if listed:
        inputs += [h.make_tensor_value_info(t.name, floats, list(t.dims)) for t in held]
    outputs = [h.make_tensor_value_info(output, floats, None)]
    graph = h.make_graph(nodes, "net", inputs, outputs, held)
    return h.make_model(
        graph, opset_imports=[h.make_opsetid("", 19)], ir_version=3 if listed else 9
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"direct": True},
        {"direct": True, "output": "z"},
        {"listed": True, "direct": True},
        {"listed": True},
        {"pads": (0, 2, 1, 0)},
        {"pads": (1, 0, 2, 3), "bias": False, "output": "z"},
    ],
    ids=str,
)
def test_every_form_of_a_node(options: dict[str, Any], pixels: np.ndarray) -> None:
    model = deform_model(**options)
    (s,) = run_onnx(model.SerializeToString(), pixels)
    assert s.output is not None
    assert verify(s).matches
    assert s.offset.abs().max() > 1
    assert (s.bias is None) == (not options.get("bias", True))
    top, left = options.get("pads", (1, 1))[:2]
    base = s.base_at(1, 2)[0]  # row 1 of stride 2, column 2 of stride 1
    expected = [[2 - top + i, 2 - left + j] for i in range(3) for j in range(2)]
    assert base.tolist() == expected


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"weight": "neck.conv.weight"}, "neck.conv"),
        ({"weight": "onnx::Weight_12", "name": "/neck/DeformConv"}, "/neck/DeformConv"),
        ({"weight": "w"}, "DeformConv"),
    ],
)
def test_names(options: dict[str, Any], name: str, pixels: np.ndarray) -> None:
    (s,) = run_onnx(deform_model(**options).SerializeToString(), pixels)
    assert s.name == name


def test_outputs_are_added_as_the_onnx_package_would() -> None:
    model = deform_model()
    data = with_outputs(model.SerializeToString(), ["offset", "copy", "n" * 300])
    read = onnx.load_from_string(data)
    assert [o.name for o in read.graph.output] == ["y", "offset", "copy", "n" * 300]
    del read.graph.output[1:]
    assert read == model
    assert read_graph(data).outputs == ["y", "offset", "copy", "n" * 300]


def test_the_graph_is_read_as_the_onnx_package_reads_it() -> None:
    model = deform_model(listed=True, name="main")
    graph = read_graph(model.SerializeToString())
    assert graph.inputs == [i.name for i in model.graph.input]
    assert graph.outputs == [o.name for o in model.graph.output]
    assert graph.weights == [t.name for t in model.graph.initializer]
    for node, expected in zip(graph.nodes, model.graph.node, strict=True):
        assert (node.operator, node.name) == (expected.op_type, expected.name)
        assert (node.inputs, node.outputs) == (list(expected.input), list(expected.output))
        integers = {a.name: list(a.ints) for a in expected.attribute if a.ints}
        assert node.integers == integers
    assert graph.nodes[2].integers["pads"] == [1, 1, 1, 1]


# -------------------------------------------------------------------------------------- refused


def external(tensor: Any) -> None:
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    tensor.ClearField("raw_data")


def hide_in(model: Any, place: str) -> None:
    """Put a tensor that lies in another file somewhere into a model."""
    stray = onnx.numpy_helper.from_array(np.zeros(2, np.float32), "stray")
    external(stray)
    h = onnx.helper
    constant = h.make_node("Constant", [], ["c"], value=stray)
    if place == "initialiser":
        external(model.graph.initializer[0])
    elif place == "constant":
        model.graph.node.append(constant)
    elif place == "list":
        node = model.graph.node.add(op_type="Constant", output=["c"])
        node.attribute.add(name="values", type=onnx.AttributeProto.TENSORS, tensors=[stray])
    elif place == "branch":
        body = h.make_graph([constant], "b", [], [])
        model.graph.node.append(h.make_node("If", ["x"], [], then_branch=body, else_branch=body))
    elif place == "initialiser of a branch":
        body = h.make_graph([], "b", [], [], [stray])
        model.graph.node.append(h.make_node("If", ["x"], [], then_branch=body, else_branch=body))
    elif place == "sparse":
        sparse = model.graph.sparse_initializer.add(dims=[4])
        sparse.values.CopyFrom(stray)
    elif place == "function":
        model.functions.add(name="f", domain="d").node.append(constant)
    elif place == "training":
        model.training_info.add().algorithm.node.append(constant)


@pytest.mark.parametrize(
    "place",
    ["initialiser", "constant", "list", "branch", "initialiser of a branch", "sparse", "function",
     "training"],
)  # fmt: skip
@pytest.mark.parametrize("twice", [False, True], ids=["once", "in a second graph"])
def test_weights_in_other_files_are_refused_wherever_they_hide(
    place: str, twice: bool, pixels: np.ndarray
) -> None:
    model = deform_model()
    if twice:  # protobuf merges what comes twice, so the second part counts as well
        extra = onnx.ModelProto()
        extra.graph.initializer.append(model.graph.initializer[0])
        hide_in(extra, place)
        data = model.SerializeToString() + extra.SerializeToString()
    else:
        hide_in(model, place)
        data = model.SerializeToString()
    with pytest.raises(CheckpointError, match="keeps its weights in another file"):
        run_onnx(data, pixels)


def test_a_location_without_a_place_is_refused_too(pixels: np.ndarray) -> None:
    model = deform_model()
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(CheckpointError, match="in another file"):
        run_onnx(model.SerializeToString(), pixels)


def test_damaged_files(pixels: np.ndarray) -> None:
    data = deform_model().SerializeToString()
    for broken in (
        b"",
        b"no model",
        data[:-7],
        data[: len(data) // 2],
        data + b"\x0b",
        b"\xff" * 99,
    ):
        with pytest.raises(CheckpointError) as error:
            run_onnx(broken, pixels)
        assert "\n" not in str(error.value)


def test_graphs_in_graphs_end_somewhere(pixels: np.ndarray) -> None:
    data = b""
    for _ in range(400):  # graph > node > attribute > graph ...
        for tag in (0x32, 0x2A, 0x0A):
            data = bytes([tag]) + _length(data) + data
    data = b"\x3a" + _length(data) + data
    with pytest.raises(CheckpointError, match="nested deeper"):
        run_onnx(data, pixels)


def _length(data: bytes) -> bytes:
    count, parts = len(data), bytearray()
    while count > 0x7F:
        parts.append(count & 0x7F | 0x80)
        count >>= 7
    return bytes([*parts, count])


def test_what_takes_no_image(pixels: np.ndarray) -> None:
    model = deform_model()
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[1].dim_value = 7
    with pytest.raises(CheckpointError, match=r"takes one image .* \[1, 7, 16, 12\]"):
        run_onnx(model.SerializeToString(), pixels)
    model = deform_model()
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "other"
    with pytest.raises(CheckpointError, match="takes 2 inputs"):
        run_onnx(model.SerializeToString(), pixels)


def test_a_size_that_the_file_does_not_allow(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images of 16 x 12 alone"):
        run_onnx(deform_model().SerializeToString(), pixels, size=(32, 32))


def test_an_operator_that_is_not_known(pixels: np.ndarray) -> None:
    model = deform_model()
    model.graph.node[0].op_type = "MMCVDeformConv2d"
    model.graph.node[0].domain = "mmcv"
    model.opset_import.add(domain="mmcv", version=1)
    with pytest.raises(CheckpointError, match=r"onnxruntime cannot load this file: .*MMCVDeform"):
        run_onnx(model.SerializeToString(), pixels)


def test_a_loop_without_end_is_given_up(pixels: np.ndarray) -> None:
    """A file of a kilobyte that would count for an hour."""
    h, types = onnx.helper, onnx.TensorProto
    scalars = [
        h.make_tensor_value_info(n, t, []) for n, t in (("i", types.INT64), ("go", types.BOOL))
    ]
    state = h.make_tensor_value_info("s", types.FLOAT, None)
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["again"]), h.make_node("Sin", ["s"], ["t"])],
        "body",
        [*scalars, state],
        [
            h.make_tensor_value_info("again", types.BOOL, []),
            h.make_tensor_value_info("t", types.FLOAT, None),
        ],
    )
    model = deform_model()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(10**9), "many"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    loop = h.make_node("Loop", ["many", "yes", "x"], ["copy"], body=body)
    model.graph.node[0].CopyFrom(loop)
    with pytest.raises(CheckpointError, match=r"runs for more than 0\.5 seconds"):
        run_onnx(model.SerializeToString(), pixels, seconds=0.5)


def test_constants_are_not_computed_while_loading_where_no_clock_runs(pixels: np.ndarray) -> None:
    """Products of constants, which an optimiser would work out before the run begins."""
    h = onnx.helper
    nodes = [h.make_node("ConstantOfShape", ["side"], ["c0"])]
    nodes += [h.make_node("MatMul", [f"c{i}", "c0"], [f"c{i + 1}"]) for i in range(300)]
    nodes += [h.make_node("ReduceSum", ["c300"], ["s"]), h.make_node("Add", ["x", "s"], ["copy"])]
    model = deform_model()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1024, 1024]), "side"))
    others = list(model.graph.node)[1:]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *others])
    with pytest.raises(CheckpointError, match=r"runs for more than 0\.2 seconds"):
        run_onnx(model.SerializeToString(), pixels, seconds=0.2)


def test_a_file_that_is_not_there(pixels: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        run_onnx(tmp_path / "absent.onnx", pixels)


def test_without_onnxruntime_the_message_says_what_to_install(
    pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install onnxruntime"):
        run_onnx(deform_model().SerializeToString(), pixels)
