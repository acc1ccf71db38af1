"""A `.pt2` file: a whole network that `torch.export` wrote, run on a photo without its code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from ..geometry import Pair
from ..sampling import Sampling
from .live.calls import sampling_of_call
from .live.placing import on_photo
from .live.recorded import Recorded
from .live.records import Records
from .pictures import Normalisation, as_input, fitting_size, photo_pixels, working_size

_REFUSAL = (
    "a .pt2 file is a program: torch.export.load may unpickle parts of it, which can run any code, "
    "and its graph may call any operator of PyTorch. Pass trust=True for a file that you exported "
    "yourself or whose author you trust. An .onnx file holds no code and needs no trust."
)
_REPEATED = re.compile(r"@\d+")
"""torch.export writes "conv@1" where a module is called again."""


def load_exported(path: str | Path, *, trust: bool = False) -> torch.export.ExportedProgram:
    """Load what `torch.export.save` wrote; its `state_dict` has the names of the model's weights.

    Args:
        path: a .pt2 file.
        trust: whether the file may run code. **Never for a file from a stranger.**

    Raises:
        PermissionError: without `trust`.
        ValueError: a file that is no such program.

    Example:
        >>> load_exported("net.pt2")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        PermissionError: a .pt2 file is a program: torch.export.load may unpickle parts of it, ...
    """
    if not trust:
        raise PermissionError(_REFUSAL)
    return _loaded(Path(path))


def run_exported(
    path: str | Path | torch.export.ExportedProgram,
    image: str | Path | bytes | np.ndarray,
    *,
    trust: bool = False,
    size: Pair | None = None,
    normalisation: Normalisation = "unit",
) -> list[Sampling]:
    """Run an exported program on a photo, and see where its deformable layers read.

    What is seen are the calls of torchvision's operator, which `torch.export` keeps whole. Other
    deformable operators are taken apart by the export and leave no trace of themselves.

    Args:
        path: what `torch.export.save` wrote, or what `load_exported` made of it, which needs no
            more trust; the program takes one image [B, C, H, W].
        image: a file, as `deformviz.images.decode` reads it, or [H, W, 3] or [H, W] uint8.
        trust: whether the file may run code. **Never for a file from a stranger.**
        size: (H, W) that it is run at. By default what it was exported for, and where that leaves
            the size open, that of the photo, each side rounded to a multiple of 32.
        normalisation: as for `run_on_image`.

    Returns:
        The records of `capture`: named by the path of the module that holds the weight, and laid
        on the photo.

    Raises:
        PermissionError: without `trust`.
        ImageError: no picture.
        ValueError: a file that is no such program, one that takes something else than an image, or
            a size that it was not exported for.

    Example:
        >>> run_exported("net.pt2", "photo.jpg")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        PermissionError: a .pt2 file is a program: torch.export.load may unpickle parts of it, ...
    """
    if not isinstance(path, torch.export.ExportedProgram):
        path = load_exported(path, trust=trust)
    program = Program(path)
    pixels = photo_pixels(image)
    photo = (pixels.shape[0], pixels.shape[1])
    size = fitting_size(program.sides, size, working_size(photo))
    x = as_input(pixels, size, normalisation, channels=program.channels)
    return on_photo(program.run(x)[0], photo, size)


class Program:
    """An exported program that runs batch after batch.

    Attributes:
        channels: of the image that it takes.
        sides: (H, W) that it was exported for, None for what that leaves open.
        batch: that it was exported for, or None.

    Raises:
        ValueError: one that takes something else than an image.
    """

    def __init__(self, exported: torch.export.ExportedProgram) -> None:
        self._module = exported.module()
        wanted = _image_input(self._module.graph)
        self._dtype = wanted.dtype
        self.batch, channels, *sides = (
            side if isinstance(side, int) else None for side in wanted.shape
        )
        self.channels = channels or 3
        self.sides = sides

    def run(self, x: Tensor, *, maps: bool = True) -> list[list[Sampling]]:
        """Its records on each image of a batch.

        Args:
            x: [B, C, H, W]; repeated, or taken part by part, where the program has a batch of its
                own.
            maps: whether what the layers read and make is kept as well.

        Raises:
            ValueError: a size that it was not exported for.
        """
        if self.batch is None:
            return list(self._run(x, len(x), maps))
        count = self.batch
        parts = [x[start : start + count] for start in range(0, len(x), count)]
        return [
            records
            for part in parts
            for records in self._run(_repeated(part, count), len(part), maps)
        ]

    def _run(self, x: Tensor, images: int, maps: bool) -> list[Recorded]:
        size = (x.shape[2], x.shape[3])
        runner = _Runner(self._module, size, images, maps)
        try:
            with torch.no_grad():
                runner.run(x.to(self._dtype).contiguous())
        except AssertionError as error:  # the guards of the program
            raise ValueError(
                f"the program does not run at {size[0]} x {size[1]}: {error}"
            ) from error
        return [records.samplings for records in runner.records]


def _repeated(x: Tensor, count: int) -> Tensor:
    """The last image again and again, until there are so many."""
    return torch.cat([x, x[-1:].expand(count - len(x), -1, -1, -1)])


class _Runner(fx.Interpreter):
    """Runs the graph node by node, and records what the operator was called with."""

    def __init__(self, program: fx.GraphModule, size: Pair, images: int, maps: bool) -> None:
        super().__init__(program)
        self.records = [Records() for _ in range(images)]
        self._size = size
        self._maps = maps
        self._operator = torch.ops.torchvision.deform_conv2d.default

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401  (as the base class says)
        """Run one node; what the operator gave is copied before the next may change it."""
        result = super().run_node(n)
        if n.op == "call_function" and n.target is self._operator:
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            names = [argument.name for argument in self._operator._schema.arguments]
            arguments = dict(zip(names, args, strict=False)) | kwargs
            for image, records in enumerate(self.records):
                found = sampling_of_call(arguments, result, image, maps=self._maps)
                records.add(found, _name(n), self._size)
        return result


def _loaded(path: Path) -> torch.export.ExportedProgram:
    import torchvision  # noqa: F401  (registers the operator)

    if not path.is_file():
        raise ValueError(f"there is no file {path.name}")
    try:
        return torch.export.load(path)
    except Exception as error:  # whatever a damaged archive makes it raise
        raise ValueError(
            f"{path.name} is no program that torch.export.save wrote: {error}"
        ) from error


def _image_input(graph: fx.Graph) -> Tensor:
    """The one input, as the export saw it: its shape and type."""
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    examples = [node.meta.get("val") for node in inputs]
    if len(inputs) != 1 or not isinstance(examples[0], Tensor) or examples[0].dim() != 4:
        names = ", ".join(node.name for node in inputs)
        raise ValueError(f"the program must take one image [B, C, H, W], but takes {names}")
    return examples[0]


def _name(node: fx.Node) -> str:
    """The path of the module that holds the weight, or of the one that calls the operator."""
    weight = node.args[1] if len(node.args) > 1 else node.kwargs["weight"]
    if isinstance(weight, fx.Node) and weight.op == "get_attr":
        return str(weight.target).rpartition(".")[0] or node.name
    modules = list(node.meta.get("nn_module_stack", {}).values())
    return _REPEATED.sub("", modules[-1][0]) if modules else node.name
