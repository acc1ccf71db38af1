"""One call of torchvision's operator as a `Sampling`: the arguments that the dispatcher sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...geometry import Kernel, one_image
from ...operators.deform_conv import split_mask, split_offset
from ...sampling import Sampling

OPERATOR = "torchvision::deform_conv2d"


def sampling_of_call(
    arguments: Mapping[str, Any],
    output: Tensor,
    image: int = 0,
    name: str = OPERATOR,
    *,
    maps: bool = True,
) -> Sampling:
    """Record one call, with copies of its own of everything.

    Args:
        arguments: of ``torch.ops.torchvision.deform_conv2d``, by name: `input` [B, C, H, W],
            `weight` [O, C / groups, kh, kw], `offset` [B, 2GK, h, w] in pixels of the input with
            (dy, dx) per tap, `mask` [B, GK, h, w] where `use_mask` says so, `bias` [O] or None,
            and the integers `stride_h`, `stride_w`, `pad_h`, `pad_w`, `dilation_h`, `dilation_w`.
        output: [B, O, h, w], what it returned.
        image: which of the batch.
        name: of the record.
        maps: whether input, output, weight and bias are copied as well.

    Raises:
        IndexError: the batch has no such image.

    Example:
        >>> x, w = torch.rand(1, 3, 8, 8), torch.rand(4, 3, 1, 1)
        >>> ones = dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1)
        >>> call = {"input": x, "weight": w, "offset": torch.zeros(1, 2, 8, 8), "mask": x[:, :0],
        ...         "bias": torch.zeros(4), "pad_h": 0, "pad_w": 0, "use_mask": False, **ones}
        >>> sampling_of_call(call, torch.rand(1, 4, 8, 8)).kernel.size
        (1, 1)
    """
    weight = arguments["weight"]
    kernel = Kernel.of(
        tuple(weight.shape[2:]),
        (arguments["stride_h"], arguments["stride_w"]),
        (arguments["pad_h"], arguments["pad_w"]),
        (arguments["dilation_h"], arguments["dilation_w"]),
    )
    x, out = arguments["input"], output
    offset = own_copy(one_image(arguments["offset"], image))
    kept: dict[str, Any] = {}
    if maps:
        kept = {"input": own_copy(one_image(x, image))[0], "weight": own_copy(weight)}
        kept["output"] = own_copy(one_image(out, image))[0]
        if arguments["bias"] is not None:
            kept["bias"] = own_copy(arguments["bias"])
    mask = own_copy(one_image(arguments["mask"], image)) if arguments["use_mask"] else None
    return Sampling(
        name=name,
        input_size=(x.shape[2], x.shape[3]),
        output_size=(out.shape[2], out.shape[3]),
        kernel=kernel,
        offset=split_offset(offset, kernel.taps)[0],
        mask=None if mask is None else split_mask(mask, kernel.taps)[0],
        **kept,
    )


def own_copy(tensor: Tensor) -> Tensor:
    """A copy that nothing the model does later can change.

    Made outside of inference mode, so that it can take part in a gradient as any tensor can.
    """
    with torch.inference_mode(False), torch.no_grad():
        return tensor.detach().clone()
