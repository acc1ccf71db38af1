"""Guide maps: which position goes to which region."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from deformviz import Kernel
from deformviz.guides import GUIDES, guide_map

ONE = Kernel.of(1)


def photo(height: int = 12, width: int = 15) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))


def regions(name: str, image: Tensor, count: int, kernel: Kernel = ONE, seed: int = 0) -> Tensor:
    return guide_map(name, kernel, image, count, seed).argmax(dim=0)


@pytest.mark.parametrize(
    "kernel",
    [ONE, Kernel.of(3, 2, 1), Kernel.of((4, 3), (1, 3)), Kernel.of(11, 8, 5), Kernel.of(3, 1, 7)],
    ids=str,
)
@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_scores_every_region_at_every_position(
    name: str, count: int, kernel: Kernel
) -> None:
    guide = guide_map(name, kernel, photo(), count)
    assert guide.shape == (count, *kernel.output_size((12, 15)))
    assert guide.isfinite().all()


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_takes_an_image_of_one_pixel(name: str) -> None:
    assert guide_map(name, ONE, photo(1, 1), 4).shape == (4, 1, 1)


@pytest.mark.parametrize("light", [0.05, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("seed", range(5))
def test_by_colour_separates_two_colours(light: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randint(0, 256, (2, 3, 1, 1), generator=generator) / 255
    where = torch.rand(20, 30, generator=generator) < light
    found = regions("by colour", torch.where(where, first, second), 2)
    assert len(found.unique()) == 2
    assert len(found[where].unique()) == 1
    assert len(found[~where].unique()) == 1


@pytest.mark.parametrize("count", [3, 5, 8])
def test_by_colour_never_mixes_two_colours_in_a_region(count: int) -> None:
    where = torch.rand(20, 30, generator=torch.Generator().manual_seed(0)) < 0.3
    red, blue = torch.tensor([1.0, 0, 0])[:, None, None], torch.tensor([0, 0, 1.0])[:, None, None]
    found = regions("by colour", torch.where(where, red, blue), count)
    assert not set(found[where].tolist()) & set(found[~where].tolist())


def test_by_colour_goes_from_dark_to_light() -> None:
    grey = torch.tensor([0.9, 0.1, 0.5]).repeat_interleave(4).expand(3, 4, 12)
    assert regions("by colour", grey, 3)[0].tolist() == [2] * 4 + [0] * 4 + [1] * 4


def test_by_colour_gives_each_pixel_the_nearest_mean() -> None:
    """What k-means converges to: no pixel is nearer to the mean of another region."""
    image = torch.tensor([0.0, 0.1, 0.2, 0.8, 0.9, 1.0]).expand(3, 2, 6)
    guide = guide_map("by colour", ONE, image, 2)
    assert guide.argmax(dim=0)[0].tolist() == [0, 0, 0, 1, 1, 1]
    for region, mean in ((0, 0.1), (1, 0.9)):
        torch.testing.assert_close(guide[region], -3 * (image[0] - mean) ** 2, atol=1e-5, rtol=1e-4)


def test_by_colour_of_one_colour_is_one_region() -> None:
    assert not regions("by colour", torch.full((3, 6, 6), 0.4), 4).any()


def test_by_colour_reads_the_centre_of_a_kernel_with_a_stride() -> None:
    image = torch.cat((torch.zeros(3, 8, 8), torch.ones(3, 8, 8)), dim=2)  # column 8 is light
    found = regions("by colour", image, 2, Kernel.of(3, stride=4, padding=1))
    assert found.tolist() == [[0, 0, 1, 1]] * 2


def test_by_colour_gives_padding_the_colour_beside_it() -> None:
    image = torch.cat((torch.zeros(3, 8, 4), torch.ones(3, 8, 4)), dim=2)
    found = regions("by colour", image, 2, Kernel.of(1, padding=3))
    assert found.tolist() == [[0] * 7 + [1] * 7] * 14


def test_by_edges_orders_the_positions_by_their_edge() -> None:
    """A step in the middle: the region grows towards it and falls after it."""
    image = torch.zeros(3, 16, 32)
    image[:, :, 16:] = 1
    found = regions("by edges", image, 4)
    assert (found == found[0]).all()
    assert (found[0, :16].diff() >= 0).all()
    assert torch.equal(found[0], found[0].flip(0))
    assert found[0, 0] == 0
    assert found[0, 15] == 3


def test_by_edges_puts_flat_ground_first_and_texture_last() -> None:
    image = torch.full((3, 24, 48), 0.5)
    image[:, :, 24:] = photo(24, 24)
    found = regions("by edges", image, 2)
    assert not found[:, :18].any()
    assert found[:, 30:].float().mean() > 0.7


def test_by_edges_of_a_plain_image_is_one_region() -> None:
    assert not regions("by edges", torch.full((3, 6, 6), 0.4), 4).any()


def test_random_is_the_same_for_the_same_seed_alone() -> None:
    first, again, other = (guide_map("random", ONE, photo(), 4, seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_random_uses_every_region_in_blotches() -> None:
    found = regions("random", photo(80, 80), 4)
    assert set(found.unique().tolist()) == {0, 1, 2, 3}
    alike = (found[:, 1:] == found[:, :-1]).float().mean()
    assert alike > 0.85  # a blotch is ten pixels wide


def test_random_does_not_look_at_the_image() -> None:
    plain = guide_map("random", ONE, torch.zeros(3, 12, 15), 4)
    assert torch.equal(plain, guide_map("random", ONE, photo(), 4))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'by depth'") as caught:
        guide_map("by depth", ONE, photo(), 2)
    assert all(name in str(caught.value) for name in GUIDES)


@pytest.mark.parametrize("count", [0, -1])
def test_no_regions_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, got {count}"):
        guide_map("random", ONE, photo(), count)


@pytest.mark.parametrize("name", GUIDES)
def test_a_kernel_that_leaves_no_output_has_no_guide(name: str) -> None:
    with pytest.raises(ValueError, match="leaves no output"):
        guide_map(name, Kernel.of(11), photo(5, 5), 2)
