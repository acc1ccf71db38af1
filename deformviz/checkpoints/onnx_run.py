"""An `.onnx` file: a whole network without its code, run on a photo by onnxruntime.

The file holds no code, so it is the way to run a network that came from someone else. It needs the
extra `deformviz[onnx]`, which is onnxruntime alone. The onnx package, which takes a graph apart and
puts it together again, is not needed for a list of nodes and some more outputs: see `onnx_graph`.

`run_onnx` bounds the file's size, what it may read (nothing but its own bytes), the threads, and
the time, which is looked at between two nodes; not the memory, of which a graph may ask for any
amount. For strangers' files there is `run_onnx_confined`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

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
from .onnx_graph import Node
from .onnx_network import Network, Taken
from .opened import opened
from .pictures import Normalisation, as_input, fitting_size, photo_pixels, working_size

_X, _WEIGHT, _OFFSET, _BIAS, _MASK = range(5)
_MOST_BYTES = 1_000_000_000
_MOST_INPUT = 2**24
"""Numbers of the image that is put in: 3 x 2364 x 2364."""


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
    network = Network(_read(model), threads)
    pixels = photo_pixels(image)
    x = input_of(network.taken, pixels, size, normalisation)
    values = {name: v.copy() for name, v in network.run(x.numpy(), seconds).items()}
    return samplings_of(network.nodes, values, (pixels.shape[0], pixels.shape[1]), x)


def input_of(
    taken: Taken, pixels: np.ndarray, size: Pair | None, normalisation: Normalisation
) -> Tensor:
    """The photo as a network takes it: [1, C, H, W] float32.

    Args:
        taken: what it says that it takes, which may be any size.
        pixels: [H, W, 3] uint8.
        size, normalisation: as for `run_onnx`.

    Raises:
        CheckpointError: the file asks for a larger image than anyone has.
        ValueError: a size that the file does not allow.
    """
    photo = (pixels.shape[0], pixels.shape[1])
    return as_input(
        pixels, size_of(taken, size, working_size(photo)), normalisation,
        channels=taken.shape[1] or 3,
    )  # fmt: skip


def size_of(taken: Taken, asked: Pair | None, free: Pair) -> Pair:
    """(H, W) that a network is run at, see `fitting_size`; errors as of `input_of`."""
    rows, columns = fitting_size(taken.shape[2:], asked, free)
    channels = taken.shape[1] or 3
    if channels * rows * columns > _MOST_INPUT:
        raise CheckpointError(
            f"Expected a network for images of at most {_MOST_INPUT:,} numbers, but this one takes "
            f"{channels} x {rows} x {columns}. Export it for a smaller image."
        )
    return rows, columns


def samplings_of(
    nodes: Sequence[Node], values: Mapping[str, np.ndarray], photo: Pair, x: Tensor
) -> list[Sampling]:
    """The record of each node, laid on the photo.

    Args:
        nodes: of `DeformConv`.
        values: what went in and came out, by name; the records share their memory.
        photo: (H, W) of the picture.
        x: [1, C, H, W] that was put in.

    Raises:
        CheckpointError: values that are missing, or do not fit each other.
    """
    size = (x.shape[2], x.shape[3])
    tensors = {name: torch.from_numpy(value) for name, value in values.items()}
    records = Records()
    try:
        for node in nodes:
            records.add(_sampling(node, tensors), _name(node), size)
    except CheckpointError:
        raise
    except (ValueError, TypeError, LookupError, RuntimeError, ArithmeticError):
        raise CheckpointError(
            "This file has a DeformConv whose maps, offsets and weights do not fit each other."
        ) from None
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


def _sampling(node: Node, values: Mapping[str, Tensor]) -> Sampling:
    """The record of one node, from the values that went in and came out."""
    inputs = [values[name] if name else None for name in (*node.inputs, "", "")]
    x, weight, offset = inputs[_X], inputs[_WEIGHT], inputs[_OFFSET]
    output = values[node.outputs[0]]
    if x is None or weight is None or offset is None or x.dim() != 4:
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


def _name(node: Node) -> str:
    """Of the module that holds the weight; exporters name weights by their path."""
    owner, dot, ending = node.inputs[_WEIGHT].rpartition(".")
    return owner if dot and ending == "weight" else node.name or node.operator
