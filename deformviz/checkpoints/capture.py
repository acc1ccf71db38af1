"""`capture`: see where a live model reads, layer by layer, while it runs.

Two witnesses are asked. The dispatcher sees every call of torchvision's operator, however it is
wrapped, with the very numbers that it computes with. Operators that the dispatcher does not know
(mmcv's, DCNv3, attention, this project's own) are read by forward hooks, see `live.readers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..geometry import Pair
from ..sampling import Sampling
from .live.recorder import Recorder


@contextmanager
def capture(
    model: nn.Module, *, image: int = 0, image_size: Pair | None = None
) -> Iterator[list[Sampling]]:
    """Record where the deformable layers of a model read, for as long as the block runs.

        with deformviz.capture(model) as samplings:
            model(x)

    The model computes what it always computes, in train or eval mode, with or without gradients,
    under autocast and in half precision where it can. When the block ends, also by an error,
    nothing is left on the model. Captures may be nested. What is kept is one image's maps and the
    weights of each call, on the device where they are.

    Args:
        model: any module that runs in this process. `DataParallel` on one device,
            `DistributedDataParallel` and what `torch.compile` returned are unwrapped; call them as
            ever. **Compiled code runs eagerly inside the block**: that is what `torch.compile` does
            under any dispatch mode, and compiled code has no layers left to name. What was compiled
            before is used again afterwards.
        image: which one of the batch is recorded.
        image_size: (H, W) that the maps are laid on. By default that of the model's own input: say
            it where the model pads or resizes inside, or takes no image.

    Yields:
        The list that fills, one `Sampling` a call (one a level for multi-scale attention), in the
        order of the calls. Each holds copies of its own. `name` is the path of the module that owns
        the weight, as in the state dict, such as "block3.conv1.regular_conv", with " (2nd call)"
        behind it where it is called again. `image_map` lays the map over the model's input, see
        `image_map_of`.

    Raises:
        ValueError: a `DataParallel` on several devices, whose replicas run in other threads.
        IndexError: from within the model's call, for a batch without such an image.

    Warns:
        UserWarning: a layer of a known kind that could not be read; it names the layer and says
            why. The model goes on.

    Example:
        >>> from torchvision.ops import DeformConv2d
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.offset, self.conv = nn.Conv2d(3, 18, 3, 2, 1), DeformConv2d(3, 8, 3, 2, 1)
        ...     def forward(self, x):
        ...         return self.conv(x, self.offset(x)).relu_()
        >>> with capture(Net()) as samplings:
        ...     _ = Net()(torch.rand(2, 3, 32, 32))  # another model is not recorded
        >>> samplings
        []
        >>> model = Net()
        >>> with capture(model, image=1) as samplings:
        ...     _ = model(torch.rand(2, 3, 32, 32))
        >>> samplings[0].name, samplings[0].output_size
        ('conv', (16, 16))
    """
    inner = _unwrapped(model)
    recorder = Recorder(inner, image, image_size)
    with _told(inner, [recorder]):
        yield recorder.samplings


@contextmanager
def capture_batch(model: nn.Module, count: int) -> Iterator[list[list[Sampling]]]:
    """As `capture`, of each of the first `count` images of a batch, but where they read alone.

    What a layer read, what it made of it and its weights are not kept: of a large batch they would
    take many times the memory of the network, and copying them a tenth of its time.

    Yields:
        A list of records for each image.

    Example:
        >>> from torchvision.ops import DeformConv2d
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.offset, self.conv = nn.Conv2d(3, 18, 3, 2, 1), DeformConv2d(3, 8, 3, 2, 1)
        ...     def forward(self, x):
        ...         return self.conv(x, self.offset(x))
        >>> model = Net()
        >>> with capture_batch(model, 2) as images:
        ...     _ = model(torch.rand(2, 3, 32, 32))
        >>> [[s.name for s in samplings] for samplings in images], images[1][0].output is None
        ([['conv'], ['conv']], True)
    """
    inner = _unwrapped(model)
    first = Recorder(inner, 0, None, maps=False)
    recorders = [first, *(first.beside(image) for image in range(1, count))]
    with _told(inner, recorders):
        yield [recorder.samplings for recorder in recorders]


@contextmanager
def _told(model: nn.Module, recorders: Sequence[Recorder]) -> Iterator[None]:
    """The recorders are told of every module and operator while the block runs."""

    def enter(*of: Any) -> None:  # noqa: ANN401
        for recorder in recorders:
            recorder.enter(*of)

    def leave(*of: Any) -> None:  # noqa: ANN401
        for recorder in recorders:
            recorder.leave(*of)

    with ExitStack() as undo:
        for module in model.modules():
            before = module.register_forward_pre_hook(enter, with_kwargs=True)
            undo.callback(before.remove)
            after = module.register_forward_hook(leave, with_kwargs=True, always_call=True)
            undo.callback(after.remove)
        undo.enter_context(_Operators(recorders))
        yield


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator below autograd and autocast, and hands one of them to the recorders."""

    supports_higher_order_operators = True  # and leaves them as they are, as all others

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        import torchvision  # noqa: F401  (registers the operator)

        self._recorders = recorders
        self._operator = torch.ops.torchvision.deform_conv2d.default

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  (an operator; torch gives no type)
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        output = func(*args, **(kwargs or {}))
        if func is self._operator:
            names = [argument.name for argument in func._schema.arguments]
            arguments = dict(zip(names, args, strict=False)) | (kwargs or {})
            for recorder in self._recorders:
                recorder.operator(arguments, output)
        return output


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module inside wrappers that only say where or how it runs."""
    while True:
        if isinstance(model, nn.DataParallel) and len(model.device_ids) > 1:
            raise ValueError(
                f"this DataParallel runs its replicas on {len(model.device_ids)} devices, in "
                "threads that are not seen: call and capture model.module instead"
            )
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model
