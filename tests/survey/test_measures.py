"""What is counted of a batch, against the package's own measures taken one image at a time, numpy,
and sums of fractions."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from surveyed import record
from torch import Tensor

from deformviz import Kernel, Sampling
from deformviz.analysis import (
    LayerInfo,
    effective_dilation,
    findings,
    outside_share,
    static_and_adaptive,
    statistics,
)
from deformviz.survey import Tally
from deformviz.survey.bins import length_edges, mask_edges
from deformviz.survey.exact import ExactSums
from deformviz.survey.hits import KINDS
from deformviz.survey.numbers import dilation_of, numbers_of
from deformviz.survey.stacks import Known

TOP = 0.999


def random_offset(seed: int, groups: int, size: tuple[int, int], scale: float) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(groups, 9, 2, *size, generator=generator) * scale


def made(kind: str, seed: int) -> Sampling:
    """A layer with one thing wrong, or nothing; two groups, the second one in good health."""
    size = (7, 6)
    offset = random_offset(seed, 2, size, 0.3)
    mask: Tensor | None = torch.rand(2, 9, *size, generator=torch.Generator().manual_seed(seed))
    assert mask is not None
    if kind == "no mask":
        mask = None
    elif kind == "dead":
        offset, mask = offset * 0.001, torch.full_like(mask, 0.5)
    elif kind == "still":
        offset = offset * 0.001
    elif kind == "exploded":
        offset[0] *= 300
    elif kind == "outside":
        offset[0, :, 0] -= 3
    elif kind == "clamp binds":
        offset = offset.clamp(-0.2, 0.2)
    elif kind == "static":
        offset = offset * 0.001 + random_offset(seed, 2, (1, 1), 2.0)
    elif kind == "collapsed":
        taps = Kernel.of(3).centred_taps()[:, :, None, None]
        offset[0] = offset[0] * 0.01 - taps
    elif kind == "mask equal":
        mask = mask * 0.001 + 0.3
    elif kind == "mask saturated":
        mask[0] = (mask[0] > 0.4).float() * TOP
    elif kind == "shared out":
        mask = (40 * mask).softmax(dim=1)
    elif kind == "mask to 2":
        mask = (mask > 0.5).float() * 2
    elif kind == "signed mask":
        mask = mask - 0.5
    elif kind == "nonfinite":
        offset[0, 3, 1, 2, 2] = math.nan
        offset[1, :, :, 0, 0] = math.inf
        mask[0, 0, 1, 1] = math.nan
    return record("layer", offset, mask)


SICK = [
    "well", "no mask", "dead", "still", "exploded", "outside", "clamp binds", "static",
    "collapsed", "mask equal", "mask saturated", "shared out", "mask to 2", "signed mask",
    "nonfinite",
]  # fmt: skip


def counted(records: Sequence[Sampling], known: Known | None = None) -> Tally:
    tally = Tally()
    names = {"layer": known or Known()}
    tally.add(range(len(records)), [[one] for one in records], names)
    return tally


def one_by_one(records: Sequence[Sampling], info: LayerInfo) -> tuple[Counter, Counter]:
    """In how many images is what found, and in which of its groups."""
    images: Counter = Counter()
    groups: Counter = Counter()
    for one in records:
        found = findings(one, layer_info=info)
        images.update({each.kind for each in found})
        for each in found:
            of = range(one.groups) if each.group is None else [each.group]
            groups.update((each.kind, group) for group in of)
    return images, groups


@pytest.mark.parametrize("kind", SICK)
def test_each_finding_is_found_as_often(kind: str) -> None:
    records = [made(kind, seed) for seed in range(3)] + [made("well", 7)]
    layer = counted(records).layers["layer"]
    images, groups = one_by_one(records, LayerInfo())
    assert dict(zip(KINDS, layer.counts["found"].tolist(), strict=True)) == {
        each: images[each] for each in KINDS
    }
    if kind in KINDS:
        assert images[kind] == 3
    for (row, each), group in itertools.product(enumerate(KINDS), range(2)):
        assert layer.counts["found_in_group"][row, group] == groups[each, group]


@pytest.mark.parametrize("top", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("kind", ["mask saturated", "mask equal", "mask to 2", "signed mask"])
def test_what_is_known_of_a_mask_counts_unless_it_goes_beyond(kind: str, top: float) -> None:
    records = [made(kind, seed) for seed in range(3)]
    layer = counted(records, Known(mask_max=top)).layers["layer"]
    for one in records:
        beyond = float(one.mask.max()) > top * 1.001 or float(one.mask.min()) < -0.001
        info = LayerInfo() if beyond else LayerInfo(mask_max=top)
        kinds = {found.kind for found in findings(one, layer_info=info)}
        single = counted([one], Known(mask_max=top)).layers["layer"].counts["found"]
        assert {KINDS[row] for row in single.nonzero().flatten().tolist()} == kinds
    assert int(layer.counts["images"]) == 3


@pytest.mark.parametrize("kind", ["well", "dead", "static", "nonfinite", "outside"])
@pytest.mark.parametrize("unlearned", ["untrained", "bias only"])
def test_weights_that_are_zero_say_more_than_what_they_lead_to(kind: str, unlearned: str) -> None:
    one = made(kind, 0)
    layer = counted([one], Known(unlearned=unlearned)).layers["layer"]
    bias = torch.zeros(18) if unlearned == "untrained" else torch.ones(18)
    kinds = {found.kind for found in findings(one, weights=(torch.zeros(18, 8, 3, 3), bias))}
    found = layer.counts["found"].nonzero().flatten().tolist()
    assert {KINDS[row] for row in found} == kinds
    assert unlearned in kinds


@pytest.mark.parametrize("kind", SICK)
def test_numbers_are_those_of_all_positions_together(kind: str) -> None:
    """The images' positions side by side are one large map, which `statistics` knows."""
    records = [made(kind, seed) for seed in range(3)]
    n, d = (of(counted(records).layers["layer"]) for of in (numbers_of, dilation_of))
    wide = torch.cat([one.offset for one in records], dim=-1)
    mask = None if records[0].mask is None else torch.cat([one.mask for one in records], dim=-1)
    size = (wide.shape[-2], wide.shape[-1])
    told = statistics(Sampling("all", size, size, Kernel.of(3, padding=1), wide, mask=mask))
    for name in ("mean", "largest", "mask_mean"):
        assert getattr(n, name) == pytest.approx(getattr(told, name), rel=1e-6, nan_ok=True), name
    static, adaptive = parts(wide.double().numpy())
    assert n.static == pytest.approx(static, rel=1e-9)
    assert math.hypot(n.between, n.within) == pytest.approx(adaptive, rel=1e-6, abs=1e-7)
    assert n.adaptive_share == pytest.approx(adaptive**2 / (adaptive**2 + static**2), rel=1e-6)
    assert n.not_finite == told.not_finite
    for name in ("median", "p99"):  # the upper end of a 32nd, or of the first bin
        exact = getattr(told, name)
        assert exact * (1 - 1e-6) <= getattr(n, name) <= max(exact * 33 / 32, 2.0**-10)
    for name in ("mask_p1", "mask_p99"):
        if not math.isnan(told.mask_mean):
            assert -1e-6 <= getattr(n, name) - getattr(told, name) <= 1 / 128 + 1e-6
    for share, place in (("outside", 0), ("moved_outside", 1)):
        each = [outside_share(one)[place].mean().item() for one in records]
        assert getattr(n, share) == pytest.approx(np.mean(each), rel=1e-12)
    values = torch.stack([effective_dilation(one) for one in records])
    finite = values[values.isfinite()].numpy()
    assert d.mean == pytest.approx(finite.mean(), rel=1e-12)
    assert d.deviation == pytest.approx(finite.std(), rel=1e-6)
    assert (d.least, d.largest) == pytest.approx((finite.min(), finite.max()), rel=1e-12)
    means = [float(v[v.isfinite()].mean()) for v in values]
    assert d.of_images == pytest.approx(np.std(means), rel=1e-6, abs=1e-9)


