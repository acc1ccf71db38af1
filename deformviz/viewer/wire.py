"""A `Sampling` as the bytes that the viewer reads: the .safetensors file of `Sampling.save`, leaner.

What is the same everywhere is sent once: a regular grid's offsets are one zero, not a megabyte of
them. Numbers keep their float32, so that the terms add up in the browser as they do here; only
offsets too large for that go as float16.
"""

from __future__ import annotations

import json

import torch
from safetensors.torch import save

from ..geometry import once
from ..sampling import Sampling

HALF_ABOVE = 128 * 2**20
"""Bytes of offsets in float32 above which they are sent as float16."""


def to_bytes(sampling: Sampling, *, half_above: int = HALF_ABOVE) -> bytes:
    """The record with its tensors, for `static/tensors.js`.

    Axes along which a tensor is one value expanded have length 1 and are to be broadcast. Offsets
    are float32, or float16 where they would take more than `half_above` bytes; regions are int32.

    Example:
        >>> from deformviz import Kernel
        >>> len(to_bytes(Sampling.regular("convolution", Kernel.of(3), (512, 512)))) < 1000
        True
    """
    tensors = {}
    for name, tensor in sampling.known().items():
        held = once(tensor.detach())
        kind = torch.int32 if name == "region" else torch.float32
        if name == "offset" and 4 * held.numel() > half_above:
            kind = torch.float16
        # Copies, as the format refuses tensors that share memory.
        tensors[name] = held.to("cpu", kind, copy=True).contiguous()
    return save(tensors, metadata={"deformviz": json.dumps(sampling.header())})
