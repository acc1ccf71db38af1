"""Made-up offsets and masks against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from deformviz import Kernel
from deformviz.fields import FIELDS, MASKS, Scene, mask_field, offset_field

KERNELS = [
    Kernel.of(1),
    Kernel.of(2),
    Kernel.of(3, padding=1),
    Kernel.of((3, 5), stride=2, padding=(1, 2)),
    Kernel.of(4, padding=3, dilation=(2, 1)),
    Kernel.of(11, padding=5),
]
THREE = Kernel.of(3, padding=1)
STILL = ["zero", "shift", "dilate", "rotate", "shear"]  # the same at every position


def photo(height: int = 12, width: int = 15) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))


def vertical_edge(size: int = 24) -> Tensor:
    """Black up to the middle and white from there on: [3, size, size]."""
    image = torch.zeros(3, size, size)
    image[:, :, size // 2 :] = 1
    return image


def points(kernel: Kernel, offset: Tensor) -> Tensor:
    return kernel.regular_grid((offset.shape[2], offset.shape[3])) + offset


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_a_map_at_the_taps_is_read_pixel_by_pixel(kernel: Kernel, dtype: torch.dtype) -> None:
    values = torch.arange(1.0, 2 * 12 * 15 + 1).reshape(2, 12, 15).to(dtype)
    got = Scene(kernel, photo()).at_taps(values)
    grid = kernel.regular_grid(kernel.output_size((12, 15))).long()
    expected = torch.zeros(kernel.taps, 2, *grid.shape[2:], dtype=dtype)
    for tap in range(kernel.taps):
        for y in range(grid.shape[2]):
            for x in range(grid.shape[3]):
                row, column = grid[tap, :, y, x].tolist()
                if 0 <= row < 12 and 0 <= column < 15:
                    expected[tap, :, y, x] = values[:, row, column]
    assert got.dtype == dtype
    assert torch.equal(got, expected)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_has_an_offset_for_every_tap_of_every_position(name: str, kernel: Kernel) -> None:
    image = photo()
    offset = offset_field(name, kernel, image)
    assert offset.shape == (kernel.taps, 2, *kernel.output_size((12, 15)))
    assert offset.isfinite().all()


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_has_the_dtype_of_its_image(name: str) -> None:
    assert offset_field(name, THREE, photo().double()).dtype == torch.float64


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_takes_its_default_strength(name: str) -> None:
    row = FIELDS[name]
    assert 0 <= row.default <= row.maximum
    given = offset_field(name, THREE, photo(), row.default)
    assert torch.equal(offset_field(name, THREE, photo()), given)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_no_strength_moves_nothing(name: str) -> None:
    assert not offset_field(name, THREE, photo(), 0.0).any()


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "rotate"])
def test_a_field_grows_with_its_strength(name: str) -> None:
    once, twice = (offset_field(name, THREE, photo(), s) for s in (1.5, -3.0))
    torch.testing.assert_close(twice, -2 * once)


@pytest.mark.parametrize("name", STILL)
def test_a_field_that_does_not_vary_takes_no_memory_for_it(name: str) -> None:
    offset = offset_field(name, THREE, photo())
    assert offset.untyped_storage().nbytes() <= THREE.taps * 2 * 4
    assert (offset == offset[:, :, :1, :1]).all()


def test_zero_is_zero_at_any_strength() -> None:
    assert not offset_field("zero", THREE, photo(), 1.0).any()


@pytest.mark.parametrize("strength", [0.5, 8.0, 40.0])
def test_shift_is_as_long_as_its_strength_and_goes_down_and_right(strength: float) -> None:
    offset = offset_field("shift", THREE, photo(), strength)
    length = torch.hypot(offset[:, 0], offset[:, 1])
    torch.testing.assert_close(length, torch.full_like(length, strength))
    assert (offset > 0).all()
    torch.testing.assert_close(-offset, offset_field("shift", THREE, photo(), -strength))


def test_dilate_by_one_is_the_kernel_of_dilation_two() -> None:
    offset = offset_field("dilate", THREE, photo(), 1.0)
    assert torch.equal(
        points(THREE, offset), Kernel.of(3, padding=2, dilation=2).regular_grid((12, 15))
    )


@pytest.mark.parametrize("size", [2, 4, (1, 5), (3, 4)])
@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_dilate_spreads_the_taps_about_their_centre(
    size: int | tuple[int, int], strength: float
) -> None:
    kernel = Kernel.of(size)
    moved = points(kernel, offset_field("dilate", kernel, photo(), strength))
    spread = Kernel.of(size, dilation=1 + int(strength)).centred_taps()
    torch.testing.assert_close(moved - moved.mean(dim=0), spread[:, :, None, None].expand_as(moved))


def test_dilate_by_minus_one_gathers_every_tap_at_the_centre() -> None:
    moved = points(THREE, offset_field("dilate", THREE, photo(), -1.0))
    assert (moved == moved[4]).all()


def test_rotate_turns_clockwise_on_the_screen() -> None:
    """At 90 degrees the tap below the centre goes to its left, the tap at the right below it."""
    offset = offset_field("rotate", THREE, photo(), 90.0)[:, :, 5, 5]
    turned = THREE.centred_taps() + offset
    below, right = 7, 5
    torch.testing.assert_close(turned[below], torch.tensor([0.0, -1.0]))
    torch.testing.assert_close(turned[right], torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("angle", [-180.0, -33.0, 30.0, 90.0, 145.0])
@pytest.mark.parametrize("kernel", [THREE, Kernel.of(4, dilation=(1, 3))], ids=str)
def test_rotate_keeps_distances(kernel: Kernel, angle: float) -> None:
    taps = kernel.centred_taps()
    turned = taps + offset_field("rotate", kernel, photo(), angle)[:, :, 0, 0]
    torch.testing.assert_close(torch.cdist(turned, turned), torch.cdist(taps, taps))
    torch.testing.assert_close(turned.mean(dim=0), torch.zeros(2))
    cosine = (turned * taps).sum(dim=1) / (taps * taps).sum(dim=1).clamp(min=1e-9)
    expected = torch.where(taps.any(dim=1), math.cos(math.radians(angle)), 0.0)
    torch.testing.assert_close(cosine, expected)


def test_rotate_by_half_a_turn_swaps_opposite_taps() -> None:
    turned = THREE.centred_taps() + offset_field("rotate", THREE, photo(), 180.0)[:, :, 0, 0]
    torch.testing.assert_close(turned, THREE.centred_taps().flip(0))


def test_shear_slides_the_rows() -> None:
    offset = offset_field("shear", THREE, photo(), 0.5)[:, :, 3, 3]
    assert offset[:, 0].tolist() == [0] * 9
    assert offset[:, 1].tolist() == [-0.5] * 3 + [0] * 3 + [0.5] * 3


def test_shear_counts_the_height_in_pixels() -> None:
    offset = offset_field("shear", Kernel.of((2, 1), dilation=4), photo(), 1.0)
    assert offset[:, 1, 0, 0].tolist() == [-2, 2]


def test_wave_is_the_same_for_all_taps_and_bounded() -> None:
    offset = offset_field("wave", THREE, photo(), 7.0)
    assert (offset == offset[0]).all()
    assert offset.abs().max() <= 7
    assert offset.abs().max() > 6


def test_wave_crosses_two_sines_three_to_the_shorter_side() -> None:
    offset = offset_field("wave", Kernel.of(1), photo(36, 48), 2.0)[0]  # a period of 12 pixels
    sine = 2 * torch.sin(torch.arange(12) / 12 * 2 * torch.pi)
    down, right = offset
    torch.testing.assert_close(down, sine.repeat(4).expand(36, 48), atol=1e-5, rtol=0)
    torch.testing.assert_close(right, sine.repeat(3)[:, None].expand(36, 48), atol=1e-5, rtol=0)


def test_random_has_the_strength_as_its_deviation() -> None:
    offset = offset_field("random", THREE, photo(60, 60), 3.0)
    assert offset.std().item() == pytest.approx(3, rel=0.02)
    assert abs(offset.mean().item()) < 0.05
    flat = offset.flatten(0, 1).flatten(1)
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.1  # each tap by itself


def test_random_is_the_same_for_the_same_seed_alone() -> None:
    first, again, other = (offset_field("random", THREE, photo(), 1.0, s) for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.isclose(first, other).any(dim=0).all()
    assert torch.corrcoef(torch.stack((first.flatten(), other.flatten())))[0, 1].abs() < 0.1


def test_toward_edges_moves_taps_to_the_edge_from_both_sides() -> None:
    offset = offset_field("toward edges", Kernel.of(1), vertical_edge(), 5.0)[0]
    assert (offset[1, :, 5:11] > 0).all()
    assert (offset[1, :, 13:19] < 0).all()
    assert offset[0].abs().max() < 1e-4  # along the edge there is nothing to climb
    assert torch.hypot(offset[0], offset[1]).max() <= 5
    torch.testing.assert_close(offset[1], -offset[1].flip(1), atol=1e-4, rtol=0)


def test_toward_edges_turns_with_the_image() -> None:
    across = offset_field("toward edges", Kernel.of(1), vertical_edge(), 5.0)[0]
    down = offset_field("toward edges", Kernel.of(1), vertical_edge().mT, 5.0)[0]
    torch.testing.assert_close(down, across.mT.flip(0))


def test_toward_edges_moves_each_tap_from_its_own_place() -> None:
    kernel = Kernel.of((1, 9), padding=(0, 4))
    offset = offset_field("toward edges", kernel, vertical_edge(), 5.0)[:, 1, 12, 12]
    assert (offset[:4] > 0).all()  # columns 8 to 11
    assert (offset[5:] < 0).all()  # columns 13 to 16


def test_toward_edges_finds_none_on_a_plain_image() -> None:
    assert not offset_field("toward edges", THREE, torch.full((3, 9, 9), 0.5), 40.0).any()


def test_saddle_is_antisymmetric_and_zero_in_the_middle() -> None:
    offset = offset_field("saddle", THREE, photo(11, 15), 24.0)
    torch.testing.assert_close(offset, -offset.flip(2, 3))
    assert not offset[:, :, 5, 7].any()
    assert (offset == offset[0]).all()


def test_saddle_parts_along_y_and_meets_along_x() -> None:
    """The border of 11 rows lies 5.5 from the middle, the first row's centre 5."""
    offset = offset_field("saddle", Kernel.of(1), photo(11, 15), 11.0)[0]
    torch.testing.assert_close(offset[0, :, 0], torch.arange(11.0) * 2 - 10)
    torch.testing.assert_close(offset[1, 0], (7 - torch.arange(15.0)) * 11 / 7.5)


