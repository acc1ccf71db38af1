"""Every finding has a layer that has it and nothing else; layers in good health have none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from made_samplings import layer, normal, uniform
from sick_samplings import (
    BIAS,
    SICK,
    SIDE,
    SOUND,
    ZERO,
    clamped,
    constant,
    ends,
    exploded,
    fallen_together,
    hardly_any,
    outside,
    shape_alone,
    sick,
    sound_mask,
    sound_offset,
)
from torch import Tensor

from deformviz import Kernel, Sampling
from deformviz.analysis import Finding, LayerInfo, Thresholds, findings
from deformviz.analysis.finding import Kind
from deformviz.fields import offset_field


def kinds(found: list[Finding]) -> list[str]:
    return [one.kind for one in found]


def only(found: list[Finding], kind: str) -> Finding:
    assert kinds(found) == [kind], [one.sentence for one in found]
    return found[0]


def test_every_kind_has_a_sick_layer() -> None:
    assert {kind for kind, *_ in SICK.values()} == set(get_args(Kind))


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("name", SICK)
def test_a_sick_layer_has_its_finding_and_nothing_else(name: str) -> None:
    kind, sampling, known = sick(name)
    found = only(findings(sampling, **known), kind)
    assert found.map.shape == (SIDE, SIDE)
    assert found.group is None
    assert math.isfinite(found.number)


@pytest.mark.parametrize("name", SOUND)
def test_a_layer_in_good_health_has_none(name: str) -> None:
    offset, mask = SOUND[name]
    trained = (normal(18, 4, 3, 3), torch.zeros(18))
    assert findings(layer(offset, mask=mask), weights=trained) == []


ONE_GROUP = [n for n in SICK if SICK[n][0] not in ("nonfinite", "untrained", "bias only")]


@pytest.mark.parametrize("name", ONE_GROUP)
def test_a_sick_group_is_named(name: str) -> None:
    kind, offset, mask, _ = SICK[name]
    masks = None if mask is None else torch.cat((sound_mask(7), mask, sound_mask(8)))
    groups = layer(torch.cat((sound_offset(5), offset, sound_offset(6))), mask=masks)
    found = only(findings(groups), kind)
    assert found.group == 1
    assert found.sentence.startswith("In group 1, ")
    alone = only(findings(layer(offset, mask=mask)), kind)
    assert found.number == pytest.approx(alone.number, rel=1e-6)
    torch.testing.assert_close(found.map, alone.map)


def test_two_groups_of_three_are_two_findings_and_three_are_one() -> None:
    dead = torch.zeros(1, 9, 2, SIDE, SIDE, dtype=torch.float64)
    found = findings(layer(torch.cat((dead, sound_offset(), dead))))
    assert [(one.kind, one.group) for one in found] == [("dead", 0), ("dead", 2)]
    assert only(findings(layer(torch.cat((dead, dead)))), "dead").group is None


# The numbers, each computed here from what the layer was made of.


def test_the_number_of_exploded_is_the_mean_length() -> None:
    offset = exploded()
    found = only(findings(layer(offset)), "exploded")
    assert found.number == pytest.approx(np.hypot(*offset[0].movedim(1, 0).numpy()).mean())
    assert (found.threshold, found.unit) == (SIDE / 4, "px")
    expected = np.hypot(*offset[0].movedim(1, 0).numpy()).mean(axis=0)
    np.testing.assert_allclose(found.map, expected)
    assert f"{found.number:.3g} px, more than 16 px, on a map of 64 x 64" in found.sentence


def test_the_number_of_outside_is_the_share_of_taps() -> None:
    offset = outside()
    found = only(findings(layer(offset)), "outside")
    rows = torch.arange(SIDE)[:, None] - 1 + offset[0, 0, 0]
    off = rows <= -1
    off[0] = off[:, 0] = False  # there the first tap is padding before it moves
    assert found.number == pytest.approx(off.double().mean().item() / 9, abs=0.002)
    assert f"{100 * found.number:.3g} % of the taps" in found.sentence
    agree = (found.map > 0) == off
    assert agree.double().mean() > 0.97  # but for other taps, at the border


def test_the_number_of_clamp_binds_is_the_share_at_the_clamp() -> None:
    offset = clamped()
    found = only(findings(layer(offset)), "clamp binds")
    share = (offset.abs() == 2).double()
    assert found.number == pytest.approx(share.mean().item(), rel=1e-3)
    torch.testing.assert_close(found.map, share.mean(dim=(0, 1, 2)))
    assert "exactly ±2 px" in found.sentence


@pytest.mark.usefixtures("strips")
def test_a_clamp_that_few_rows_reach_is_counted_there() -> None:
    offset = torch.cat([clamped(), sound_offset()])
    offset[0, ..., 18:, :] /= 3
    offset[0, :, 1, :6] /= 3  # some rows reach it along one axis alone
    found = only(findings(layer(offset)), "clamp binds")
    share = (offset[0].abs() == 2).double()  # [K, 2, h, w]
    assert 0 < (share.sum(dim=(0, 1)).sum(1) > 0).sum() <= 18  # rows
    assert found.group == 0
    assert found.number == pytest.approx(share.mean().item(), rel=1e-3)
    torch.testing.assert_close(found.map, share.mean(dim=(0, 1)))


def test_a_clamp_may_differ_along_y_and_x() -> None:
    offset = clamped()
    offset[:, :, 0] /= 2
    found = only(findings(layer(offset)), "clamp binds")
    assert "±1 px along y or ±2 px along x" in found.sentence


def test_the_number_of_static_is_the_ratio_to_the_whole() -> None:
    offset = shape_alone()
    found = only(findings(layer(offset)), "static")
    array = offset[0].numpy()
    deviation = array - array.mean(axis=(2, 3), keepdims=True)
    expected = math.sqrt((deviation**2).sum() / (array**2).sum())
    assert found.number == pytest.approx(expected)
    np.testing.assert_allclose(found.map, np.sqrt((deviation**2).sum(axis=1).mean(axis=0)))


def test_collapsed_shows_where() -> None:
    offset = sound_offset()
    offset[..., :20] = fallen_together()[..., :20]
    found = only(findings(layer(offset)), "collapsed")
    assert found.number == pytest.approx(20 / SIDE)
    expected = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    expected[:, :20] = True
    assert (found.map == expected).all()


@pytest.mark.parametrize(("times", "count"), [(0.24, 1), (0.26, 0)])
def test_a_kernel_that_shrinks_collapses_at_a_quarter(times: float, count: int) -> None:
    taps = layer(sound_offset()).kernel.centred_taps().double()[None, :, :, None, None]
    shrunk = (times - 1) * taps + normal(1, 1, 2, SIDE, SIDE)
    assert kinds(findings(layer(shrunk))) == ["collapsed"] * count


def test_the_number_of_mask_saturated_is_the_share_at_both_ends() -> None:
    found = only(findings(layer(sound_offset(), mask=ends())), "mask saturated")
    low, high = (ends() == 0).double().mean().item(), (ends() == 1).double().mean().item()
    assert found.number == pytest.approx(low + high, rel=1e-5)
    assert f"{100 * low:.3g} % at 0 and {100 * high:.3g} % at 1." in found.sentence


def test_nonfinite_says_which_tap_and_where() -> None:
    offset, mask = sound_offset(), sound_mask()
    offset[0, 4, 1, 10, 12], mask[0, 4, 30, 31] = math.inf, math.nan
    groups = layer(torch.cat((sound_offset(), offset)), mask=torch.cat((mask, mask)))
    found = only(findings(groups), "nonfinite")
    assert (found.number, found.group, found.tap) == (3, None, 4)
    assert found.map.nonzero().tolist() == [[10, 12], [30, 31]]
    assert "3 of the offsets and mask values are NaN or infinite, at 2 of 4096" in found.sentence
    one = findings(layer(torch.cat((sound_offset(), offset))))
    assert (only(one, "nonfinite").group, one[0].tap) == (1, 4)


def test_dead_shows_the_longest_offset() -> None:
    found = only(findings(layer(hardly_any())), "dead")
    length = np.hypot(*hardly_any()[0].movedim(1, 0).numpy()).max(axis=0)
    np.testing.assert_allclose(found.map, length)
    assert found.number == pytest.approx(length.max())


# One thing is said once.


@pytest.mark.parametrize(
    ("offset", "mask", "known", "expected"),
    [
        (torch.zeros(1, 9, 2, SIDE, SIDE), constant(), {}, ["dead"]),
        (torch.full((1, 9, 2, SIDE, SIDE), 0.02), constant(), {}, ["dead"]),
        (torch.zeros(1, 9, 2, SIDE, SIDE), ends(), {}, ["mask saturated", "still"]),
        (sound_offset(), torch.ones(1, 9, SIDE, SIDE), {}, ["mask equal"]),
        (sound_offset() - 100, None, {}, ["exploded", "static"]),
        (shape_alone(), constant(), {}, ["static", "mask equal"]),
        (shape_alone(), constant(), {"weights": BIAS}, ["bias only"]),
        (sound_offset(), sound_mask(), {"weights": ZERO}, ["untrained"]),
        (torch.full((1, 9, 2, SIDE, SIDE), math.nan), None, {}, ["nonfinite"]),
        (torch.full((1, 9, 2, SIDE, SIDE), math.nan), constant(), {}, ["nonfinite"]),
    ],
)
def test_one_thing_is_said_once(
    offset: Tensor, mask: Tensor | None, known: dict[str, Any], expected: list[str]
) -> None:
    assert kinds(findings(layer(offset, mask=mask), **known)) == expected


def test_the_worst_comes_first() -> None:
    offset = torch.cat((shape_alone(), exploded(), clamped()))
    found = findings(layer(offset, mask=torch.cat((constant(),) * 3)))
    assert [one.severity for one in found] == sorted(
        (one.severity for one in found), key=["error", "warning", "info"].index
    )
    assert len(found) > 2


def test_weights_that_are_nan_are_not_untrained() -> None:
    weight = torch.zeros(18, 4, 3, 3)
    weight[3, 2, 1, 0] = math.nan
    known = (weight, None)
    assert findings(layer(sound_offset()), weights=known) == []


# Each limit decides.


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("all over the map", Thresholds(exploded=1e3, exploded_map=1)),
        ("all over the map", Thresholds(exploded=1e3, exploded_kernel=20)),
        ("zero offsets", Thresholds(still=0)),
        ("tiny offsets, a mask that works", Thresholds(still=0.001)),
        ("a tap off the map", Thresholds(outside=0.2)),
        ("clamped", Thresholds(clamp=0.4)),
        ("one shape everywhere", Thresholds(static=0.001)),
        ("one point", Thresholds(collapsed=0)),
        ("one point", Thresholds(collapsed_share=1)),
        ("open or shut", Thresholds(mask_saturated=0.97)),
        ("open or shut", Thresholds(mask_end=0)),
        ("constant mask", Thresholds(mask_range=0.001)),
    ],
)
def test_another_limit_finds_nothing(name: str, limits: Thresholds) -> None:
    _, sampling, known = sick(name)
    assert findings(sampling, thresholds=limits, **known) == []


@pytest.mark.parametrize(
    ("size", "limit"), [(16, 6), (32, 8), (128, 32), (200, 50), (512, 50)], ids=str
)
def test_what_is_exploded_depends_on_the_map(size: int, limit: float) -> None:
    """A quarter of the map's side, but two kernels at least, and BasicSR's 50 px at most."""
    for length, expected in ((0.98 * limit, False), (1.02 * limit, True)):
        angle = 2 * math.pi * uniform(1, 9, size, size)
        offset = length * torch.stack((angle.sin(), angle.cos()), dim=2)
        assert ("exploded" in kinds(findings(layer(offset)))) == expected


# What is not a fault.


@pytest.mark.parametrize(("field", "strength"), [("random", 1.0), ("wave", 3.0), ("saddle", 2.0)])
def test_made_up_fields_that_vary_are_sound(field: str, strength: float) -> None:
    kernel, image = Kernel.of(3, padding=1), torch.zeros(3, SIDE, SIDE)
    offset = offset_field(field, kernel, image, strength)[None]
    assert findings(layer(offset)) == []


@pytest.mark.parametrize("field", ["shift", "dilate", "rotate", "shear"])
def test_made_up_fields_that_do_not_are_static(field: str) -> None:
    kernel, image = Kernel.of(3, padding=1), torch.zeros(3, 256, 256)
    offset = offset_field(field, kernel, image)[None]
    only(findings(layer(offset)), "static")


def test_one_position_says_nothing_about_what_varies() -> None:
    offset = sound_offset()[..., :1, :1]
    assert findings(layer(offset, mask=sound_mask()[..., :1, :1], input_size=(1, 1))) == []


def test_the_largest_of_a_few_offsets_is_no_clamp() -> None:
    """Each of dy and dx has one, a sixth of all."""
    offset = torch.tensor([[[0.3], [-0.4]], [[0.7], [0.2]], [[-0.5], [0.6]]]).permute(1, 2, 0)
    assert findings(layer(offset.reshape(1, 1, 2, 1, 3), 1)) == []


def test_one_tap_cannot_fall_together() -> None:
    assert findings(layer(normal(1, 1, 2, SIDE, SIDE), 1)) == []


def test_a_kernel_that_is_chosen_by_region_is_not_meant_to_move() -> None:
    s = replace(layer(torch.zeros(1, 9, 2, 4, 4)), region=torch.zeros(4, 4, dtype=torch.int64))
    assert findings(s) == []


def test_base_points_that_lie_together_are_not_a_collapse() -> None:
    """Deformable attention: all points of a query begin at its reference."""
    reference = normal(1, 1, 2, 50, 1).expand(-1, 4, -1, -1, -1)
    offset, kernel = normal(1, 4, 2, 50, 1), Kernel.of((1, 4))
    s = Sampling("attention", (200, 200), (50, 1), kernel, offset, reference=100 + reference)
    assert findings(s) == []


# What is known of a layer is used.


def test_a_known_clamp_binds_even_where_all_offsets_are_at_it() -> None:
    offset = torch.full((1, 9, 2, SIDE, SIDE), 1.5)
    known = LayerInfo(clamp=1.5)
    assert "clamp binds" in kinds(findings(layer(offset), layer_info=known))
    assert "clamp binds" not in kinds(findings(layer(offset)))


def test_a_known_clamp_that_is_not_reached_does_not_bind() -> None:
    assert findings(layer(clamped()), layer_info=LayerInfo(clamp=2.5)) == []


@pytest.mark.parametrize(
    ("mask", "known", "expected"),
    [
        (0.005 + 0.99 * ends(), {}, ["mask saturated"]),
        (0.02 + 0.96 * ends(), {}, []),
        (2 * ends(), {}, ["mask saturated"]),
        (2 * (ends() - 0.5), {}, []),  # from -1 to 1: unbounded, so it has no end
        (5 * ends(), {}, []),
        (ends().clamp(min=0.5), {}, []),  # 1 or 0.5, mostly 0.5
        (0.5 + ends().clamp(max=0.5), {"mask_max": 2.0}, []),  # 1 is halfway to 2
        (ends(), {"mask_max": math.inf}, []),
        ((9 * normal(1, 9, SIDE, SIDE)).softmax(1), {}, []),
        ((90 * normal(1, 9, SIDE, SIDE)).softmax(1), {}, ["mask saturated"]),
    ],
)
def test_a_mask_is_saturated_at_its_own_ends(
    mask: Tensor, known: dict[str, Any], expected: list[str]
) -> None:
    found = findings(layer(sound_offset(), mask=mask), layer_info=LayerInfo(**known))
    assert kinds(found) == expected


def test_to_dict_is_plain() -> None:
    found = only(findings(layer(outside())), "outside").to_dict()
    assert found["kind"] == "outside"
    assert found["group"] is None
    assert found["where"]["of"] == SIDE * SIDE
    row, column = found["where"]["peak"]
    assert only(findings(layer(outside())), "outside").map[row, column] > 0
    assert isinstance(found["number"], float)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", SICK)
def test_findings_in_other_precisions(name: str, dtype: torch.dtype) -> None:
    kind, sampling, known = sick(name)
    mask = None if sampling.mask is None else sampling.mask.to(dtype)
    found = findings(replace(sampling, offset=sampling.offset.to(dtype), mask=mask), **known)
    assert kinds(found) == [kind]
