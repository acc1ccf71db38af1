"""What the lessons are about is seen while networks train: briefly here, with five seeds by CI."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean, stdev
from typing import Any

import pytest
import torch

from deformviz.training import Moment, Trained, train
from deformviz.training.measured import MEASURES
from deformviz.training.shifts import learned_shifts


def last(task: str, knobs: dict[str, Any], seed: int = 0) -> Moment:
    *_, moment = train(task, knobs, seed, moments=1)
    return moment


def networks(moment: Moment) -> Trained:
    assert moment.trained is not None
    return moment.trained


def measured(moment: Moment) -> dict[str, float]:
    trained = networks(moment)
    return MEASURES[trained.task](trained.network(), trained.knobs)


def test_a_network_that_is_told_coordinates_knows_places_it_never_saw() -> None:
    scores = last("coordinates", {"steps": 100}).scores
    assert scores["CoordConv"].unseen["unseen places"] > 0.9
    assert scores["plain"].unseen["unseen places"] < 0.1


def test_shifts_leave_zero_to_all_sides() -> None:
    moment = last("shifts", {"steps": 100})
    for shift in learned_shifts(networks(moment).network()):
        assert float(shift.std()) > 0.1
        assert (shift.amax(0) > 0.1).all()
        assert (shift.amin(0) < -0.1).all()


def test_a_guide_finds_regions_that_nobody_showed_it() -> None:
    agreement = measured(last("regions", {"steps": 300}))["guide, agreement with regions"]
    assert agreement > 0.8  # by chance, three regions agree by little more than a third


def test_taps_begin_to_spread_with_the_object() -> None:
    found = measured(last("scale", {"steps": 250}))
    small, large, ground = (found[f"dilation, layer 3, {n}"] for n in ("small", "large", "ground"))
    assert small < large
    assert ground < large


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in one order, so that a seed gives the same again; and no waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_effective_dilation_grows_with_the_object_over_five_seeds() -> None:
    """Table 2 of arXiv 1703.06211: it grows from small to large objects.

    Offsets learn at the rate of all else here, ten times the papers', so that half of the steps are
    enough; what whole trainings at the papers' rate gave is tested in `test_shipped`.
    """
    knobs = {"steps": 250, "offset_rate": 1.0}
    runs = [measured(last("scale", knobs, seed)) for seed in range(5)]
    for layer in (2, 3):
        small, large, ground = (
            [run[f"dilation, layer {layer}, {name}"] for run in runs]
            for name in ("small", "large", "ground")
        )
        for other in (small, ground):
            growth = [a - b for a, b in zip(large, other, strict=True)]
            # Student's t with four degrees of freedom: 2.13 is exceeded by chance once in twenty.
            assert fmean(growth) / (stdev(growth) / len(growth) ** 0.5) > 2.13
