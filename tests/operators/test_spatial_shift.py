"""The five ways to shift against a loop over pixels, for every border each can honour."""

from __future__ import annotations

from typing import get_args

import pytest
import reference
import torch
from torch import Tensor

from deformviz.operators import (
    BorderError,
    SpatialShift2d,
    spatial_shift,
    spatial_shift_sampling,
)
from deformviz.operators.spatial_shift import (
    BORDERS,
    DIRECTIONS,
    Border,
    Strategy,
    channel_shifts,
)

Pair = tuple[int, int]

SHIFTS: dict[str, list[Pair]] = {
    "one pixel in four directions": [(1, 0), (-1, 0), (0, 1), (0, -1)],
    "two pixels in four directions": [(2, 0), (-2, 0), (0, 2), (0, -2)],
    "three pixels in four directions": [(3, 0), (-3, 0), (0, 3), (0, -3)],
    "diagonals": [(1, 1), (-2, 1), (2, -3)],  # seven channels: groups of 3, 2 and 2
    "as far as the map": [(4, 0), (0, -5), (-4, 5)],
    "farther than the map": [(9, 0), (-5, 1), (0, -13), (6, 7)],
    "none at all": [(0, 0)],
    "each channel its own": [(0, 1), (0, 0), (-1, 0), (3, -1), (0, 2), (1, 1), (-2, -2)],
}
SUPPORTED = [(s, b) for s in get_args(Strategy) for b in get_args(Border) if b in BORDERS[s]]
EXACT = [s for s in get_args(Strategy) if s != "grid_sample"]

every_way = pytest.mark.parametrize(
    ("strategy", "border"), SUPPORTED, ids=[f"{s}, {b}" for s, b in SUPPORTED]
)
every_shift = pytest.mark.parametrize("shifts", list(SHIFTS.values()), ids=list(SHIFTS))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def image(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(2, 7, 4, 5, dtype=dtype)


def test_the_table_of_borders_is_not_empty() -> None:
    assert len(SUPPORTED) == 16
    assert set(BORDERS) == set(get_args(Strategy))


@every_way
@every_shift
def test_equals_the_loop(strategy: Strategy, border: Border, shifts: list[Pair]) -> None:
    x = image()
    expected = reference.spatial_shift(x, shifts, border)
    got = spatial_shift(x, shifts, strategy, border)
    # grid_sample rounds where it normalises its coordinates; the others copy numbers.
    atol = 1e-12 if strategy == "grid_sample" else 0
    torch.testing.assert_close(got, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1)], ids=str)
@every_way
def test_a_map_one_pixel_wide(strategy: Strategy, border: Border, size: Pair) -> None:
    x = torch.randn(1, 4, *size, dtype=torch.float64)
    shifts = SHIFTS["one pixel in four directions"]
    expected = reference.spatial_shift(x, shifts, border)
    got = spatial_shift(x, shifts, strategy, border)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@every_way
def test_a_shift_moves_values_and_does_not_smear_them(strategy: Strategy, border: Border) -> None:
    """Slicing in place reads what it has just written: +1 smears one row over the whole map."""
    ramp = torch.arange(8.0).reshape(1, 1, 8, 1).repeat(1, 2, 1, 3)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = ramp.contiguous(memory_format=memory_format)
        got = spatial_shift(x, [(1, 0)], strategy, border)
        entered = {"zero": 0.0, "replicate": 0.0, "circular": 7.0, "keep": 0.0}[border]
        expected = torch.tensor([entered, 0, 1, 2, 3, 4, 5, 6]).reshape(1, 1, 8, 1)
        torch.testing.assert_close(got, expected.expand(1, 2, 8, 3), rtol=0, atol=1e-5)
        assert torch.equal(x, ramp), "the input was written to"
        assert got.data_ptr() != x.data_ptr()


@every_way
def test_even_a_shift_by_nothing_is_a_new_tensor(strategy: Strategy, border: Border) -> None:
    x = image()
    before = x.clone()
    spatial_shift(x, [(0, 0)], strategy, border).fill_(7)
    assert torch.equal(x, before)


