"""`Reader` and `Call`: what is kept of one call of a module, and who turns it into records."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ...geometry import one_image
from ...sampling import Sampling
from ..verify import verify, verify_sum
from .calls import own_copy


class Reader:
    """One module of a known kind, and how its calls are read."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    @classmethod
    def of(cls, module: nn.Module, path: str) -> Reader | None:
        """The reader of a module, or None where it is of another kind."""
        raise NotImplementedError

    def parts(self) -> Mapping[str, nn.Module]:
        """The modules inside, by role, whose inputs and outputs are needed."""
        return {}

    def read(self, call: Call) -> list[Sampling]:
        """The records of one call; the name of each is what is added to the module's path.

        Raises:
            ValueError: it cannot be read; the message says why.
        """
        raise NotImplementedError


@dataclass(eq=False)
class Call:
    """One call of a module that is under way, or has just ended.

    Attributes:
        module: which.
        reader: what reads it in the end, or None.
        image: which one of the batch.
        before: how many records there were when it began.
        given, made: by role, copies of what a part was given first and what it made, [1, ...].
        arguments: by name, once it has ended: its own, not copies.
        result: what it returned, likewise.
        total: [O, h, w] what its records add up to, where none of them holds it.
    """

    module: nn.Module
    reader: Reader | None
    image: int
    before: int
    given: dict[str, Tensor] = field(default_factory=dict)
    made: dict[str, Tensor] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    total: Tensor | None = None

    def __post_init__(self) -> None:
        parts = {} if self.reader is None else self.reader.parts()
        self._roles = {part: role for role, part in parts.items()}

    def saw(self, part: nn.Module, args: tuple[Any, ...], result: object) -> None:
        """A module inside has ended; kept, where the reader asked for it."""
        role = self._roles.get(part)
        if role is None:
            return
        if args and isinstance(args[0], Tensor):
            self.given[role] = self.copy(args[0])
        if isinstance(result, Tensor):
            self.made[role] = self.copy(result)

    def ended(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: object) -> Call:
        """Its own arguments by name, and its result."""
        signature = inspect.signature(self.module.forward)
        self.arguments, self.result = dict(signature.bind(*args, **kwargs).arguments), result
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:  # **kwargs: each by its own name
                self.arguments |= self.arguments.pop(name, {})
        return self

    def copy(self, tensor: Tensor) -> Tensor:
        """A copy of the image's own part of a batch: [B, ...] to [1, ...]."""
        return own_copy(one_image(tensor, self.image))

    def part(self, kept: Mapping[str, Tensor], role: str) -> Tensor:
        """What was kept of a part; ValueError where it was not called."""
        if role not in kept:
            raise ValueError(f"its {role!r} was not called as a module, so its numbers are unknown")
        return kept[role]

    def tensor(self, *names: str) -> Tensor:
        """A copy of the image's part of the argument that bears one of these names."""
        for name in names:
            if isinstance(value := self.arguments.get(name), Tensor):
                return self.copy(value)
        raise ValueError(f"it was not given a tensor {' or '.join(names)}")

    def first(self) -> Tensor:
        """A copy of the image's part of the first argument."""
        value = next(iter(self.arguments.values()), None)
        if not isinstance(value, Tensor):
            raise ValueError("its first argument is not a tensor")
        return self.copy(value)

    def output(self) -> Tensor:
        """A copy of the image's part of the result."""
        if not isinstance(self.result, Tensor):
            raise ValueError(f"it returned {type(self.result).__name__}, not a tensor")
        return self.copy(self.result)


def check(found: list[Sampling], output: Tensor) -> list[Sampling]:
    """Refuse records that do not give the layer's own output, at two positions.

    A reader goes by names, and a module of that name may compute something else. In half precision
    rounding may hide what is right, so nothing is refused there.

    Args:
        found: which together make the output.
        output: [O, h, w].

    Raises:
        ValueError: they give something else.
    """
    if output.element_size() < 4:
        return found
    if len(found) == 1 and found[0].output is not None:
        told = verify(found[0], positions=2, channels=8)
    else:
        told = verify_sum(found, output, positions=2)
    if not told.matches:
        raise ValueError(
            "read as its kind of layer, it would give another output "
            f"(difference {told.difference:.0e}, rounding explains {told.tolerance:.0e})"
        )
    return found
