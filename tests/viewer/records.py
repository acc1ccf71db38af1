"""What the tests in this folder share: records of every operator, JSON as a browser reads it."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deformviz import ImageMap, Kernel, Sampling
from deformviz.explore import OPERATORS, Settings, explore

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 17, 3), dtype=np.uint8)
"""So small that pictures of its size lose nothing on their way into a page."""

VARIANTS: dict[str, dict[str, Any]] = {
    "first": {},
    "random": {"field": "random", "mask": "random", "guide": "random", "generated": True},
    "coarse": {"field": "wave", "stride": 2, "kernel_size": (2, 4), "mask": "edge-following"},
    "three groups": {"field": "dilate", "strength": 1.0, "offset_groups": 3, "border": "keep"},
}
"""Settings that every operator takes, by what is special about them."""

CASES = [(operator, variant) for operator in OPERATORS for variant in VARIANTS]


@cache
def run(operator: str, **settings: Any) -> Sampling:
    """An operator on `PHOTO`; `**settings` as in `Settings`."""
    return explore(PHOTO, Settings(operator=operator, **settings)).sampling


def record(operator: str, variant: str) -> Sampling:
    """The record of one of `CASES`."""
    return run(operator, **VARIANTS[variant])


def attention(groups: int = 2, points: int = 5) -> Sampling:
    """A record with base points of its own, on a map of stride 4, filled with random numbers."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    size = (groups, points, 2, 6, 7)
    return Sampling(
        name="attention",
        input_size=(12, 14),
        output_size=(6, 7),
        kernel=Kernel.of(1),
        offset=random(*size),
        reference=4 * random(*size),
        mask=random(groups, points, 6, 7),
        input=random(4, 12, 14),
        output=random(2, 6, 7),
        image_map=ImageMap.of_stride(4),
    )


def tensors(sampling: Sampling) -> dict[str, Tensor]:
    """The tensors of a record, by field."""
    values = {field.name: getattr(sampling, field.name) for field in fields(sampling)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def strict(text: str) -> Any:
    """JSON as a browser reads it, which knows no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def pixels(uri: str) -> np.ndarray:
    """A data URI's picture: [h, w, 3] uint8."""
    kind, _, encoded = uri.partition(";base64,")
    assert kind.startswith("data:image/")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
