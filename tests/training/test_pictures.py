"""What else is seen at a moment."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from deformviz.training import Moment, coordinates, regions, task_of, train
from deformviz.training.pictures import fitted, pictures


def test_the_true_regions_are_those_of_the_probe() -> None:
    batch = regions.probe_batch()
    image = (batch.input[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    assert np.array_equal(image, task_of("regions").probe({}))
    moment = next(iter(train("regions")))
    found = pictures("regions", {}, moment)
    assert torch.equal(found["true regions"], batch.about["kind"][0])
    assert found["guide map"].shape == found["true regions"].shape


@pytest.mark.parametrize("seed", range(4))
def test_regions_are_numbered_as_fits_best(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    region = torch.randint(4, (9, 7), generator=generator)
    kind = torch.randint(3, (9, 7), generator=generator)
    best = max(
        sum(order[r] == k for r, k in zip(region.flatten(), kind.flatten(), strict=True))
        for order in permutations(range(4))
    )
    renamed = fitted(region, kind)
    assert int((renamed == kind).sum()) == best
    for number in region.unique():  # a region stays whole
        assert renamed[region == number].unique().numel() == 1


def test_the_place_that_is_found_is_where_the_network_says() -> None:
    knobs = task_of("coordinates").settle({"asked": coordinates.TO_NUMBERS})
    answer = coordinates.scaled(torch.tensor([[10, 50]]))
    found = pictures("coordinates", knobs, Moment(0, 1, 0, 0, {}, (), answer=answer))
    assert found["the place that is found"][10, 50] == 1
    assert found["the place that is found"][40, 10] == 0
    y, x = found["the square"].nonzero().float().mean(0).tolist()
    assert (y, x) == (44, 46)


def test_the_probability_of_each_pixel_is_the_softmax() -> None:
    scores = torch.zeros(1, 64 * 64)
    scores[0, 5 * 64 + 7] = 3.0
    knobs = task_of("coordinates").settle()
    found = pictures("coordinates", knobs, Moment(0, 1, 0, 0, {}, (), answer=scores))
    chance = found["probability of each pixel"]
    assert chance[5, 7] == 1
    assert float(chance[0, 0]) == pytest.approx(np.exp(-3.0), rel=1e-5)