def parts(offset: np.ndarray) -> tuple[float, float]:
    """Each tap's mean and what deviates from it, root mean square over all that is finite."""
    flat = offset.reshape(-1, 2, offset.shape[-2] * offset.shape[-1])  # [G * K, 2, h * w]
    fixed, rest, count = 0.0, 0.0, 0
    for tap in flat:
        there = tap[:, np.isfinite(tap).all(axis=0)]
        mean = there.mean(axis=1, keepdims=True)
        fixed += there.shape[1] * float((mean**2).sum())
        rest += float(((there - mean) ** 2).sum())
        count += there.shape[1]
    return math.sqrt(fixed / count), math.sqrt(rest / count)


def test_within_and_between_images_are_a_decomposition_of_variance() -> None:
    records = [record("layer", random_offset(i, 1, (4, 5), 0.5) + i) for i in range(3)]
    n = numbers_of(counted(records).layers["layer"])
    stacked = torch.stack([one.offset.double() for one in records])  # [B, 1, K, 2, h, w]
    means = stacked.mean(dim=(-2, -1))
    within = (stacked - means[..., None, None]).square().sum(3).mean().sqrt()
    between = (means - means.mean(dim=0)).square().sum(3).mean().sqrt()
    assert n.within == pytest.approx(within.item(), rel=1e-9)
    assert n.between == pytest.approx(between.item(), rel=1e-9)
    assert n.within == pytest.approx(
        math.sqrt(np.mean([static_and_adaptive(one).adaptive.item() ** 2 for one in records])),
        rel=1e-9,
    )