@every_way
def test_gradcheck(strategy: Strategy, border: Border) -> None:
    x = torch.randn(1, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda t: spatial_shift(t, [(1, 0), (0, -2), (-1, 5)], strategy, border), (x,)
    )


# --- the published comparison ----------------------------------------------------------------


def published() -> Tensor:
    """Row and column indices of a 5 x 5 map, four times over: [1, 8, 5, 5]."""
    rows = torch.tensor([[float(y)] * 5 for y in range(5)])
    return torch.stack([rows, rows.T] * 4)[None]


def published_slicing(x: Tensor) -> Tensor:
    """The reference of the comparison: four slices of a clone."""
    y = x.clone()
    y[:, 0:2, 1:, :] = x[:, 0:2, :-1, :]
    y[:, 2:4, :-1, :] = x[:, 2:4, 1:, :]
    y[:, 4:6, :, 1:] = x[:, 4:6, :, :-1]
    y[:, 6:8, :, :-1] = x[:, 6:8, :, 1:]
    return y


@pytest.mark.parametrize("strategy", EXACT)
def test_four_ways_equal_the_published_slicing_exactly(strategy: Strategy) -> None:
    x = published()
    got = spatial_shift(x, [(1, 0), (-1, 0), (0, 1), (0, -1)], strategy, "replicate")
    assert torch.equal(got, published_slicing(x))


def test_grid_sample_is_off_by_one_rounding_as_published() -> None:
    x = published()
    got = spatial_shift(x, [(1, 0), (-1, 0), (0, 1), (0, -1)], "grid_sample", "replicate")
    assert (got - published_slicing(x)).abs().max().item() == pytest.approx(2**-23)


# --- the border ------------------------------------------------------------------------------


UNSUPPORTED = [(s, b) for s in get_args(Strategy) for b in get_args(Border) if b not in BORDERS[s]]


@pytest.mark.parametrize(
    ("strategy", "border"), UNSUPPORTED, ids=[f"{s}, {b}" for s, b in UNSUPPORTED]
)
def test_a_border_that_cannot_be_is_refused_with_those_that_can(
    strategy: Strategy, border: Border
) -> None:
    with pytest.raises(BorderError, match="cannot honour") as caught:
        spatial_shift(image(), [(1, 0)], strategy, border)
    for name in (strategy, border, *BORDERS[strategy]):
        assert name in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("strategy", [s for s in get_args(Strategy) if s != "slice"])
def test_only_slicing_can_keep(strategy: Strategy) -> None:
    with pytest.raises(BorderError):
        spatial_shift(image(), [(1, 0)], strategy, "keep")


@pytest.mark.parametrize(
    ("shift", "same"),
    [
        ((1, 0), True), ((-1, 0), True), ((0, 1), True), ((0, -1), True), ((0, 0), True),
        ((2, 0), False), ((0, -3), False), ((1, 1), False), ((-1, 1), False),
    ],
    ids=str,
)  # fmt: skip
def test_keep_is_replicate_for_one_pixel_along_one_axis_alone(shift: Pair, same: bool) -> None:
    x = image()
    keep, replicate = (spatial_shift(x, [shift], "slice", b) for b in ("keep", "replicate"))
    assert torch.equal(keep, replicate) is same


# --- dealing out the channels ----------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("groups", [1, 2, 4, 7])
def test_channels_are_dealt_out_contiguous_and_nearly_equal(channels: int, groups: int) -> None:
    shifts = [(g, -g) for g in range(groups)]
    if groups > channels:
        with pytest.raises(ValueError, match=f"between 1 and {channels} .* got {groups}"):
            channel_shifts(channels, shifts)
        return
    expected = [shifts[g] for g in reference.channel_groups(channels, groups)]
    assert channel_shifts(channels, shifts) == expected


def test_no_shifts_are_refused() -> None:
    with pytest.raises(ValueError, match="expected between 1 and 7 shifts for 7 channels, got 0"):
        spatial_shift(image(), [])


