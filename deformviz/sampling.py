"""`Sampling`: for each output position, which points are read, how strongly, by which kernel.

Everything in deformviz that makes sampling points ends in this record, and everything that
draws or measures them starts from it. One coordinate convention holds everywhere:

* (y, x) order, pixel centres at integers, so a map of height H spans -0.5 to H - 0.5;
* taps are row-major, k = i * kw + j; offset groups are outermost;
* a point outside the map reads zero, and its value fades over one pixel: a point at y = -0.5
  reads half of row 0, a point at y <= -1 reads nothing (the rule of every published kernel).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .geometry import ImageMap, Kernel, Pair, as_pair, once

if TYPE_CHECKING:
    import numpy as np

    from .viewer import View

_TENSORS = ("offset", "reference", "mask", "region", "guide", "input", "output", "weight", "bias")
_PAIRS = ("input_size", "output_size", "kernel_size", "stride", "padding", "dilation")
_FORMAT = "deformviz.sampling/1"


@dataclass(frozen=True, eq=False)
class Sampling:
    """Where one call of an operator reads one image's map.

    Attributes:
        name: what it shows, e.g. "Deformable Conv v2" or "backbone.layer3.0.conv2".
        input_size: (H, W) of the map that is read.
        output_size: (h, w).
        kernel: the regular grid.
        offset: [G, K, 2, h, w], (dy, dx) in pixels of the input map, relative to the base point.
            Channel c of the input belongs to offset group c // (C / G).
        reference: [G, K, 2, h, w] base points, or None where they are the regular grid.
        mask: [G, K, h, w] after its activation, or None where every weight is 1.
        region: [h, w] integers, which kernel is used, or None where there is one.
        guide: [m, h, w] the scores that `region` was chosen by, or None.
        input: [C, H, W] the map that is read.
        output: [O, h, w] what the operator made of it.
        weight: [O, C / groups, kh, kw], with regions [m, O, C / groups, kh, kw]; None stands for
            the identity: each channel is read at its point and handed on.
        bias: [O] or None.
        image_map: how the map lies on the image.
        channel_names: what the input's channels are, e.g. "red" or "x", where that is known.

    Raises:
        ValueError: shapes that do not fit each other; the message names both.

    Example:
        >>> kernel = Kernel.of(3, padding=1)
        >>> s = Sampling.regular("convolution", kernel, (8, 8))
        >>> s.points_at(0, 0)[0, 0]
        tensor([-1., -1.])
    """

    name: str
    input_size: Pair
    output_size: Pair
    kernel: Kernel
    offset: Tensor  # [G, K, 2, h, w]
    reference: Tensor | None = None  # [G, K, 2, h, w]
    mask: Tensor | None = None  # [G, K, h, w]
    region: Tensor | None = None  # [h, w]
    guide: Tensor | None = None  # [m, h, w]
    input: Tensor | None = field(default=None, repr=False)  # [C, H, W]
    output: Tensor | None = field(default=None, repr=False)  # [O, h, w]
    weight: Tensor | None = field(default=None, repr=False)  # [(m,) O, C / groups, kh, kw]
    bias: Tensor | None = field(default=None, repr=False)  # [O]
    image_map: ImageMap = field(default_factory=ImageMap)
    channel_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        h, w = self.output_size
        if self.offset.dim() != 5 or self.offset.shape[2] != 2 or self.offset.shape[3:] != (h, w):
            raise ValueError(
                f"offset must be [G, K, 2, h, w] with (h, w) = {self.output_size}, "
                f"got {list(self.offset.shape)}"
            )
        groups, taps = self.offset.shape[:2]
        self._expect("reference", self.reference, [groups, taps, 2, h, w])
        self._expect("mask", self.mask, [groups, taps, h, w])
        self._expect("region", self.region, [h, w])
        if self.reference is None and (fits := self.kernel.output_size(self.input_size)) != (h, w):
            raise ValueError(
                f"output_size must be {fits} for a map of {self.input_size} under {self.kernel}, "
                f"got {self.output_size}"
            )
        if self.reference is None and taps != self.kernel.taps:
            raise ValueError(
                f"offset has {taps} taps, a {self.kernel.size} kernel has {self.kernel.taps}: "
                "give the base points as reference where they are not the regular grid"
            )
        if self.input is not None:
            self._expect("input", self.input, [self.input.shape[0], *self.input_size])
            if self.input.shape[0] % groups:
                raise ValueError(
                    f"input has {self.input.shape[0]} channels, which {groups} offset groups "
                    "do not divide"
                )
            if self.channel_names and len(self.channel_names) != self.input.shape[0]:
                raise ValueError(
                    f"channel_names must name the input's {self.input.shape[0]} channels, "
                    f"got {len(self.channel_names)} names"
                )
        if self.output is not None:
            self._expect("output", self.output, [self.output.shape[0], h, w])
        if self.guide is not None:
            self._expect("guide", self.guide, [self.guide.shape[0], h, w])
        if self.weight is not None:
            self._check_weight(self.weight)

    def _check_weight(self, weight: Tensor) -> None:
        if weight.dim() != (4 if self.region is None else 5):
            raise ValueError(
                "weight must be [O, C / groups, kh, kw], with regions [m, O, C / groups, kh, kw]; "
                f"got {list(weight.shape)}"
            )
        regions = [] if self.region is None else [weight.shape[0]]
        out, per_group = weight.shape[-4:-2]
        self._expect("weight", weight, [*regions, out, per_group, *self.kernel.size])
        self._expect("bias", self.bias, [out])
        if self.output is not None:
            self._expect("output", self.output, [out, *self.output_size])

    @staticmethod
    def _expect(name: str, tensor: Tensor | None, shape: list[int]) -> None:
        if tensor is not None and list(tensor.shape) != shape:
            raise ValueError(f"{name} must be {shape}, got {list(tensor.shape)}")

    @classmethod
    def regular(cls, name: str, kernel: Kernel, input_size: Pair, **tensors: Any) -> Sampling:  # noqa: ANN401
        """The Sampling of an operator that does not move its grid: one zero, seen from everywhere.

        Args:
            name, kernel, input_size: of the record; its output size follows.
            tensors: other fields; the offsets lie on the device of `input`.
        """
        output_size = kernel.output_size(input_size)
        given = tensors.get("input")
        zero = torch.zeros(1, 1, 1, 1, 1, device=None if given is None else given.device)
        offset = zero.expand(1, kernel.taps, 2, *output_size)
        return cls(name, input_size, output_size, kernel, offset, **tensors)

    @property
    def _exact(self) -> Tensor:
        """Of the dtype and device that coordinates are computed in: half precision loses pixels."""
        return self.offset.new_empty(0, dtype=torch.promote_types(self.offset.dtype, torch.float32))

    @cached_property
    def moves(self) -> bool:
        """Whether any tap moves at all."""
        offset = once(self.offset)
        # Where some move, a few of them tell.
        return bool((offset[..., ::16, ::16] != 0).any()) or bool((offset != 0).any())

    @property
    def groups(self) -> int:
        """G, the number of offset groups."""
        return self.offset.shape[0]

    @property
    def taps(self) -> int:
        """K, the number of points that each position reads per group."""
        return self.offset.shape[1]

    def base(self) -> Tensor:
        """The points before their offset: [G, K, 2, h, w] (a view for the regular grid)."""
        if self.reference is not None:
            return self.reference.to(self._exact)
        grid = self.kernel.regular_grid(self.output_size, self._exact)
        return grid.expand(self.groups, -1, -1, -1, -1)

    def points(self) -> Tensor:
        """Where each position reads: [G, K, 2, h, w], (y, x) in pixels of the input map."""
        return self.base() + self.offset

    def base_at(self, y: int, x: int) -> Tensor:
        """The points of one position before their offset: [G, K, 2]."""
        self.check_position(y, x)
        if self.reference is not None:
            return self.reference[..., y, x].to(self._exact)
        anchor = self._exact.new_tensor(
            [
                y * self.kernel.stride[0] - self.kernel.padding[0],
                x * self.kernel.stride[1] - self.kernel.padding[1],
            ]
        )
        return (self.kernel.tap_positions(self._exact) + anchor).expand(self.groups, -1, -1)

    def points_at(self, y: int, x: int) -> Tensor:
        """Where one output position reads: [G, K, 2], (y, x) in pixels of the input map."""
        return self.base_at(y, x) + self.offset[..., y, x]

    def mask_at(self, y: int, x: int) -> Tensor:
        """The modulation of one position: [G, K]; ones where there is no mask."""
        self.check_position(y, x)
        if self.mask is None:
            return self.offset.new_ones(self.groups, self.taps)
        return self.mask[..., y, x]

    def centre_at(self, y: int, x: int) -> Tensor:
        """The centre of one position's base points, on the input map: [2], (y, x)."""
        return self.base_at(y, x).mean(dim=(0, 1))

    def check_position(self, y: int, x: int) -> None:
        """Refuse a position that is not on the output."""
        h, w = self.output_size
        if not (0 <= y < h and 0 <= x < w):
            raise ValueError(f"position (y, x) = ({y}, {x}) is outside the {h} x {w} output")

    def to(self, device: torch.device | str) -> Sampling:
        """The same record with its tensors on `device`."""
        moved: dict[str, Any] = {name: t.to(device) for name, t in self.known().items()}
        return replace(self, **moved)

    def known(self) -> dict[str, Tensor]:
        """The tensors that are there, by field name, as they are."""
        fields = {name: getattr(self, name) for name in _TENSORS}
        return {name: tensor for name, tensor in fields.items() if tensor is not None}

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are there, by field name, detached and contiguous on the CPU."""
        return {name: t.detach().cpu().contiguous() for name, t in self.known().items()}

    def header(self) -> dict[str, Any]:
        """All that is not a tensor, as plain JSON types."""
        return {
            "format": _FORMAT,
            "name": self.name,
            "input_size": list(self.input_size),
            "output_size": list(self.output_size),
            "kernel_size": list(self.kernel.size),
            "stride": list(self.kernel.stride),
            "padding": list(self.kernel.padding),
            "dilation": list(self.kernel.dilation),
            "image_origin": list(self.image_map.origin),
            "image_stride": list(self.image_map.stride),
            "channel_names": list(self.channel_names),
        }

    def show(self, image: np.ndarray | None = None, **state: Any) -> View:  # noqa: ANN401
        """The interactive viewer: hover a position, see what it reads and what it adds up to.

        In a notebook, the cell's result is the viewer. Elsewhere, `.open()` shows it in a web
        browser and `.save("view.html")` writes it to a file that needs nothing else.

        Args:
            image: [H, W, 3] uint8 that the map lies on, or None for the map itself.
            state: what it opens with, see `deformviz.viewer.ViewState`, e.g. y=3, x=5, pinned=True.

        Example:
            >>> kernel = Kernel.of(3, padding=1)
            >>> Sampling.regular("convolution", kernel, (8, 8)).show(y=2, x=3).state.y
            2
        """
        # A door to the viewer, not a dependency: nothing else here needs plotly.
        from .viewer import View, ViewState

        return View(self, image, ViewState(**state))

    def save(self, path: str | Path) -> None:
        """Write to a .safetensors file, header and all; `Sampling.load` reads it back."""
        from safetensors.torch import save_file

        # Copies, as the format refuses tensors that share memory, such as an identity's two ends.
        tensors = {name: tensor.clone() for name, tensor in self.tensors().items()}
        save_file(tensors, str(path), metadata={"deformviz": json.dumps(self.header())})

    @classmethod
    def load(cls, path: str | Path) -> Sampling:
        """Read what `save` wrote.

        Raises:
            ValueError: the file is no .safetensors file, or none that `save` wrote.
        """
        from safetensors import SafetensorError, safe_open

        name = Path(path).name
        try:
            with safe_open(str(path), framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("deformviz", "{}"))
                held = set(file.keys())
                tensors = {key: file.get_tensor(key) for key in _TENSORS if key in held}
        except SafetensorError as error:
            raise ValueError(f"{name} is not a .safetensors file: {error}") from error
        except json.JSONDecodeError as error:
            raise ValueError(f"{name} has a damaged header: {error}") from error
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise ValueError(f"{name} holds no Sampling: expected a file that Sampling.save wrote")
        try:
            return cls.of(header, tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name} holds a damaged Sampling: {error!r}") from error

    @classmethod
    def of(cls, header: dict[str, Any], tensors: dict[str, Any]) -> Sampling:
        """The record whose `header()` and `tensors()` these are, as one that came over a pipe.

        Raises:
            KeyError, TypeError, ValueError: they are of no record.
        """
        return cls(**_from_header(header), **tensors)


def _from_header(header: dict[str, Any]) -> dict[str, Any]:
    """What `Sampling.header` wrote, checked, as arguments of `Sampling`."""
    if not isinstance(header["name"], str):
        raise TypeError(f"name must be a text, got {header['name']!r}")
    pairs = {key: as_pair(header[key], key) for key in _PAIRS}
    origin, stride = (_floats(header[key], key) for key in ("image_origin", "image_stride"))
    return {
        "name": header["name"],
        "input_size": pairs["input_size"],
        "output_size": pairs["output_size"],
        "kernel": Kernel.of(
            pairs["kernel_size"], pairs["stride"], pairs["padding"], pairs["dilation"]
        ),
        "image_map": ImageMap(origin, stride),
        "channel_names": tuple(str(name) for name in header.get("channel_names", [])),
    }


def _floats(value: object, name: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers, got {value!r}")
    return (float(value[0]), float(value[1]))
