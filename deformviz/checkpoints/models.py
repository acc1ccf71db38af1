"""A model of one's own, from one's own code and a checkpoint, run on a photo.

For the command line and notebooks alone: `load_model` imports and runs the code that it is told
to, so the name of a model must never come from a web page.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..geometry import Pair
from ..sampling import Sampling
from .capture import capture
from .live.placing import on_photo
from .pictures import Normalisation, as_input, photo_pixels, working_size
from .reading import open_checkpoint

_LISTED = 4
"""So many keys are named in a message, and the rest counted."""

_WRAPPERS = ("module.", "_orig_mod.")
"""What data-parallel training and `torch.compile` put before every key."""


def load_model(
    spec: str, checkpoint: str | Path | None = None, *, strict: bool = True
) -> nn.Module:
    """Call a factory of the user's own and load a checkpoint into what it returns.

    Args:
        spec: "package.module:factory", e.g. "mynet.models:build_small" or "mynet:Net". It is
            imported as `python -m` would, the current folder included, and called without
            arguments. **This runs the code that it names.**
        checkpoint: a file that `open_checkpoint` reads, or None for the model's own weights. The
            file itself is never executed.
        strict: whether every weight of the model must be in the file, and the other way round.

    Returns:
        The model on the CPU, in eval mode.

    Raises:
        ValueError: a spec of another form, a module or name that is not there, a factory that
            returns no module, or weights that do not fit; the message lists the first few keys.
        CheckpointError: the file is not read.

    Example:
        >>> load_model("torchvision.models:resnet18").training
        False
    """
    model = _made(spec)
    if checkpoint is not None:
        file = open_checkpoint(checkpoint)
        load_weights(model, file.tensors(file.shapes), strict=strict)
    return model.eval()


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], *, strict: bool = True) -> None:
    """Load a state dict; "module." and "_orig_mod." before its keys do not matter.

    Raises:
        ValueError: keys that are missing or unexpected (where strict), or shapes that differ.

    Example:
        >>> load_weights(nn.Linear(2, 3), {"module.weight": torch.ones(3, 2)})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: the checkpoint does not fit Linear: 1 missing (bias)...
    """
    held = {unwrapped(key): tensor for key, tensor in tensors.items()}
    wanted = {unwrapped(key): key for key in model.state_dict()}
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    fitting = {wanted[key]: tensor for key, tensor in held.items() if key in wanted}
    differ = [key for key, tensor in fitting.items() if tuple(tensor.shape) != shapes[key]]
    problems = {"of another shape": differ}
    if strict:
        missing = [name for name in wanted if name not in held]
        unexpected = [name for name in held if name not in wanted]
        problems = {"missing": missing, "unexpected": unexpected, **problems}
    told = [f"{len(keys)} {what} ({_brief(keys)})" for what, keys in problems.items() if keys]
    if told:
        way = "" if differ else "; strict=False (--loose) loads the rest"
        name = type(model).__name__
        raise ValueError(f"the checkpoint does not fit {name}: {'; '.join(told)}{way}")
    if not fitting:
        raise ValueError(f"the checkpoint holds no weight of {type(model).__name__}")
    model.load_state_dict(fitting, strict=False)


def run_on_image(
    model: nn.Module,
    image: str | Path | bytes | np.ndarray,
    size: Pair | None = None,
    normalisation: Normalisation = "unit",
) -> list[Sampling]:
    """Run a model on a photo, and see where its deformable layers read.

    Args:
        model: takes one [1, C, H, W] batch; run in eval mode without gradients, then put back.
            Its first convolution says whether it wants grey or colour.
        image: a file, as `deformviz.images.decode` reads it, or [H, W, 3] or [H, W] uint8.
        size: (H, W) that the model is run at; by default that of the photo, each side rounded to a
            multiple of 32, which nearly every network can halve as often as it wants.
        normalisation: "unit" for [0, 1], "signed" for [-1, 1], "imagenet" for its mean and
            deviation, or a (mean, deviation) of one's own, each a number or one a channel.

    Returns:
        What `capture` records. The image maps lie on the photo as it was given, however it was
        resized for the model, so that `sampling.show(image)` fits.

    Raises:
        ImageError: no picture.
        ValueError: an array, size or normalisation of another form.

    Example:
        >>> from torchvision.ops import DeformConv2d
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.offset, self.conv = nn.Conv2d(3, 2, 1, 2), DeformConv2d(3, 4, 1, 2)
        ...     def forward(self, x):
        ...         return self.conv(x, self.offset(x))
        >>> samplings = run_on_image(Net(), np.zeros((48, 70, 3), np.uint8))
        >>> samplings[0].input_size, samplings[0].image_map.stride
        ((64, 64), (0.75, 1.09375))
    """
    pixels = photo_pixels(image)
    photo = (pixels.shape[0], pixels.shape[1])
    size = size or working_size(photo)
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(0))
    x = as_input(pixels, size, normalisation, channels=input_channels(model)).to(like)
    with _evaluated(model), torch.no_grad(), capture(model) as samplings:
        model(x)
    return on_photo(samplings, photo, size)


def _made(spec: str) -> nn.Module:
    name, colon, path = spec.partition(":")
    if not (name and colon and path):
        raise ValueError(f'expected "package.module:factory", got {spec!r}')
    with _importing_from_here():
        try:
            found: object = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # something that the user's own module imports
            raise ValueError(
                f"there is no module {error.name!r} to import: run this from the folder that "
                "holds it, or install it"
            ) from error
        for part in path.split("."):
            if not hasattr(found, part):
                raise ValueError(f"{name} has no {path!r}")
            found = getattr(found, part)
        if not callable(found):
            raise ValueError(f"{spec} is no factory: it cannot be called")
        model = found()
    if not isinstance(model, nn.Module):
        raise ValueError(f"{spec} returned {type(model).__name__}, not a torch.nn.Module")
    return model


@contextmanager
def _importing_from_here() -> Iterator[None]:
    """The current folder among those that are imported from, as for `python -m`."""
    sys.path.insert(0, str(Path.cwd()))
    here = sys.path[0]
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


@contextmanager
def _evaluated(model: nn.Module) -> Iterator[None]:
    """Eval mode for the block; every module has its own mode again after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def input_channels(model: nn.Module) -> int:
    """Of the image that the first convolution reads: 1, or else 3."""
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return 1 if first is not None and first.in_channels == 1 else 3


def unwrapped(key: str) -> str:
    """A key as the bare model has it.

    >>> unwrapped("module.stem.weight")
    'stem.weight'
    """
    for wrapper in _WRAPPERS:
        key = key.removeprefix(wrapper)
    return key


def _brief(keys: list[str]) -> str:
    more = f", and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return ", ".join(keys[:_LISTED]) + more