def test_saddle_follows_the_kernels_centre_under_a_stride() -> None:
    dense = offset_field("saddle", THREE, photo(), 3.0)
    sparse = offset_field("saddle", Kernel.of(3, stride=2, padding=1), photo(), 3.0)
    torch.testing.assert_close(sparse, dense[:, :, ::2, ::2])


@pytest.mark.parametrize("make", [offset_field, mask_field])
def test_an_unknown_name_is_answered_with_the_known_ones(make: object) -> None:
    assert callable(make)
    known = FIELDS if make is offset_field else MASKS
    with pytest.raises(ValueError, match="'spiral'") as caught:
        make("spiral", THREE, photo())
    assert all(name in str(caught.value) for name in known)


@pytest.mark.parametrize("name", FIELDS)
def test_a_kernel_that_leaves_no_output_has_no_field(name: str) -> None:
    with pytest.raises(ValueError, match="leaves no output"):
        offset_field(name, Kernel.of(11), photo(5, 5))


@pytest.mark.parametrize("name", MASKS)
def test_a_kernel_that_leaves_no_output_has_no_mask(name: str) -> None:
    with pytest.raises(ValueError, match="leaves no output"):
        mask_field(name, Kernel.of(11), photo(5, 5))


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("name", MASKS)
def test_a_mask_lies_between_none_and_one(name: str, kernel: Kernel) -> None:
    for strength in (0.3, 1.0):
        mask = mask_field(name, kernel, photo(), strength)
        assert mask.shape == (kernel.taps, *kernel.output_size((12, 15)))
        assert mask.min() >= 0
        assert mask.max() <= 1


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_goes_from_ones_to_itself(name: str) -> None:
    none, half, full = (mask_field(name, THREE, photo(), s) for s in (0.0, 0.5, 1.0))
    assert (none == 1).all()
    torch.testing.assert_close(half, (1 + full) / 2)
    assert torch.equal(full, mask_field(name, THREE, photo()))


