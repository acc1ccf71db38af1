"""By which means a deformable convolution is computed: the backends, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import deform_conv_bag, deform_conv_compiled, deform_conv_grid
from .deform_conv_call import Call

Backend = Literal["auto", "grid_sample", "embedding_bag", "torchvision"]


def choose(call: Call) -> Backend:
    """What "auto" is for these arguments."""
    if call.input.device.type == "cuda":
        return "torchvision"
    return "grid_sample" if call.input.device.type == "cpu" else "embedding_bag"


def run(call: Call, backend: Backend, compile: bool) -> Tensor:
    """Compute the convolution without its bias: [B, O, h, w].

    Raises:
        ValueError: a backend of another name, or one to compile that is not.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {get_args(Backend)}, got {backend!r}")
    if compile and backend != "auto":
        raise ValueError(f'compile=True needs backend="auto", got {backend!r}, which is eager')
    chosen = choose(call) if backend == "auto" else backend
    if chosen == "torchvision":
        return _torchvision(call)
    if call.input.device.type not in ("cpu", "cuda") or torch.compiler.is_compiling():
        return deform_conv_bag.forward(call)  # plain operators, which can be traced
    tensors = (call.input, call.offset, call.weight, call.mask)
    forward = deform_conv_compiled.forward if compile else _FORWARD[chosen]
    output: Tensor = _DeformConv.apply(*tensors, call.kernel, forward)
    return output


_FORWARD: dict[Backend, Callable[[Call], Tensor]] = {
    "grid_sample": deform_conv_grid.forward,
    "embedding_bag": deform_conv_bag.forward,
}


class _DeformConv(torch.autograd.Function):
    """Any forward pass, and the backward pass that was fastest for every shape."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        input: Tensor,
        offset: Tensor,
        weight: Tensor,
        mask: Tensor | None,
        kernel: Any,  # noqa: ANN401
        compute: Callable[[Call], Tensor],
    ) -> Tensor:
        ctx.save_for_backward(input, offset, weight, mask)
        ctx.kernel = kernel
        return compute(Call(input, offset, weight, mask, kernel))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        input, offset, weight, mask = ctx.saved_tensors
        call = Call(input, offset, weight, mask, ctx.kernel)
        with torch.autocast(grad.device.type, enabled=False):
            return *deform_conv_grid.backward(call, grad, ctx.needs_input_grad[:4]), None, None


def _torchvision(call: Call) -> Tensor:
    """The operator of torchvision, told of points that are not finite, on which it counts."""
    from torchvision.ops import deform_conv2d

    kernel, far = call.kernel, 4.0 * max(call.input.shape[2:]) + 1e4
    offset = call.offset.nan_to_num(nan=far, posinf=far, neginf=-far).clamp(-far, far)
    mask = None if call.mask is None else call.mask.flatten(1, 2)
    output: Tensor = deform_conv2d(
        call.input, offset.flatten(1, 3), call.weight, None,
        kernel.stride, kernel.padding, kernel.dilation, mask,
    )  # fmt: skip
    return output
