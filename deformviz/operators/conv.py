"""Standard convolution: the regular grid, the reference beside every other operator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import Kernel, Pair, as_pair, check_batch, one_image
from ..sampling import Sampling


def conv2d_sampling(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    *,
    index: int = 0,
    name: str = "Convolution",
) -> Sampling:
    """Run `torch.nn.functional.conv2d` on image `index` of the batch and record where it read.

    Args:
        input: [B, C, H, W].
        weight: [O, C / groups, kh, kw].
        others: as in `torch.nn.functional.conv2d`; `padding` in numbers.

    Example:
        >>> s = conv2d_sampling(torch.rand(1, 3, 8, 8), torch.rand(4, 3, 3, 3), padding=1)
        >>> s.points_at(2, 5)[0, 4]
        tensor([2., 5.])
    """
    check_batch(input)
    kernel = Kernel.of(tuple(weight.shape[2:]), stride, padding, dilation)
    x = one_image(input, index)
    kernel.output_size((x.shape[2], x.shape[3]))
    output = F.conv2d(x, weight, bias, kernel.stride, kernel.padding, kernel.dilation, groups)
    return Sampling.regular(
        name,
        kernel,
        (x.shape[2], x.shape[3]),
        input=x[0].detach(),
        output=output[0].detach(),
        weight=weight.detach(),
        bias=None if bias is None else bias.detach(),
    )


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` that can say where it reads.

    Example:
        >>> Conv2d(3, 4, 3).sampling(torch.rand(1, 3, 8, 8)).output_size
        (6, 6)
    """

    @torch.no_grad()
    def sampling(self, input: Tensor, index: int = 0) -> Sampling:
        """Run on image `index` of the batch and record where it read.

        Raises:
            ValueError: padding given as a word, or a padding mode other than zeros, of which the
                regular grid of a `Sampling` cannot speak.
        """
        if isinstance(self.padding, str) or self.padding_mode != "zeros":
            raise ValueError(
                "a Sampling needs zero padding given in numbers, got "
                f"padding={self.padding!r}, padding_mode={self.padding_mode!r}"
            )
        stride, padding, dilation = map(as_pair, (self.stride, self.padding, self.dilation))
        return conv2d_sampling(
            input, self.weight, self.bias, stride, padding, dilation, self.groups, index=index
        )
