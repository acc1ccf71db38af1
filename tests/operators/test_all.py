"""What every operator must do, asked of each in the same words."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from deformviz.analysis import recompute, terms_at
from deformviz.operators import (
    ActiveShift2d,
    Conv2d,
    CoordConv2d,
    CycleFC,
    DeformConv2d,
    DRConv2d,
    ModulatedDeformConv2d,
    SpatialShift2d,
    dr_conv2d,
)

Pair = tuple[int, int]
Build = Callable[..., nn.Module]

CHANNELS = 6


@dataclass(frozen=True)
class Operator:
    """How to build a layer for `CHANNELS` channels, and what it promises.

    Attributes:
        build: takes the geometry of a convolution where the operator has one.
        keeps_dtype: under autocast it gives the dtype of its input; else autocast's, as torch's
            own convolution does.
    """

    build: Build
    has_kernel: bool = True
    keeps_dtype: bool = False


OPERATORS = {
    "convolution": Operator(lambda **g: Conv2d(CHANNELS, 4, **g)),
    "CoordConv": Operator(lambda **g: CoordConv2d(CHANNELS, 4, radius=True, **g)),
    "Deformable Conv v1": Operator(
        lambda **g: DeformConv2d(CHANNELS, 4, offset_groups=2, **g), keeps_dtype=True
    ),
    "Deformable Conv v2": Operator(
        lambda **g: ModulatedDeformConv2d(CHANNELS, 4, groups=2, offset_groups=3, **g),
        keeps_dtype=True,
    ),
    "DRConv": Operator(lambda **g: DRConv2d(CHANNELS, 4, regions=3, **g), keeps_dtype=True),
    "spatial shift": Operator(lambda: SpatialShift2d(step=2), False, True),
    "spatial shift, kept": Operator(lambda: SpatialShift2d(border="keep"), False, True),
    "Active Shift": Operator(lambda: ActiveShift2d(CHANNELS, 4, init_std=1.5), False),
    "CycleFC": Operator(lambda: CycleFC(CHANNELS, 4, (1, 3)), False),
}
GEOMETRIES: dict[str, dict[str, int | Pair]] = {
    "3x3": {"kernel_size": 3, "padding": 1},
    "1x1": {"kernel_size": 1},
    "2x2": {"kernel_size": 2},
    "4x4 padded": {"kernel_size": 4, "padding": 2},
    "2x5 strided": {"kernel_size": (2, 5), "stride": (2, 1), "padding": (0, 2)},
    "3x1 dilated": {"kernel_size": (3, 1), "dilation": (2, 1), "stride": (1, 3)},
    "11x11": {"kernel_size": 11, "padding": 5},
}
SIZES = {"square": (6, 6), "wide": (5, 8), "tall": (7, 5)}

CASES = {
    f"{name}, {geometry}" if operator.has_kernel else name: (
        operator,
        GEOMETRIES[geometry] if operator.has_kernel else {},
    )
    for name, operator in OPERATORS.items()
    for geometry in (GEOMETRIES if operator.has_kernel else ["3x3"])
}
every_operator = pytest.mark.parametrize("name", list(OPERATORS))
every_case = pytest.mark.parametrize(
    ("operator", "geometry"), list(CASES.values()), ids=list(CASES)
)
with_kernel = pytest.mark.parametrize("name", [n for n, o in OPERATORS.items() if o.has_kernel])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def made(operator: Operator, geometry: dict[str, int | Pair]) -> nn.Module:
    """A layer in float64 whose offset and mask convolutions, which start at zero, are awake."""
    layer = operator.build(**geometry).double()
    for name, parameter in layer.named_parameters():
        if name.startswith(("offset_conv.", "mask_conv.")):
            nn.init.normal_(parameter, std=0.3)
    return layer


def typical(name: str) -> nn.Module:
    operator = OPERATORS[name]
    return made(operator, GEOMETRIES["3x3"] if operator.has_kernel else {})


def image(size: Pair = (5, 8), batch: int = 3) -> Tensor:
    return torch.randn(batch, CHANNELS, *size, dtype=torch.float64)


# --- shapes and batches ----------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("size", list(SIZES.values()), ids=list(SIZES))
def test_the_output_has_the_size_of_a_convolutions(
    operator: Operator, geometry: dict[str, int | Pair], size: Pair
) -> None:
    x = image(size, batch=2)
    got = made(operator, geometry)(x)
    expected = nn.Conv2d(CHANNELS, 4, **geometry)(x.float()) if geometry else x
    assert got.shape[2:] == expected.shape[2:]
    assert got.shape[0] == 2
    assert got.isfinite().all()
    assert got.std() > 0


@every_case
def test_a_batch_equals_each_image_alone(
    operator: Operator, geometry: dict[str, int | Pair]
) -> None:
    layer, x = made(operator, geometry), image()
    together = layer(x)
    for b in range(3):
        alone = layer(x[b : b + 1])
        torch.testing.assert_close(together[b : b + 1], alone, rtol=0, atol=1e-12)


@every_operator
def test_images_in_channels_last_give_the_same(name: str) -> None:
    layer, x = typical(name), image()
    got = layer(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(got, layer(x), rtol=0, atol=1e-12)


@every_operator
def test_the_input_is_left_as_it_was(name: str) -> None:
    x = image()
    before = x.clone()
    typical(name)(x)
    assert torch.equal(x, before)


# --- gradients -------------------------------------------------------------------------------


@every_operator
def test_gradcheck_of_input_and_parameters(name: str) -> None:
    """DRConv with its guide fixed: a choice has no derivative, what it learns by is elsewhere."""
    layer = typical(name)
    x = image((4, 3), batch=1).requires_grad_()
    names = [n for n, _ in layer.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    guide = layer.guide_conv(x).detach() if isinstance(layer, DRConv2d) else None

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        given = dict(zip(names, parameters, strict=True))
        if guide is None:
            return torch.func.functional_call(layer, given, (x,))
        own = {n.removeprefix("filter_generator."): p for n, p in given.items() if "filter" in n}
        filters = torch.func.functional_call(layer.filter_generator, own, (x,))
        shape = (1, layer.regions, layer.out_channels, -1, *layer.kernel.size)
        return dr_conv2d(x, filters.reshape(shape), guide, padding=1)

    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)


@every_operator
def test_every_parameter_gets_a_gradient(name: str) -> None:
    layer, x = typical(name), image().requires_grad_()
    layer(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0
    for parameter_name, parameter in layer.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name


# --- dtypes ----------------------------------------------------------------------------------


@every_operator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_dtype_is_kept(name: str, dtype: torch.dtype) -> None:
    layer, x = typical(name), image()
    expected = layer(x)
    got = layer.to(dtype)(x.to(dtype))
    assert got.dtype == dtype
    atol = 1e-4 if dtype == torch.float32 else 0
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=atol)


@every_operator
def test_autocast_gives_the_right_dtype_and_values_near_float32(name: str) -> None:
    layer, x = typical(name).float(), image().float()
    expected = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = layer(x)
    assert got.dtype == (torch.float32 if OPERATORS[name].keeps_dtype else torch.bfloat16)
    # Eight bits of mantissa, over some sixty terms; offsets move by as much as they are rounded.
    close = (got.float() - expected).abs() < 0.03 * expected.abs().max()
    if isinstance(layer, DRConv2d):  # scores that bfloat16 cannot tell apart choose anew
        scores = layer.guide_conv(x).topk(2, dim=1).values
        close |= (scores[:, :1] - scores[:, 1:]) < 0.02
        assert close.float().mean() > 0.9
    assert close.all()


@every_operator
@pytest.mark.parametrize("inside", [False, True], ids=["backward outside", "backward inside"])
def test_autocast_trains(name: str, inside: bool) -> None:
    """The forward pass under autocast; many training loops call backward there, too."""
    layer, x = typical(name).float(), image().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = layer(x).float().square().sum()
        if inside:
            loss.backward()
    if not inside:
        loss.backward()
    for leaf in (x, *layer.parameters()):
        assert leaf.grad is not None
        assert leaf.grad.dtype == torch.float32
        assert leaf.grad.isfinite().all()


# --- kernels that leave nothing --------------------------------------------------------------


@with_kernel
def test_a_kernel_that_leaves_no_output_is_refused_with_what_to_do(name: str) -> None:
    layer, x = OPERATORS[name].build(kernel_size=7), torch.rand(1, CHANNELS, 5, 9)
    if name == "convolution":
        pytest.skip("its forward is torch.nn.Conv2d's own")
    with pytest.raises(ValueError, match=r"7 x 7 .* 5 x 9: take a smaller kernel .* larger input"):
        layer(x)


@with_kernel
def test_no_record_of_a_kernel_that_leaves_no_output(name: str) -> None:
    layer, x = OPERATORS[name].build(kernel_size=3, dilation=3), torch.rand(1, CHANNELS, 9, 5)
    with pytest.raises(ValueError, match=r"7 x 7 .* 9 x 5: take a smaller kernel .* larger input"):
        layer.sampling(x)


# --- the record ------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("index", [0, 2])
def test_the_record_is_of_that_image_and_adds_up(
    operator: Operator, geometry: dict[str, int | Pair], index: int
) -> None:
    layer, x = made(operator, geometry), image()
    expected = layer(x)[index]
    s = layer.sampling(x, index)
    assert s.input_size == (5, 8)
    assert s.output_size == tuple(expected.shape[1:])
    torch.testing.assert_close(s.output, expected.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(s.input[:CHANNELS], x[index], rtol=0, atol=0)
    h, w = s.output_size
    positions = torch.cartesian_prod(torch.arange(h), torch.arange(w))
    again = recompute(s, positions)
    torch.testing.assert_close(again, expected.detach().flatten(1).T, rtol=0, atol=1e-11)
    terms = terms_at(s, h - 1, w // 2, channel=3)
    assert terms.total == pytest.approx(expected[3, h - 1, w // 2].item(), abs=1e-11)


@every_operator
def test_the_record_wants_no_gradient(name: str) -> None:
    s = typical(name).sampling(image().requires_grad_())
    tensors = (s.offset, s.mask, s.guide, s.input, s.output, s.weight, s.bias)
    assert not any(t.requires_grad for t in tensors if t is not None)


@every_operator
def test_an_image_that_is_not_in_the_batch_is_refused(name: str) -> None:
    with pytest.raises((IndexError, ValueError)):
        typical(name).sampling(image(batch=2), 2)


@every_operator
def test_copied_and_reloaded_layers_give_the_same(name: str) -> None:
    layer, x = typical(name), image()
    other = typical(name)
    other.load_state_dict(copy.deepcopy(layer.state_dict()))
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=0)


# --- devices ---------------------------------------------------------------------------------


def accelerator(kind: str) -> str:
    available = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}[kind]
    if not available():
        pytest.skip(f"no {kind} device")
    return kind


@pytest.mark.parametrize("kind", ["cuda", "mps"])
@every_operator
def test_an_accelerator_gives_what_the_processor_gives(name: str, kind: str) -> None:
    device = accelerator(kind)
    layer, x = typical(name).float(), image().float().requires_grad_()
    expected = layer(x)
    (slope,) = torch.autograd.grad(expected.square().sum(), x)
    moved, there = copy.deepcopy(layer).to(device), x.detach().to(device).requires_grad_()
    got = moved(there)
    (slope_there,) = torch.autograd.grad(got.square().sum(), there)
    assert got.device.type == kind
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(slope_there.cpu(), slope, rtol=1e-2, atol=1e-2)
    s = moved.sampling(there, 1)
    assert s.offset.device.type in (kind, "cpu")
    terms = terms_at(s, 2, 3)
    assert terms.total == pytest.approx(expected[1, 0, 2, 3].item(), abs=1e-3)
    torch.testing.assert_close(
        recompute(s.to("cpu"), torch.tensor([[2, 3]]))[0].float(), expected[1, :, 2, 3].detach(),
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip
