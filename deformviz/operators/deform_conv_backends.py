"""By which means a deformable convolution is computed: the backends, and the choice among them.

Milliseconds of one core of a 2.6 GHz EPYC (Zen 4), float32, modulated, C channels to C, batch 1:

    =====================  ===========  ===========  =============  ============
    forward                torchvision  grid_sample  embedding_bag  compile=True
    =====================  ===========  ===========  =============  ============
    3, 256²                         33            9             61             8
    3, 512²                        108           25            190            26
    3, 512², kernel 7              779          134            869           132
    64, 56²                         25            7             10             6
    64, 128²                       169           42             56            32
    128, 64², 8 groups              78           28             33            27
    256, 28²                        31           14             17            16
    256, 128²                      825          384            368           426
    512, 14²                        21           15             17            14
    =====================  ===========  ===========  =============  ============

With the backward pass: 267 and 39 in the first row, 219 and 36 in the fourth, 5527 and 1401 in the
eighth, 142 and 51 in the last. More cores help all but torchvision, which samples on one.

So on a CPU `grid_sample` is the choice for every shape, and its backward pass is everyone's: one
built on `embedding_bag` and a sort of the corners took as long from 64 channels on, and 6 times as
long for 3. On a CUDA GPU the choice is torchvision's operator, whose kernels are made for one. On
any other device, and where `torch.compile` or `torch.export` looks on, it is `embedding_bag` under
autograd: plain operators throughout. `benchmarks/operators.py` measures it all again.
"""

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


def check_choice(backend: Backend, compile: bool) -> None:
    """ValueError for a backend of another name, or one to compile that is not."""
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {get_args(Backend)}, got {backend!r}")
    if compile and backend != "auto":
        raise ValueError(f'compile=True needs backend="auto", got {backend!r}, which is eager')


def run(call: Call, backend: Backend, compile: bool) -> Tensor:
    """Compute the convolution without its bias: [B, O, h, w].

    Raises:
        ValueError: as `check_choice`.
    """
    check_choice(backend, compile)
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
