"""A moment comes out of a pipe as it went in."""

from __future__ import annotations

from io import BytesIO

import pytest
import torch

from deformviz.training import Moment, train
from deformviz.training.frames import MOMENT, from_bytes, memory, read_frame, to_bytes, write_frame


@pytest.fixture(scope="module")
def moment() -> Moment:
    """Before the first step, with the weights."""
    return next(iter(train("shifts", {"start": "random"}, seed=3, weights=True)))


def test_every_number_comes_back(moment: Moment) -> None:
    back = from_bytes(to_bytes(moment))
    assert (back.step, back.steps, back.scores) == (0, moment.steps, moment.scores)
    assert back.remaining != back.remaining  # NaN: nothing is known yet
    assert len(back.samplings) == len(moment.samplings) > 0
    for ours, theirs in zip(back.samplings, moment.samplings, strict=True):
        assert ours.header() == theirs.header()
        assert ours.known().keys() == theirs.known().keys()
        for name, tensor in theirs.known().items():
            assert torch.equal(ours.known()[name], tensor.detach()), name
    assert moment.trained is not None
    assert back.trained is not None
    for network, state in moment.trained.weights.items():
        for key, tensor in state.items():
            assert torch.equal(back.trained.weights[network][key], tensor)
    assert moment.answer is not None
    assert back.answer is not None
    assert torch.equal(back.answer, moment.answer)


def test_a_shift_is_sent_once_and_not_for_every_position(moment: Moment) -> None:
    layer = moment.samplings[0]
    assert layer.offset.shape[3] * layer.offset.shape[4] > 100
    offsets = layer.offset.shape[0] * 2 * 4
    others = sum(t.nbytes for name, t in layer.known().items() if name != "offset")
    alone = Moment(0, 1, 0.0, 0.0, {}, (layer,))
    assert memory(alone) == offsets + others
    assert len(to_bytes(alone)) < offsets + others + 4096


def test_what_is_no_moment_is_refused(moment: Moment) -> None:
    whole = to_bytes(moment)
    for broken in (b"", b"nonsense", whole[:-7], whole.replace(b"steps", b"stops", 1)):
        with pytest.raises(ValueError, match="expected a moment of a training"):
            from_bytes(broken)


def test_frames_come_one_after_the_other_and_end_with_the_pipe() -> None:
    pipe = BytesIO()
    for body in (b"one", b"", b"three"):
        write_frame(pipe, MOMENT, body)
    pipe.seek(0)
    assert [read_frame(pipe, 9) for _ in range(4)] == [
        (MOMENT, b"one"), (MOMENT, b""), (MOMENT, b"three"), None,
    ]  # fmt: skip
    cut = BytesIO(pipe.getvalue()[:-1])
    cut.seek(21)
    assert read_frame(cut, 9) is None
    pipe.seek(0)
    with pytest.raises(ValueError, match="at most 2 bytes"):
        read_frame(pipe, 2)
