"""What is drawn for the tasks: the same for the same seed, and as it says it is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deformviz.kernels import kernel_weight
from deformviz.training import TASKS, Batch, coordinates, glyphs, regions, scale, shifts


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def equal(one: Batch, other: Batch) -> bool:
    return torch.equal(one.input, other.input) and torch.equal(one.target, other.target)


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_draws_the_same_and_another_seed_does_not(name: str) -> None:
    task = TASKS[name]
    knobs = task.settle()
    first, again, other = (task.draw(knobs, generator(s), 6) for s in (0, 0, 1))
    assert equal(first, again)
    assert not equal(first, other)
    going_on = generator()
    assert not equal(task.draw(knobs, going_on, 6), task.draw(knobs, going_on, 6))


@pytest.mark.parametrize("name", TASKS)
def test_what_is_held_out_is_fixed_and_drawn_as_asked(name: str) -> None:
    task = TASKS[name]
    once, again = (task.held_out(task.settle(), 5) for _ in range(2))
    assert "shown" in once
    for kind, batch in once.items():
        assert len(batch.input) == 5
        assert equal(batch, again[kind])


@pytest.mark.parametrize("name", ["scale", "regions", "shifts"])
def test_pictures_are_colours(name: str) -> None:
    task = TASKS[name]
    x = task.draw(task.settle(), generator(), 16).input
    assert x.shape[1] == 3
    assert float(x.min()) >= 0
    assert float(x.max()) <= 1
    assert x.std(dim=(1, 2, 3)).min() > 0.02  # textured, each


@pytest.mark.parametrize("name", TASKS)
def test_the_probe_is_a_picture_that_networks_take(name: str) -> None:
    task = TASKS[name]
    for knobs in ({}, *({"asked": value} for value in _asked(name))):
        settled = task.settle(knobs)
        probe = task.probe(settled)
        assert probe.dtype.name == "uint8"
        assert probe.shape[2] == 3
        for net in task.build(settled).values():
            assert net.eval()(task.watched(probe, settled)).isfinite().all()


def _asked(name: str) -> tuple[object, ...]:
    return TASKS[name].knobs["asked"].values if "asked" in TASKS[name].knobs else ()


# Glyphs.


def centre_and_extent(ink: Tensor) -> tuple[float, float, float]:
    """The middle (y, x) of the box around some ink, and its longer side."""
    rows, columns = (ink > 0.5).nonzero().unbind(1)
    ends = [(float(a.min()), float(a.max())) for a in (rows, columns)]
    (top, bottom), (left, right) = ends
    return (top + bottom) / 2, (left + right) / 2, max(bottom - top, right - left) + 1


def placed(size: float, degrees: float, centre: tuple[float, float]) -> Tensor:
    numbers = (torch.tensor([2]), torch.tensor([size]), torch.tensor([degrees]))
    return glyphs.place(*numbers, torch.tensor([centre]))[0]


def test_a_glyph_lies_where_it_is_put_and_is_as_large_as_asked() -> None:
    y, x, extent = centre_and_extent(placed(40.0, 0.0, (28.0, 36.0)))
    assert abs(y - 28) <= 1
    assert abs(x - 36) <= 1
    assert 25 < extent < 40  # the circle around it has 40
    _, _, half = centre_and_extent(placed(20.0, 0.0, (28.0, 36.0)))
    assert abs(2 * half - extent) <= 2


def test_a_glyph_turns_clockwise() -> None:
    """A quarter turn clockwise, as `rot90` turns a map the other way."""
    upright, turned = placed(40.0, 0.0, (31.5, 31.5)), placed(40.0, 90.0, (31.5, 31.5))
    assert (torch.rot90(upright, -1) - turned).abs().max() < 1e-3
    assert (upright - turned).abs().max() > 0.9


def test_no_character_is_another_one_turned() -> None:
    """Of their inks, at all turns by 15 degrees, none overlaps another by four fifths."""
    n = len(glyphs.CHARACTERS)
    turns = torch.arange(0.0, 360.0, 15.0)
    which = torch.arange(n).repeat_interleave(len(turns))
    middle = torch.full((len(which), 2), 31.5)
    ink = glyphs.place(which, torch.full((len(which),), 56.0), turns.repeat(n), middle)
    ink = ink.reshape(n, len(turns), -1)
    upright = ink[:, 0]
    for a in range(n):
        for b in range(n):
            both = torch.minimum(upright[a], ink[b]).sum(1)
            either = torch.maximum(upright[a], ink[b]).sum(1)
            overlap = both / either
            if a == b:
                assert overlap[0] > 0.99
                overlap = overlap[4:-3]  # by 60 degrees and more
            assert overlap.max() < 0.8, (glyphs.CHARACTERS[a], glyphs.CHARACTERS[b])


def test_cells_are_labelled_by_their_ink() -> None:
    drawn = scale.scenes(generator(), 30)
    on_glyph = (drawn.target != scale.GROUND) & (drawn.target != scale.UNSURE)
    assert drawn.input.shape[2:] == (64, 64)
    assert drawn.target.shape[1:] == (16, 16)
    for size, least, most in ((0, 0.01, 0.2), (1, 0.02, 0.3), (2, 0.06, 0.5)):
        share = on_glyph[drawn.about["size"] == size].float().mean(dim=(1, 2))
        assert least / 4 < float(share.mean()) < most
    large = drawn.target[drawn.about["size"] == 2]
    for scene in large:  # one large glyph has one name
        assert len(scene[(scene != scale.GROUND) & (scene != scale.UNSURE)].unique()) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_size_may_be_missing_from_a_few_scenes(count: int) -> None:
    for seed in range(6):
        assert scale.scenes(generator(seed), count).input.shape == (count, 3, 64, 64)


def test_unseen_sizes_and_angles_are_none_of_those_shown() -> None:
    shown, unseen = scale.SHOWN, scale.UNSEEN
    for low, high in unseen["unseen sizes"].sizes:
        assert all(high <= first or last <= low for first, last in shown.sizes)
    assert unseen["unseen angles"].angle[0] >= shown.angle[1]


# Coordinates.


def test_places_are_split_without_overlap() -> None:
    for split, hidden_share in (("uniform", 0.2), ("quadrant", 0.25)):
        shown, hidden = coordinates.places(split)
        every = {tuple(place) for place in torch.cat((shown, hidden)).tolist()}
        assert len(every) == len(shown) + len(hidden) == 56 * 56
        assert abs(len(hidden) / len(every) - hidden_share) < 1e-3
    shown, hidden = coordinates.places("quadrant")
    assert (hidden >= 32).all()
    assert not (shown >= 32).all(1).any()


def test_a_square_is_nine_pixels_wide_around_its_centre() -> None:
    picture = coordinates.squares(torch.tensor([[4, 59]]))[0]
    expected = torch.zeros(3, 64, 64)
    expected[:, 0:9, 55:64] = 1
    assert torch.equal(picture, expected)


def test_targets_say_the_place_both_ways() -> None:
    task = TASKS["coordinates"]
    to_pixel = task.draw(task.settle(), generator(), 8)
    to_place = task.draw(task.settle({"asked": coordinates.TO_NUMBERS}), generator(), 8)
    row, column = to_pixel.target // 64, to_pixel.target % 64
    centre = torch.stack((row, column), 1)
    torch.testing.assert_close(to_pixel.input, centre / 31.5 - 1)
    torch.testing.assert_close(to_place.target, to_pixel.input)
    assert torch.equal(to_place.input, coordinates.squares(centre))


def test_what_is_watched_is_the_place_of_what_is_white() -> None:
    picture = (coordinates.squares(torch.tensor([[10, 50]]))[0] * 255).byte().permute(1, 2, 0)
    place = coordinates.watched(picture.numpy(), {"asked": coordinates.TO_PIXEL})
    torch.testing.assert_close(place, torch.tensor([[10 / 31.5 - 1, 50 / 31.5 - 1]]))


# Regions and shifts.


def test_each_region_of_the_target_is_its_own_filter_of_the_picture() -> None:
    drawn = regions.filtered(generator(), 2)
    grey = drawn.input.mean(1, keepdim=True) - 0.5
    for kind, (name, sign) in enumerate((("mean", 1), ("Sobel x", 1), ("mean", -1))):
        filtered = sign * F.conv2d(grey, kernel_weight(name, (3, 3))[None, None], padding=1)
        here = drawn.about["kind"][:, None] == kind
        ratio = drawn.target[here] / filtered[here]
        assert float(ratio.min()) > 0
        assert float(ratio.max() / ratio.min()) == pytest.approx(1, abs=1e-2)


def test_agreement_is_of_the_best_names() -> None:
    kind = torch.tensor([[0, 0, 1], [1, 2, 2]])
    assert regions.agreement(kind, kind) == 1
    assert regions.agreement((kind + 1) % 3, kind) == 1
    assert regions.agreement(torch.zeros_like(kind), kind) == pytest.approx(1 / 3)
    most = torch.tensor([[0, 1, 1], [1, 0, 0]])  # 0 is mostly 2, 1 is mostly 1
    assert regions.agreement(most, kind) == pytest.approx(2 / 3)


def test_angles_of_shifts_are_unseen() -> None:
    held_out = shifts.held_out({}, 4)
    assert set(held_out) == {"shown", "unseen angles"}
    assert held_out["shown"].input.shape == (4, 3, 32, 32)
