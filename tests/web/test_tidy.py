"""All that the server keeps, together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from deformviz.images import Photo
from deformviz.web import asked, numbers, opened, tidy

KEPT = (asked.PHOTOS, asked.RUNS, numbers.SHELF.passing, opened.OPENINGS._held)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    tidy.bound()


def test_the_default_is_what_each_has_by_itself() -> None:
    before = [kept._most_bytes for kept in KEPT]
    tidy.bound(64)
    tidy.bound()
    assert [kept._most_bytes for kept in KEPT] == before
    assert sum(before) == tidy.MOST_MIB * 2**20


@pytest.mark.parametrize("most", [1, 100, 4096])
def test_no_more_is_kept_than_was_said(most: int) -> None:
    tidy.bound(most)
    assert sum(kept._most_bytes for kept in KEPT) <= most * 2**20


def test_what_is_too_much_goes_at_once() -> None:
    pixels = np.zeros((512, 512, 3), np.uint8)
    for i in range(8):
        asked.PHOTOS.put((f"tidy {i}", 512), Photo(pixels, (512, 512), ()))
    assert asked.PHOTOS.get(("tidy 0", 512)) is not None
    tidy.bound(64)  # of which photos have 4 MiB, and one takes 2.25
    assert asked.PHOTOS.held <= 4 * 2**20
    assert asked.PHOTOS.get(("tidy 0", 512)) is not None, "it was asked for last"
    assert asked.PHOTOS.get(("tidy 1", 512)) is None
