"""An `.onnx` file: a whole network without its code, run on a photo by onnxruntime.

The file holds no code, so it is the way to run a network that came from someone else. It needs the
extra `deformviz[onnx]`, which is onnxruntime alone. The onnx package, which takes a graph apart and
puts it together again, is not needed for a list of nodes and some more outputs: see `onnx_graph`.

What is bounded: the file's size, what it may read (nothing but its own bytes), the threads, and the
time, which is looked at between two nodes. **Memory is not**: a graph may ask for any amount, so
whoever runs strangers' files does it in a process whose memory the system limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..geometry import Kernel, Pair
from ..operators.deform_conv import split_mask, split_offset
from ..sampling import Sampling
from .canonical import Canonical
from .errors import CheckpointError
from .live.placing import on_photo
from .live.records import Records
from .onnx_graph import Graph, Node, read_graph, with_outputs
from .opened import opened
from .pictures import Normalisation, as_input, fitting_size, photo_pixels, working_size

if TYPE_CHECKING:
    import onnxruntime

_OPERATOR = "DeformConv"
_X, _WEIGHT, _OFFSET, _BIAS, _MASK = range(5)
_TYPES: dict[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
_MOST_BYTES = 1_000_000_000
_INSTALL = "running .onnx files needs onnxruntime: pip install 'deformviz[onnx]'"


def run_onnx(
    model: str | Path | bytes,
    image: str | Path | bytes | np.ndarray,
    *,
    size: Pair | None = None,
    normalisation: Normalisation = "unit",
    threads: int = 2,
    seconds: float = 60.0,
) -> list[Sampling]:
    """Run an ONNX file on a photo, and see where its deformable convolutions read.

    Every `DeformConv` node of the main graph (operator set 19 and later, which
    `torch.onnx.export(dynamo=True)` writes) is recorded with its very inputs and its output.

    Args:
        model: a file or its bytes; the network takes one image [B, C, H, W].
        image: a file, as `deformviz.images.decode` reads it, or [H, W, 3] or [H, W] uint8.
        size: (H, W) that it is run at. By default what the file says, and where that leaves the
            size open, that of the photo, each side rounded to a multiple of 32.
        normalisation: as for `run_on_image`.
        threads: that compute.
        seconds: after which the run is given up, as soon as a node ends.

    Returns:
        The records of `capture`, named by the module that holds the weight where the file tells,
        else by the node, and laid on the photo. None for a network without such nodes.

    Raises:
        ImportError: onnxruntime is not installed.
        ImageError: no picture.
        CheckpointError: the file is damaged or too large, keeps weights in other files, takes
            something else than an image, has an operator that onnxruntime does not know, or takes
            too long.
        ValueError: a size that the file does not allow.

    Example:
        >>> run_onnx(b"?", np.zeros((32, 32, 3), np.uint8))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        deformviz.checkpoints.errors.CheckpointError: Expected a checkpoint ...
    """
    data = _read(model)
    graph = read_graph(data)
    nodes = [node for node in graph.nodes if node.operator == _OPERATOR]
    session = _session(with_outputs(data, _values(nodes, graph)), threads)
    name, shape, dtype = _image_input(session)
    pixels = photo_pixels(image)
    photo = (pixels.shape[0], pixels.shape[1])
    size = fitting_size(shape[2:], size, working_size(photo))
    x = as_input(pixels, size, normalisation, channels=shape[1] or 3)
    feed = np.repeat(x.numpy().astype(dtype), shape[0] or 1, axis=0)
    values = {name: feed} | _run(session, {name: feed}, seconds)
    records = Records()
    for node in nodes:
        records.add(_sampling(node, values), _name(node), size)
    return on_photo(records.samplings, photo, size)


def _read(model: str | Path | bytes) -> bytes:
    if isinstance(model, bytes):
        data = model
    else:
        with opened(Path(model)) as file:
            data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise CheckpointError(f"Expected at most {_MOST_BYTES // 1_000_000:,} MB of ONNX.")
    return data


def _values(nodes: Sequence[Node], graph: Graph) -> list[str]:
    """What must come out beside the outputs that there are; what is put in is known."""
    known = {"", *graph.outputs, *(set(graph.inputs) - set(graph.weights))}
    wanted = [name for node in nodes for name in (*node.inputs, *node.outputs)]
    return [name for name in dict.fromkeys(wanted) if name not in known]


def _session(data: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Load the bytes, so that there is no folder to look for other files in."""
    try:
        import onnxruntime as ort
    except ModuleNotFoundError as error:
        raise ImportError(_INSTALL) from error
    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    # Nothing is computed while loading, where no clock is looked at, nor fused into other numbers.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen types, which share no base of their own
        raise CheckpointError(f"onnxruntime cannot load this file: {_tame(error)}") from None


