"""Who is running: the stack of module calls, which gives each record its name and its place."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from ...geometry import Pair
from ...sampling import Sampling
from .calls import sampling_of_call
from .placing import image_size_of
from .reader import Call, Reader
from .readers import reader_of
from .records import Records

_UNREADABLE = (KeyError, RuntimeError, TypeError, ValueError)
"""What a module raises that is not built as its kind is: another shape, another argument."""


class Recorder:
    """What `capture` writes down: told of every module that starts and ends, and of operators.

    Args:
        model: without wrappers.
        image: which one of the batch.
        image_size: (H, W), or None for that of the model's input.
        maps: whether what a layer reads, makes and is made of is kept beside where it reads.
    """

    def __init__(
        self, model: nn.Module, image: int, image_size: Pair | None, *, maps: bool = True
    ) -> None:
        self._records = Records()
        self.samplings = self._records.samplings
        self._model = model
        self._image = image
        self._given_size = image_size
        self._image_size = image_size
        self._maps = maps
        self._stack: list[Call] = []
        self._paths = {m: _path(name) for name, m in model.named_modules()}
        readers = {m: self._reader_of(m) for m in self._paths}
        self._readers = {m: reader for m, reader in readers.items() if reader is not None}

    def beside(self, image: int) -> Recorder:
        """One more, of another image of the same batch, that has seen nothing yet."""
        other = copy(self)
        other._records, other._stack, other._image = Records(), [], image
        other.samplings = other._records.samplings
        return other

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A forward pre-hook: a module begins."""
        if self._given_size is None and (module is self._model or self._image_size is None):
            # A model may be run part by part, by a method of its own: then the first part has it.
            self._image_size = image_size_of(args, self._image) or image_size_of(
                kwargs, self._image
            )
        # A layer that is made of others is read as the one that it is.
        reader = None if self._reading() else self._readers.get(module)
        self._stack.append(Call(module, reader, self._image, before=len(self.samplings)))

    def leave(
        self,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: object,
    ) -> None:
        """A forward hook that is also called after an error, then with None: a module ends."""
        call = self._pop(module)
        if call is None or result is None:
            return
        outer = self._reading()
        if outer is not None:
            outer.saw(module, args, result)
        # What an operator that the dispatcher knows has told is not told again.
        if call.reader is not None and len(self.samplings) == call.before:
            self._read(call.reader, call, args, kwargs, result)

    def operator(self, arguments: Mapping[str, Any], output: Tensor) -> None:
        """One call of torchvision's operator."""
        caller = self._stack[-1].module if self._stack else None
        path = self._owner(caller, arguments["weight"])
        if path is None:
            if caller is None:
                return  # another model's, or a bare function
            path = self._path_of(caller)
        self._add(sampling_of_call(arguments, output, self._image, maps=self._maps), path)

    def _owner(self, caller: nn.Module | None, weight: Tensor) -> str | None:
        """The path of the module that holds a weight: where it is called, or else anywhere."""
        for module in (self._model,) if caller is None else (caller, self._model):
            name = _parameter(module, weight)
            if name is not None:
                below = _path(name).rpartition(".")[0]
                return ".".join(part for part in (self._path_of(module), below) if part)
        return None

    def _pop(self, module: nn.Module) -> Call | None:
        """End the call of a module, and whatever inside it ended without being told."""
        if not any(call.module is module for call in self._stack):
            return None  # it began before the capture did
        while (call := self._stack.pop()).module is not module:
            pass
        return call

    def _reading(self) -> Call | None:
        """The call under way that is to be read, of which there is one at most."""
        return next((call for call in self._stack if call.reader is not None), None)

    def _reader_of(self, module: nn.Module) -> Reader | None:
        try:
            return reader_of(module, self._paths[module])
        except _UNREADABLE as error:
            self._warn(module, error)
            return None

    def _read(
        self,
        reader: Reader,
        call: Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: object,
    ) -> None:
        try:
            found = reader.read(call.ended(args, kwargs, result))
        except _UNREADABLE as error:
            self._warn(call.module, error)
            return
        path = self._path_of(call.module) or type(call.module).__name__
        names = [self._add(one, f"{path} {one.name}".strip()) for one in found]
        if call.total is not None and self._maps:
            self.samplings.totals[tuple(names)] = call.total

    def _warn(self, module: nn.Module, error: Exception) -> None:
        """A layer that cannot be read must not stop the model that has it."""
        name = self._path_of(module) or "the model"
        warnings.warn(
            f"{name} ({type(module).__name__}) is not recorded: {error}", UserWarning, stacklevel=2
        )

    def _path_of(self, module: nn.Module) -> str:
        return self._paths.get(module, type(module).__name__)

    def _add(self, sampling: Sampling, name: str) -> str:
        name = name or type(self._model).__name__
        if not self._maps:
            sampling = replace(sampling, input=None, output=None, weight=None, bias=None)
        return self._records.add(sampling, name, self._image_size)


def _path(name: str) -> str:
    """A module's name without the level that `torch.compile` puts around a part of a model."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _parameter(module: nn.Module, weight: Tensor) -> str | None:
    """The name of a weight among a module's parameters, or None where it is computed."""
    return next(
        (name for name, parameter in module.named_parameters()
         if parameter is weight or _same_memory(parameter, weight)),
        None,
    )  # fmt: skip


def _same_memory(parameter: Tensor, weight: Tensor) -> bool:
    """Whether one is a view of the other as a whole, as what `detach` returns is."""
    place = parameter.data_ptr()  # 0 for tensors without memory of their own
    return place != 0 and place == weight.data_ptr() and parameter.shape == weight.shape
