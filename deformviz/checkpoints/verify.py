"""Is a record what its layer computed? The output, recomputed from the record alone, must tell.

Statistics stay plausible under a wrong channel order, so they prove nothing; a recomputed output
that matches does. `analysis.terms.recompute` shares no code with any operator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import torch
from torch import Tensor

from ..analysis.terms import recompute
from ..sampling import Sampling
from .convert import to_canonical
from .family import Order
from .layer import Layer

_PRODUCTS = 2**26
"""So many products are added up at most: some seconds for the widest layers."""

_AT_ONCE = 2**22
"""So many of them at once: 32 MiB in float64."""

_COARSE = 0.01
"""Rounding is never given more than this part of what is added up, as a wrong order of a wide layer
changes its output by a few parts in a hundred. Half precision may need more: then nothing is said
to be verified."""


@dataclass(frozen=True)
class Verified:
    """What a comparison of a layer's output with its recomputation says.

    Attributes:
        difference: the largest one between the layer's output and the recomputed one, in the
            output's own unit.
        tolerance: how large a difference rounding explains, in the same unit.
        positions: how many output positions were compared.
        order: the channel order of the offsets that was checked.
        others: the difference under every other order that was tried.
    """

    difference: float
    tolerance: float
    positions: int
    order: str = "canonical"
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def matches(self) -> bool:
        """Whether the record gives the layer's output; a NaN never matches."""
        return self.difference <= self.tolerance

    @property
    def rivals(self) -> tuple[str, ...]:
        """Orders that give the layer's output as well, as those of offsets near zero do."""
        return tuple(name for name, other in self.others.items() if other <= self.tolerance)

    @property
    def ok(self) -> bool:
        """Whether the order is proven: it matches, and no other one does."""
        return self.matches and not self.rivals

    def __str__(self) -> str:
        if not self.matches:
            return (
                f"order NOT verified: difference {self.difference:.0e}, "
                f"rounding explains {self.tolerance:.0e}"
            )
        if self.rivals:
            return (
                f"order undecided: {', '.join((self.order, *self.rivals))} all give the output, "
                f"difference {self.difference:.0e}"
            )
        return f"order verified: difference {self.difference:.0e}"


def verify(sampling: Sampling, *, positions: int = 64, channels: int | None = None) -> Verified:
    """Recompute a layer's output from its record, in float64, at some of its positions.

    Args:
        sampling: with its input and its output, such as `capture` makes.
        positions: at how many positions, spread over the map. Fewer are taken of a layer that is
            so wide that this would take more than some seconds.
        channels: how many output channels are compared; None for all. Fewer are only taken of a
            convolution without groups.

    Returns:
        The largest difference, and how much of it rounding explains: a few units in the last place
        of all that is added up, and of the coordinates, which grow with the map.

    Raises:
        ValueError: a record without its input or its output.

    Example:
        >>> from deformviz.operators import ModulatedDeformConv2d
        >>> s = ModulatedDeformConv2d(4, 8, 3, padding=1).sampling(torch.rand(1, 4, 9, 9))
        >>> verify(s).matches, verify(replace(s, output=s.output + 0.1)).matches
        (True, False)
    """
    thin = sampling if channels is None else _of_channels(sampling, channels)
    if thin.output is None:
        raise ValueError(f"the Sampling {sampling.name!r} does not hold its output")
    return verify_sum([thin], thin.output, positions=positions)


def verify_sum(samplings: Sequence[Sampling], output: Tensor, *, positions: int = 64) -> Verified:
    """The same for an output that several records add up to, as the levels of an attention do.

    Args:
        samplings: of one output size, each with its input.
        output: [O, h, w], their sum.
        positions: as for `verify`.

    Raises:
        ValueError: a record without its input.

    Example:
        >>> from deformviz.operators import conv2d_sampling
        >>> s = conv2d_sampling(torch.rand(1, 2, 5, 5), torch.rand(4, 2, 3, 3))
        >>> verify_sum([s, s], 2 * s.output).matches
        True
    """
    chosen = _positions(samplings, positions)
    places = chosen.to(output.device)
    expected = output[:, places[:, 0], places[:, 1]].T.cpu().double()  # [N, O]
    got = sum(_recomputed(one, chosen) for one in samplings)
    scale = sum(_recomputed(_in_size(one), chosen) for one in samplings)
    part = min(max(_rounding(one, output) for one in samplings), _COARSE)
    difference = float((got - expected).abs().max())
    return Verified(difference, part * float(torch.as_tensor(scale).max()), len(chosen))