def test_mask_one_is_one() -> None:
    assert (mask_field("one", THREE, photo()) == 1).all()


def test_mask_radial_falls_from_the_centre_to_the_corners() -> None:
    """A Gaussian of the distance over the corner's, exp(-2 d²): an edge's d² is a half."""
    mask = mask_field("radial", THREE, photo())
    corner, edge = math.exp(-2), math.exp(-1)
    rows = [corner, edge, corner, edge, 1, edge, corner, edge, corner]
    expected = torch.tensor(rows)[:, None, None].expand_as(mask)
    torch.testing.assert_close(mask, expected)


def test_mask_radial_of_a_kernel_without_a_middle() -> None:
    mask = mask_field("radial", Kernel.of(2), photo())
    torch.testing.assert_close(mask, torch.full_like(mask, math.exp(-2)))
    assert (mask_field("radial", Kernel.of(1), photo()) == 1).all()


def test_mask_edge_following_counts_the_taps_on_an_edge() -> None:
    kernel = Kernel.of((1, 17), padding=(0, 8))
    mask = mask_field("edge-following", kernel, vertical_edge())[:, 12, 12]  # columns 4 to 20
    assert mask[7:9].min() > 0.9  # the two columns that the edge lies between
    assert (mask[:7].diff() >= 0).all()
    assert (mask[9:].diff() <= 0).all()
    assert max(mask[0], mask[-1]) < 0.01


def test_mask_edge_following_is_nothing_on_flat_ground() -> None:
    assert not mask_field("edge-following", THREE, torch.full((3, 9, 9), 0.5)).any()


def test_mask_edge_following_gives_nothing_outside_the_image() -> None:
    mask = mask_field("edge-following", THREE, photo())
    assert not mask[:3, 0].any()  # the upper taps of the first row
    assert not mask[2::3, :, -1].any()  # the right taps of the last column


def test_mask_random_is_the_same_for_the_same_seed_alone() -> None:
    first, again, other = (mask_field("random", THREE, photo(40, 40), 1, s) for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.mean().item() == pytest.approx(0.5, abs=0.01)  # the sigmoid of normal numbers
    assert first.logit().std().item() == pytest.approx(1, abs=0.02)
