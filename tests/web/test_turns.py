"""The device's turns: one at a time, in order, and bounded."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deformviz.web.turns import Turns


class Gate:
    """Work that begins and then waits to be let through."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(60)
        return "through"


def test_one_at_a_time_in_the_order_of_asking() -> None:
    turns, gate, done = Turns(), Gate(), []
    with ThreadPoolExecutor(8) as askers:
        first = askers.submit(turns.take, gate)
        assert gate.begun.wait(60)
        others = []
        for i in range(3):
            others.append(askers.submit(turns.take, lambda i=i: done.append(i)))
            while turns._waiting < i + 2:
                pass
        assert done == []
        gate.open.set()
        assert first.result(60) == "through"
        for other in others:
            other.result(60)
    assert done == [0, 1, 2]


def test_all_work_is_done_by_one_thread() -> None:
    turns = Turns()

    async def both() -> tuple[int, int]:
        return await turns.turn(threading.get_ident), await turns.turn(threading.get_ident)

    threads = {turns.take(threading.get_ident), *asyncio.run(both())}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_what_the_work_raises_reaches_who_asked() -> None:
    def fail() -> Any:
        raise KeyError("mine")

    turns = Turns()
    with pytest.raises(KeyError, match="mine"):
        turns.take(fail)
    with pytest.raises(KeyError, match="mine"):
        asyncio.run(turns.turn(fail))
    assert turns.take(lambda: 7) == 7


def test_one_too_many_is_refused_and_the_others_are_served() -> None:
    turns, gate = Turns(most_waiting=1), Gate()
    with ThreadPoolExecutor(1) as askers:
        first = askers.submit(turns.take, gate)
        assert gate.begun.wait(60)
        with pytest.raises(ValueError, match="busy: 1 runs wait"):
            turns.take(lambda: None)
        with pytest.raises(ValueError, match="busy: 1 runs wait"):
            asyncio.run(turns.turn(lambda: None))
        gate.open.set()
        assert first.result(60) == "through"
    assert turns.take(lambda: 7) == 7


def test_who_waits_too_long_is_told_and_their_work_is_not_done() -> None:
    turns, gate, done = Turns(patience=0.05), Gate(), []
    with ThreadPoolExecutor(1) as askers:
        first = askers.submit(turns.take, gate)
        assert gate.begun.wait(60)
        with pytest.raises(ValueError, match="expected a turn within 0 seconds"):
            turns.take(lambda: done.append(1))
        with pytest.raises(ValueError, match="expected a turn within 0 seconds"):
            asyncio.run(turns.turn(lambda: done.append(2)))
        gate.open.set()
        assert first.result(60) == "through", "what has begun is waited for"
    turns.take(lambda: None)
    assert done == []


def test_who_goes_away_leaves_the_queue() -> None:
    turns, gate, done = Turns(), Gate(), []

    async def leave() -> None:
        asked = asyncio.create_task(turns.turn(lambda: done.append(1)))
        await asyncio.sleep(0.05)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    with ThreadPoolExecutor(1) as askers:
        first = askers.submit(turns.take, gate)
        assert gate.begun.wait(60)
        asyncio.run(leave())
        assert turns._waiting == 1
        gate.open.set()
        first.result(60)
    turns.take(lambda: None)
    assert done == []


def test_a_ticket_tells_the_place_of_those_who_wait() -> None:
    turns, gate = Turns(), Gate()

    async def ask() -> list[str]:
        first = asyncio.create_task(turns.turn(gate, "first"))
        await asyncio.to_thread(gate.begun.wait, 60)
        rest = [asyncio.create_task(turns.turn(lambda: "done", f"{i}")) for i in range(3)]
        await asyncio.sleep(0)
        assert turns.place("first") is None  # it does not wait any more
        assert [turns.place(f"{i}") for i in range(3)] == [(1, 3), (2, 3), (3, 3)]
        rest[1].cancel()
        await asyncio.gather(rest[1], return_exceptions=True)
        assert [turns.place(f"{i}") for i in range(3)] == [(1, 2), None, (2, 2)]
        assert turns.place("no such ticket") is None
        gate.open.set()
        return await asyncio.gather(first, rest[0], rest[2])

    assert asyncio.run(ask()) == ["through", "done", "done"]
    assert turns._line == {}