@pytest.mark.parametrize("kind", ["well", "exploded", "dead", "signed mask", "mask to 2"])
def test_histograms_are_numpys(kind: str) -> None:
    records = [made(kind, seed) for seed in range(2)]
    counts = counted(records).layers["layer"].counts
    lengths = np.concatenate([one.offset.double().norm(dim=2).flatten() for one in records])
    dilations = np.concatenate([effective_dilation(one).flatten() for one in records])
    masks = np.concatenate([one.mask.double().flatten() for one in records])
    for name, values, edges in (
        ("lengths", lengths, length_edges()),
        ("spacings", dilations, length_edges()),
        ("masks", masks, mask_edges()),
    ):
        expected = np.histogram(values, [-np.inf, *edges, np.inf])[0]
        assert counts[name].tolist() == expected.tolist(), name


def test_a_tap_that_is_not_finite_is_in_no_histogram() -> None:
    one = made("nonfinite", 0)
    layer = counted([one]).layers["layer"]
    there = one.offset.isfinite().all(dim=2)
    assert (
        int(layer.counts["lengths"].sum()) == int(there.sum()) == int(layer.counts["there"].sum())
    )
    assert int(layer.counts["spacings"].sum()) == int(effective_dilation(one).isfinite().sum())
    assert int(layer.counts["masks"].sum()) == int(one.mask.isfinite().sum())


def test_points_of_a_reference() -> None:
    """Heads as groups and queries as a column, each around a place of its own."""
    generator = torch.Generator().manual_seed(0)
    kernel = Kernel.of(1)
    records = []
    for _ in range(3):
        offset = torch.randn(2, 4, 2, 30, 1, generator=generator) * 2
        reference = (torch.rand(1, 1, 2, 30, 1, generator=generator) * 12).expand(2, 4, 2, 30, 1)
        mask = torch.rand(2, 4, 30, 1, generator=generator).softmax(dim=1)
        one = Sampling("layer", (12, 12), (30, 1), kernel, offset, reference=reference, mask=mask)
        records.append(one)
    tally = counted(records)
    n, layer = numbers_of(tally.layers["layer"]), tally.layers["layer"]
    images, _ = one_by_one(records, LayerInfo())
    assert layer.counts["found"].tolist() == [images[kind] for kind in KINDS]
    each = [outside_share(one)[1].mean().item() for one in records]
    assert n.moved_outside == pytest.approx(np.mean(each), rel=1e-12)
    assert n.moved_outside > 0
    assert math.isnan(dilation_of(layer).mean)


@settings(max_examples=25)
@given(
    st.integers(0, 10_000), st.integers(1, 3), st.floats(0.001, 30), st.integers(1, 9),
    st.integers(1, 9),
)  # fmt: skip
def test_random_layers(seed: int, groups: int, scale: float, h: int, w: int) -> None:
    records = [record("layer", random_offset(seed + i, groups, (h, w), scale)) for i in range(3)]
    layer = counted(records).layers["layer"]
    images, _ = one_by_one(records, LayerInfo())
    assert layer.counts["found"].tolist() == [images[kind] for kind in KINDS]
    expected = torch.stack([effective_dilation(one) for one in records]).mean().item()
    assert dilation_of(layer).mean == pytest.approx(expected, rel=1e-12)


