"""An ONNX file in onnxruntime: the image that it takes, its deformable layers, and their values.

Neither torch nor the package's other parts are needed here, so that a child process which runs a
stranger's file is ready in a fifth of a second, with 50 MB.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Timer
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from .errors import CheckpointError
from .onnx_graph import Graph, Node, read_graph, with_outputs

if TYPE_CHECKING:
    import onnxruntime

_OPERATOR = "DeformConv"
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
INSTALL = "running .onnx files needs onnxruntime: pip install onnxruntime"
MOST_LAYERS = 1_000

_NO_MEMORY = re.compile(
    r"bad.?alloc|allocate memory|out of memory|std::length_error|max_size", re.IGNORECASE
)
_NO_OPERATOR = re.compile(
    r"is not a registered function/op|No Op registered|find an implementation|opset", re.IGNORECASE
)


class OutOfMemory(CheckpointError):
    """A network that asks for more memory than there is for it."""


@dataclass(frozen=True)
class Taken:
    """The one input of a network.

    Attributes:
        name: of the value.
        shape: (B, C, H, W), None for what the file leaves open.
        dtype: "float32", "float16" or "float64".
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Network:
    """A loaded file.

    Attributes:
        nodes: the `DeformConv` nodes of its main graph.
        taken: its input.
    """

    def __init__(self, data: bytes, threads: int | None) -> None:
        """Load the bytes, so that there is no folder to look for other files in.

        Args:
            data: the file.
            threads: that compute; None for those that the process has set up.

        Raises:
            ImportError: onnxruntime is not installed.
            CheckpointError: the file is damaged, keeps weights in other files, takes something else
                than an image, or has an operator that onnxruntime does not know.
        """
        graph = read_graph(data)
        self.nodes = [node for node in graph.nodes if node.operator == _OPERATOR]
        if len(self.nodes) > MOST_LAYERS:
            raise CheckpointError(
                f"Expected at most {MOST_LAYERS:,} deformable layers, but this file has "
                f"{len(self.nodes):,}."
            )
        self._wanted = _wanted(self.nodes)
        known = {*graph.outputs, *_fed(graph)}
        added = [name for name in self._wanted if name not in known]
        self._session = _session(with_outputs(data, added), threads)
        self.taken = _taken(self._session)

    def run(self, x: np.ndarray, seconds: float | None = None) -> dict[str, np.ndarray]:
        """The values that go into the nodes and come out of them, by name.

        Args:
            x: [1, C, H, W], repeated to the batch that the file asks for.
            seconds: after which the run is given up, as soon as a node ends; None where whoever
                started the process sees to that.

        Raises:
            CheckpointError: it fails, or takes too long.
        """
        batch = self.taken.shape[0]
        try:
            feed = np.repeat(x.astype(self.taken.dtype), 1 if batch is None else batch, axis=0)
        except (MemoryError, ValueError) as error:
            raise _explained("run", error) from None
        names = [name for name in self._wanted if name != self.taken.name]
        values = _run(self._session, names, {self.taken.name: feed}, seconds) if names else {}
        return values | ({self.taken.name: feed} if self.taken.name in self._wanted else {})


def _wanted(nodes: Sequence[Node]) -> list[str]:
    names = [name for node in nodes for name in (*node.inputs, *node.outputs)]
    return [name for name in dict.fromkeys(names) if name]


def _fed(graph: Graph) -> set[str]:
    """What is put in; old files list their weights among the inputs, too."""
    return set(graph.inputs) - set(graph.weights)


def onnxruntime_alone() -> ModuleType:
    """The module, told to report to nobody before it begins to.

    Raises:
        ImportError: it is not installed.
    """
    if os.environ.get("ORT_DISABLE_TELEMETRY") != "1":  # a confined process may not set it again
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime as ort
    except ModuleNotFoundError as error:
        raise ImportError(INSTALL) from error
    ort.disable_telemetry_events()  # where someone else has imported it before
    module: ModuleType = ort
    return module


def _session(data: bytes, threads: int | None) -> onnxruntime.InferenceSession:
    ort = onnxruntime_alone()
    options = ort.SessionOptions()
    if threads is None:
        options.use_per_session_threads = False
    else:
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    # Nothing is computed while loading, where no clock is looked at, nor fused into other numbers.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen types, which share no base of their own
        raise _explained("load", error) from None


def _taken(session: onnxruntime.InferenceSession) -> Taken:
    inputs = session.get_inputs()
    shape = [side if isinstance(side, int) else None for side in inputs[0].shape] if inputs else []
    sides = [side is None or side > 0 for side in shape]
    fits = len(inputs) == 1 and len(shape) == 4 and shape[1] in (None, 1, 3) and all(sides)
    if not fits or inputs[0].type not in _TYPES:
        raise CheckpointError(
            "Expected a network that takes one image [B, C, H, W] of floating point, with 1 or 3 "
            f"channels, but this one takes {len(inputs)} inputs"
            + (f", the first {tame(inputs[0].type)} {tame(shape)}." if inputs else ".")
        )
    return Taken(inputs[0].name, tuple(shape), _TYPES[inputs[0].type])


def _run(
    session: onnxruntime.InferenceSession,
    names: list[str],
    feed: dict[str, np.ndarray],
    seconds: float | None,
) -> dict[str, np.ndarray]:
    """The values of these names, unless it takes too long."""
    options = onnxruntime_alone().RunOptions()
    options.log_severity_level = 4
    clock = None
    if seconds is not None:
        clock = Timer(seconds, lambda: setattr(options, "terminate", True))
        clock.start()
    try:
        return dict(zip(names, session.run(names, feed, options), strict=True))
    except Exception as error:
        if options.terminate:
            raise too_long(seconds) from None
        raise _explained("run", error) from None
    finally:
        if clock is not None:
            clock.cancel()


def too_long(seconds: float | None) -> CheckpointError:
    """A network that did not end in time."""
    return CheckpointError(
        f"This network runs for more than {seconds or 0:g} seconds. Try a smaller image, or run it "
        "on your own machine with deformviz.checkpoints.run_onnx, which may be given more."
    )


def _explained(doing: str, error: Exception) -> CheckpointError:
    """What onnxruntime says, and what to do about it where that is known."""
    told = str(error)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(told):
        return OutOfMemory("This network asks for more memory than there is for it.")
    advice = "."
    if _NO_OPERATOR.search(told):
        advice = (
            ". Export it again with torch.onnx.export(model, args, dynamo=True, opset_version=19), "
            "which writes the standard operator DeformConv."
        )
    return CheckpointError(f"onnxruntime cannot {doing} this file: {tame(told)}{advice}")


def tame(told: object) -> str:
    """Words that may be out of the file, short and harmless, for a message of one line.

    >>> tame("<b>/etc")
    '?b?/etc'
    """
    return re.sub(r"[^\w.,:;()\[\]/+\- ]", "?", str(told), flags=re.ASCII)[:200]