def verify_order(
    layer: Layer,
    raw_offset: Tensor,
    input: Tensor,
    output: Tensor,
    *,
    weight: Tensor | None,
    bias: Tensor | None = None,
    raw_mask: Tensor | None = None,
    image: int = 0,
    positions: int = 64,
    **geometry: Any,  # noqa: ANN401  (handed on to `to_canonical`, which checks it)
) -> Verified:
    """Read a layer's raw offsets in every channel order, and keep the one that gives its output.

    Args:
        layer: whose offsets they are; all but its order is taken as it is.
        raw_offset, raw_mask: what its offset and mask convolutions gave, as for `to_canonical`.
        input: [B, C, H, W] the map that it read.
        output: [B, O, h, w] what it made of it.
        weight, bias: of the main convolution; no weight where points are only added up.
        image: which one of the batch is compared.
        positions: as for `verify`.
        geometry: stride, padding, dilation, base and level, as for `to_canonical`.

    Returns:
        The order with the smallest difference, and the differences of the others. `ok` is true
        only if no other one gives the output too.

    Raises:
        ValueError: tensors that fit neither the layer nor each other.

    Example:
        >>> from torchvision.ops import deform_conv2d
        >>> from deformviz.checkpoints import find_layers
        >>> (layer,) = find_layers(
        ...     {"a.weight": (4, 4, 3, 3), "a.conv_offset.weight": (18, 4, 3, 3)}
        ... )
        >>> x, raw = torch.rand(1, 4, 8, 8), torch.randn(1, 18, 8, 8)
        >>> weight = torch.rand(4, 4, 3, 3)
        >>> y = deform_conv2d(x, raw, weight, padding=1)
        >>> found = verify_order(layer, raw, x, y, weight=weight, padding=1)
        >>> found.order, found.ok, str(found)[:26]
        ('interleaved', True, 'order verified: difference')
    """
    geometry["size"] = (input.shape[2], input.shape[3])
    tried: dict[str, Verified] = {}
    for read in _in_each_order(layer, raw_offset, raw_mask, geometry):
        canonical = to_canonical(read, raw_offset, raw_mask, **geometry)
        sampling = canonical.sampling(
            layer.name, geometry["size"], image, input=input[image], output=output[image],
            weight=weight, bias=bias,
        )  # fmt: skip
        tried[read.order] = verify(sampling, positions=positions)
    best = min(tried, key=lambda order: (math.isnan(tried[order].difference),
                                         tried[order].difference))  # fmt: skip
    others = {order: one.difference for order, one in tried.items() if order != best}
    return replace(tried[best], order=best, others=others)


def _in_each_order(
    layer: Layer, raw_offset: Tensor, raw_mask: Tensor | None, geometry: dict[str, Any]
) -> list[Layer]:
    """The layer in its own order, then in each that means something else for such a kernel.

    A kernel of one row is the same by rows and by columns, one of a single tap has no blocks. That
    is asked of random offsets: the layer's own may all be zero, and then every order is the same.
    """
    probe = torch.rand_like(raw_offset)
    found: list[tuple[Layer, Tensor]] = []
    for order in (layer.order, *get_args(Order)):
        read = layer.override(order=order)
        offset = to_canonical(read, probe, raw_mask, **geometry).offset
        if not any(torch.equal(offset, other) for _, other in found):
            found.append((read, offset))
    return [read for read, _ in found]


def _of_channels(sampling: Sampling, channels: int) -> Sampling:
    """The first output channels alone, where each of them is made of all that are read."""
    weight, output = sampling.weight, sampling.output
    if weight is None or weight.dim() != 4 or output is None:
        return sampling
    if sampling.input is None or weight.shape[1] != sampling.input.shape[0]:
        return sampling
    bias = None if sampling.bias is None else sampling.bias[:channels]
    return replace(sampling, weight=weight[:channels], output=output[:channels], bias=bias)


def _positions(samplings: Sequence[Sampling], count: int) -> Tensor:
    """Distinct positions [N, 2], (y, x), the same ones for the same size."""
    h, w = samplings[0].output_size
    most = max(2, _PRODUCTS // (2 * sum(_products(one) for one in samplings)))
    generator = torch.Generator().manual_seed(0)
    flat = torch.randperm(h * w, generator=generator)[: max(1, min(count, most))]
    return torch.stack([flat // w, flat % w], dim=-1)


def _products(sampling: Sampling) -> int:
    """How many products the output at one position is the sum of."""
    if sampling.weight is not None:
        return sampling.weight.shape[-4:].numel()
    channels = 1 if sampling.input is None else sampling.input.shape[0]
    return channels * sampling.taps


def _recomputed(sampling: Sampling, positions: Tensor) -> Tensor:
    at_once = max(1, _AT_ONCE // _products(sampling))
    return torch.cat([recompute(sampling, part) for part in torch.split(positions, at_once)])


def _in_size(sampling: Sampling) -> Sampling:
    """The record whose output is the sum of all products' sizes: what rounding is measured by."""
    sizes: dict[str, Any] = {
        name: tensor.abs()
        for name, tensor in sampling.known().items()
        if name in ("input", "weight", "bias", "mask")
    }
    return replace(sampling, **sizes)


def _rounding(sampling: Sampling, output: Tensor) -> float:
    """What part of all that is added up rounding explains.

    Units in the last place of the coarsest tensor: some for the sum, and as many as the map has
    pixels for the coordinates, whose own last place grows with them.
    """
    known = (sampling.input, sampling.weight, sampling.offset, sampling.mask, output)
    unit = max(torch.finfo(t.dtype).eps for t in known if t is not None)
    return unit * (16 + 2 * max(sampling.input_size))