def test_a_large_map_in_strips_and_a_batch_in_parts() -> None:
    offset = random_offset(0, 1, (300, 200), 1.0)  # twice as much as is measured at once
    records = [record("layer", offset), record("layer", offset.flip(0, 1))]
    layer = counted(records).layers["layer"]
    expected = np.mean([effective_dilation(one).mean().item() for one in records])
    assert dilation_of(layer).mean == pytest.approx(expected, rel=1e-12)
    assert numbers_of(layer).mean == pytest.approx(statistics(records[0]).mean, rel=1e-9)
    assert int(layer.counts["lengths"].sum()) == 2 * 9 * 300 * 200


def test_images_of_different_sizes_are_one_layer() -> None:
    records = [record("layer", random_offset(i, 1, (4 + i, 5), 1.0)) for i in range(3)]
    layer = counted(records).layers["layer"]
    values = torch.cat([effective_dilation(one).flatten() for one in records])
    assert dilation_of(layer).mean == pytest.approx(values.mean().item(), rel=1e-12)


def test_a_layer_that_changes_its_groups_is_refused() -> None:
    records = [record("layer", random_offset(0, groups, (4, 4), 1.0)) for groups in (1, 2)]
    with pytest.raises(ValueError, match="same offset groups"):
        counted(records)


# ---------------------------------------------------------------------------------- adding up


def same(a: Tally, b: Tally) -> bool:
    """To the last bit."""
    if a.layers.keys() != b.layers.keys() or (a.images, a.broken) != (b.images, b.broken):
        return False
    return all(
        x.header == y.header
        and x.sums == y.sums
        and all(torch.equal(x.counts[key], y.counts[key]) for key in x.counts)
        and all(torch.equal(getattr(x, key), getattr(y, key)) for key in ("low", "high", "first"))
        and asdict(numbers_of(x)).keys() == asdict(numbers_of(y)).keys()
        for x, y in ((a.layers[name], b.layers[name]) for name in a.layers)
    )


def test_no_order_of_merging_changes_a_bit() -> None:
    parts = []
    for image, kind in enumerate(["well", "exploded", "nonfinite", "outside", "dead"]):
        tally = Tally()
        tally.add([image], [[made(kind, image)]], {})
        if image % 2:
            tally.refuse(100 + image, "broken")
        parts.append(tally)
    merged = []
    for order in itertools.islice(itertools.permutations(parts), 0, None, 17):
        whole = Tally()
        for part in order:
            whole.merge(part)
        merged.append(whole)
    left, right = Tally(), Tally()
    for part in parts[:2]:
        left.merge(part)
    for part in parts[2:]:
        right.merge(part)
    right.merge(left)
    assert all(same(merged[0], other) for other in [*merged, right])
    assert int(merged[0].layers["layer"].counts["images"]) == 5
    assert merged[0].broken == {101: "broken", 103: "broken"}
    first = merged[0].layers["layer"].first.tolist()
    assert first[KINDS.index("dead")] == 4


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30))
def test_exact_sums_are_sums_of_fractions(numbers: list[float]) -> None:
    sums, backwards = ExactSums(1), ExactSums(1)
    for number in numbers:
        sums.add([number])
    for number in reversed(numbers):
        one = ExactSums(1)
        one.add([number])
        backwards.merge(one)
    exact = sum(map(Fraction, numbers))
    try:
        expected = float(exact)
    except OverflowError:
        expected = math.inf if exact > 0 else -math.inf
    assert sums.floats() == backwards.floats() == [expected]
    assert sums == backwards == ExactSums.of_texts(sums.texts())


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_summand(number: float) -> None:
    with pytest.raises(ValueError, match="only finite"):
        ExactSums(1).add([number])


@pytest.mark.parametrize("text", ["", "p", "1p9999999", "1p-1075", "xyzp0"])
def test_a_text_that_is_no_sum(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ExactSums.of_texts([text])
