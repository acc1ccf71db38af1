"""What is kept for a while."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from deformviz.web.bounded import Bounded


def of_bytes(most: int) -> Bounded[str, bytes]:
    return Bounded(most, len)


def test_bytes_are_bounded_not_entries() -> None:
    kept = of_bytes(100)
    for i in range(50):
        kept.put(f"small {i}", b"ab")
    assert kept.held == 100
    assert all(kept.get(f"small {i}") == b"ab" for i in range(50))
    kept.put("large", bytes(90))
    assert kept.held == 100
    assert [i for i in range(50) if kept.get(f"small {i}")] == [45, 46, 47, 48, 49]


def test_the_one_used_longest_ago_goes_first() -> None:
    kept = of_bytes(30)
    for key in "abc":
        kept.put(key, bytes(10))
    assert kept.get("a") is not None
    kept.put("d", bytes(10))
    assert [key for key in "abcd" if kept.get(key) is not None] == ["a", "c", "d"]


def test_the_latest_stays_however_large() -> None:
    kept = of_bytes(5)
    kept.put("a", bytes(3))
    kept.put("b", bytes(10))
    assert (kept.get("a"), kept.get("b"), kept.held) == (None, bytes(10), 10)


def test_what_is_put_again_is_counted_once() -> None:
    kept = of_bytes(100)
    kept.put("a", bytes(10))
    kept.put("a", bytes(30))
    assert kept.held == 30
    kept.drop("a")
    kept.drop("a")
    assert (kept.held, kept.get("a")) == (0, None)


def test_what_nobody_uses_goes_in_time() -> None:
    now = 0.0
    gone: list[bytes] = []
    kept: Bounded[str, bytes] = Bounded(100, len, idle=10, clock=lambda: now, gone=gone.append)
    kept.put("a", b"a")
    kept.put("b", b"b")
    now = 8
    assert kept.get("a") == b"a"
    now = 12
    kept.sweep()
    assert gone == [b"b"]
    assert (kept.get("a"), kept.get("b"), kept.held) == (b"a", None, 1)


def test_many_who_ask_at_once_wait_for_one() -> None:
    kept = of_bytes(100)
    made, go = 0, threading.Event()

    def make() -> bytes:
        nonlocal made
        made += 1
        assert go.wait(10)
        return b"made"

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(kept.get_or_make, "a", make) for _ in range(8)]
        assert kept.get_or_make("another", lambda: b"at once") == b"at once"
        go.set()
        assert {one.result(10) for one in asked} == {b"made"}
    assert made == 1


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    kept = of_bytes(100)
    go = threading.Event()

    def fail() -> bytes:
        assert go.wait(10)
        raise ValueError("no such photo")

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(kept.get_or_make, "a", fail) for _ in range(4)]
        go.set()
        for one in asked:
            with pytest.raises(ValueError, match="no such photo"):
                one.result(10)
    assert kept.get_or_make("a", lambda: b"now") == b"now"
    assert kept.held == 3


def test_the_sum_is_right_whatever_happens_at_once() -> None:
    kept: Bounded[int, bytes] = Bounded(50, len)

    def use(i: int) -> None:
        assert len(kept.get_or_make(i % 17, lambda: bytes(i % 17))) == i % 17
        if i % 5 == 0:
            kept.drop(i % 7)
        if i % 11 == 0:
            kept.sweep()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(2000)))
    found = [kept.get(i) for i in range(17)]
    assert kept.held == sum(len(value) for value in found if value is not None) <= 50