@pytest.mark.parametrize(
    ("strategy", "border"), [("slices", "zero"), ("slice", "reflect")], ids=str
)
def test_unknown_names_are_refused_with_the_known_ones(strategy: str, border: str) -> None:
    with pytest.raises(ValueError, match=r"'roll'.*'circular'.*got") as caught:
        spatial_shift(image(), [(1, 0)], strategy, border)
    assert repr(strategy) in str(caught.value)
    assert repr(border) in str(caught.value)


# --- the record and the layer ----------------------------------------------------------------


@every_shift
@pytest.mark.parametrize("border", get_args(Border))
def test_the_record_points_at_the_pixel_that_was_read(border: Border, shifts: list[Pair]) -> None:
    """An image of its own row and column numbers, shifted by the loop, tells the source."""
    x = image()
    s = spatial_shift_sampling(x, shifts, "slice", border, index=1)
    torch.testing.assert_close(s.output, reference.spatial_shift(x, shifts, border)[1])
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(5.0), indexing="ij")
    points = s.points().double()
    of_channel = [c // (7 // s.groups) for c in range(7)]
    for axis, index_image in enumerate((rows, columns)):
        source = reference.spatial_shift(index_image.double().expand(1, 7, 4, 5), shifts, border)
        for channel, group in enumerate(of_channel):
            wanted, got = source[0, channel], points[group, 0, axis]
            if border != "zero":
                torch.testing.assert_close(got, wanted, rtol=0, atol=0)
                continue
            inside = (points[group, 0] >= 0).all(0)
            inside &= (points[group, 0, 0] <= 3) & (points[group, 0, 1] <= 4)
            torch.testing.assert_close(torch.where(inside, got, 0), wanted, rtol=0, atol=0)


def test_the_record_has_a_group_for_each_shift_or_for_each_channel() -> None:
    four = SHIFTS["one pixel in four directions"]
    assert spatial_shift_sampling(torch.rand(1, 8, 4, 4), four).groups == 4
    assert spatial_shift_sampling(torch.rand(1, 7, 4, 4), four).groups == 7


def test_the_record_of_half_precision_knows_whole_pixels_on_a_wide_map() -> None:
    """bfloat16 holds no odd integer above 256; the record's offsets must."""
    x = torch.rand(1, 1, 2, 600).bfloat16()
    s = spatial_shift_sampling(x, [(0, 3)], border="circular")
    expected = torch.tensor([597.0, 598, 599, 0, 1])
    torch.testing.assert_close(s.points()[0, 0, 1, 0, :5].float(), expected, rtol=0, atol=0)


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_half_precision_moves_values_on_a_wide_map(strategy: Strategy) -> None:
    """Whole-pixel moves only copy; coordinates in bfloat16 would miss by pixels."""
    x = torch.rand(1, 1, 3, 600).bfloat16()
    got = spatial_shift(x, [(0, 2)], strategy, "zero")
    assert got.dtype == torch.bfloat16
    expected = torch.zeros_like(x)
    expected[..., 2:] = x[..., :-2]
    torch.testing.assert_close(got, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("step", [1, 2, 3])
def test_the_layer_multiplies_its_directions_by_the_step(name: str, step: int) -> None:
    x = torch.randn(1, 8, 5, 4, dtype=torch.float64)
    layer = SpatialShift2d(DIRECTIONS[name], step, "roll", "circular")
    shifts = [(dy * step, dx * step) for dy, dx in DIRECTIONS[name]]
    assert torch.equal(layer(x), reference.spatial_shift(x, shifts, "circular"))
    assert list(layer.parameters()) == []


def test_up_is_up_and_left_is_left() -> None:
    """The name says how the content moves: a dot in the middle goes up, down, left, right."""
    x = torch.zeros(1, 4, 3, 3)
    x[..., 1, 1] = 1
    got = SpatialShift2d()(x)[0]
    assert [tuple(c.nonzero()[0].tolist()) for c in got] == [(0, 1), (2, 1), (1, 0), (1, 2)]