def _image_input(
    session: onnxruntime.InferenceSession,
) -> tuple[str, list[int | None], type[np.floating[Any]]]:
    """Name, shape (None where it is open) and type of the one input."""
    inputs = session.get_inputs()
    shape = [side if isinstance(side, int) else None for side in inputs[0].shape] if inputs else []
    fits = len(inputs) == 1 and len(shape) == 4 and shape[1] in (None, 1, 3)
    if not fits or inputs[0].type not in _TYPES:
        raise CheckpointError(
            "Expected a network that takes one image [B, C, H, W] of floating point, with 1 or 3 "
            f"channels, but this one takes {len(inputs)} inputs"
            + (f", the first {_tame(inputs[0].type)} {_tame(shape)}" if inputs else "")
        )
    return inputs[0].name, shape, _TYPES[inputs[0].type]


def _run(
    session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray], seconds: float
) -> dict[str, np.ndarray]:
    """All outputs by name, unless it takes too long."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.log_severity_level = 4
    names = [output.name for output in session.get_outputs()]
    clock = Timer(seconds, lambda: setattr(options, "terminate", True))
    clock.start()
    try:
        return dict(zip(names, session.run(names, feed, options), strict=True))
    except Exception as error:
        if options.terminate:
            raise CheckpointError(f"This network runs for more than {seconds:g} seconds.") from None
        raise CheckpointError(f"onnxruntime cannot run this file: {_tame(error)}") from None
    finally:
        clock.cancel()


def _sampling(node: Node, values: Mapping[str, np.ndarray]) -> Sampling:
    """The record of one node, from the values that went in and came out."""
    inputs = [_tensor(values, name) for name in (*node.inputs, "", "")]
    x, weight, offset = inputs[_X], inputs[_WEIGHT], inputs[_OFFSET]
    output = _tensor(values, node.outputs[0])
    if x is None or weight is None or offset is None or output is None or x.dim() != 4:
        raise CheckpointError("This file has a DeformConv that lacks an input, or is not of maps.")
    before = node.integers.get("pads", [0, 0])[:2]
    strides, dilations = (node.integers.get(name, [1, 1]) for name in ("strides", "dilations"))
    kernel = Kernel.of(tuple(weight.shape[2:]), tuple(strides), tuple(before), tuple(dilations))
    size = (x.shape[2], x.shape[3])
    mask = inputs[_MASK]
    canonical = Canonical(
        kernel,
        split_offset(offset, kernel.taps),
        None if mask is None else split_mask(mask, kernel.taps),
        _grid(kernel, size, offset),
    )
    return canonical.sampling(
        node.name, size, input=x[0], output=output[0], weight=weight, bias=inputs[_BIAS]
    )


def _grid(kernel: Kernel, size: Pair, offset: Tensor) -> Tensor | None:
    """The regular grid in so many words, [1, 1, K, 2, h, w], where padding differs by side.

    A `Kernel` has one padding for both ends; that of the second one only sets the output's size.
    """
    h, w = offset.shape[-2:]
    return (
        None
        if kernel.output_size(size) == (h, w)
        else kernel.regular_grid((h, w), offset)[None, None]
    )


def _tensor(values: Mapping[str, np.ndarray], name: str) -> Tensor | None:
    return torch.from_numpy(values[name].copy()) if name else None


def _name(node: Node) -> str:
    """Of the module that holds the weight; exporters name weights by their path."""
    owner, dot, ending = node.inputs[_WEIGHT].rpartition(".")
    return owner if dot and ending == "weight" else node.name or _OPERATOR


def _tame(told: object) -> str:
    """Words that may be out of the file, short and harmless, for a message of one line."""
    return re.sub(r"[^\w.,:;()\[\]/+\- ]", "?", str(told), flags=re.ASCII)[:200]
