"""Sound files with bytes missing or changed, and random pickles: refused, or read within bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from attack_files import HONEST, torch_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import assert_tame

from deformviz.checkpoints import Limits, reading
from deformviz.checkpoints.parsers.entry import answer_to
from deformviz.checkpoints.parsers.source import Source


def answered(data: bytes, path: Path) -> dict[str, object]:
    """What the child would answer, in this process: a thousand children would take a minute."""
    path.write_bytes(data)
    with path.open("rb") as file:
        return answer_to(Source(file.fileno()), Limits(), None)


@pytest.mark.parametrize("kind", HONEST)
def test_truncated_anywhere(kind: str, tmp_path: Path) -> None:
    data, path = HONEST[kind], tmp_path / "net"
    whole = answered(data, path)
    assert "tensors" in whole
    for length in range(len(data)):
        answer = answered(data[:length], path)
        # ONNX has no end of its own: without the last field the model is whole.
        assert "refused" in answer or (kind == "onnx" and answer == whole), length


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(HONEST)), data=st.data())
def test_damaged_anywhere(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    """Some bytes are changed: refused, or read with every tensor inside the file."""
    made = bytearray(HONEST[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    answer = answered(bytes(made), tmp_path / "net")
    if "refused" in answer:
        assert_tame(str(answer["refused"]), tmp_path / "net")
    else:
        for row in answer["tensors"]:  # type: ignore[attr-defined]
            reading.place_of(row, len(made))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.binary(max_size=200))
def test_random_pickles(value: bytes, tmp_path: Path) -> None:
    answer = answered(torch_zip(value), tmp_path / "net")
    assert_tame(str(answer["refused"]), tmp_path / "net")
