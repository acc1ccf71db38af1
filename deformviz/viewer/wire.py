"""A `Sampling` as the bytes that the viewer reads: what `Sampling.save` writes, but leaner.

What is the same everywhere is sent once: a regular grid's offsets are one zero, not a megabyte of
them. Numbers keep their float32, so that the terms add up in the browser as they do here; only
offsets too large for that go as float16, and files of many layers, as a whole.
"""

from __future__ import annotations

import json

import torch
from safetensors.torch import save
from torch import Tensor

from ..geometry import once
from ..sampling import Sampling

HALF_ABOVE = 128 * 2**20
"""Bytes of offsets in float32 above which they are sent as float16."""

_SENT_ONCE = {"offset", "reference", "mask", "region"}
"""The lengths of these are in the scene as well; those of the others are read off their tensors."""


def to_bytes(sampling: Sampling, *, half_above: int = HALF_ABOVE, all_half: bool = False) -> bytes:
    """The record with its tensors, for `static/tensors.js`.

    Axes along which offsets, base points, masks or regions are one value expanded have length 1
    and are to be broadcast. Offsets are float32, or float16 where they would take more than
    `half_above` bytes; regions are int32. With `all_half`, everything else is float16 as well, but
    for tensors with numbers that have no float16.

    Example:
        >>> from deformviz import Kernel
        >>> len(to_bytes(Sampling.regular("convolution", Kernel.of(3), (512, 512)))) < 1000
        True
    """
    tensors = {
        # Copies, as the format refuses tensors that share memory.
        name: held.to("cpu", _kind(name, held, half_above, all_half), copy=True).contiguous()
        for name, held in _held(sampling).items()
    }
    return save(tensors, metadata={"deformviz": json.dumps(sampling.header())})


def wire_size(sampling: Sampling, *, half_above: int = HALF_ABOVE, all_half: bool = False) -> int:
    """How many bytes of numbers `to_bytes` sends, without the header."""
    return sum(
        held.numel() * _kind(name, held, half_above, all_half).itemsize
        for name, held in _held(sampling).items()
    )


def rounded(sampling: Sampling, *, half_above: int = HALF_ABOVE) -> str:
    """What a page is to say of offsets that `to_bytes` rounds, or nothing."""
    if 4 * once(sampling.offset).numel() <= half_above:
        return ""
    return (
        "offsets rounded to half precision, to 3 digits: they would take more than "
        f"{half_above >> 20} MiB"
    )


def _held(sampling: Sampling) -> dict[str, Tensor]:
    return {
        name: once(tensor.detach()) if name in _SENT_ONCE else tensor.detach()
        for name, tensor in sampling.known().items()
    }


def _kind(name: str, tensor: Tensor, half_above: int, all_half: bool) -> torch.dtype:
    if name == "region":
        return torch.int32
    large = name == "offset" and 4 * tensor.numel() > half_above
    return torch.float16 if large or (all_half and _has_half(tensor)) else torch.float32


def _has_half(tensor: Tensor) -> bool:
    """Whether no finite number of a tensor is beyond the largest float16."""
    largest = torch.finfo(torch.float16).max
    return not bool(((tensor.abs() > largest) & tensor.isfinite()).any())
