"""Second implementations that several operators' checks share: none of them is ours."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor

from ..sampling import Sampling


def by_torchvision(sampling: Sampling) -> Tensor:
    """What torchvision's operator makes of a record's own input, offsets, mask and weights.

    Returns:
        [1, O, h, w], on the CPU.
    """
    assert sampling.input is not None
    assert sampling.weight is not None
    s, k = sampling, sampling.kernel
    offset = s.offset.expand(*s.offset.shape[:3], *s.output_size)  # [G, K, 2, h, w]
    mask = None if s.mask is None else s.mask.flatten(0, 1)[None].cpu()
    tensors = (sampling.input[None], offset.flatten(0, 2)[None], sampling.weight, s.bias)
    output: Tensor = torchvision.ops.deform_conv2d(
        *(None if t is None else t.cpu() for t in tensors), k.stride, k.padding, k.dilation, mask
    )
    return output


def with_coordinates(image: Tensor, radius: bool) -> Tensor:
    """An image [1, C, H, W] with channels 2i / (n − 1) − 1 of its columns and rows behind its own.

    Args:
        image: what they are appended to.
        radius: whether the root of the sum of their squares is appended, too.

    Returns:
        [1, C + 2 or 3, H, W].
    """
    rows, columns = (
        2 * torch.arange(n).to(image) / (n - 1) - 1 if n > 1 else image.new_zeros(1)
        for n in image.shape[2:]
    )
    across, down = columns.expand(len(rows), -1), rows[:, None].expand(-1, len(columns))
    channels = [across, down, (across**2 + down**2).sqrt()][: 3 if radius else 2]
    return torch.cat((image, torch.stack(channels)[None]), dim=1)
