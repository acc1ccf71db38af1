"""`capture` in every mode that a model runs in, and through what is wrapped around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from networks import Mixed, assert_recomputes, photo_and_mirror
from torch import Tensor, nn

import deformviz


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def photo() -> Tensor:
    return photo_and_mirror()


@pytest.mark.parametrize("mode", [nullcontext, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("train", [False, True])
def test_modes(photo: Tensor, mode: Callable[[], Any], train: bool) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), Mixed()).train(train)
    with mode(), deformviz.capture(model) as samplings:
        model(photo)
    with deformviz.capture(model) as again, mode():
        model(photo)
    assert [s.name for s in samplings] == [s.name for s in again] == ["1.plain", "1.masked"]
    assert model.training == train
    for s in samplings + again:
        assert not any(t.is_inference() for t in s.known().values())
        s.offset.requires_grad_().sum().backward()  # as of any tensor
        assert_recomputes(s, 1e-5)


def test_half_precision(photo: Tensor) -> None:
    model = Mixed().half()
    with torch.no_grad(), deformviz.capture(model) as samplings:
        model(photo.half())
    assert [s.offset.dtype for s in samplings] == [torch.float16] * 2
    assert [s.output.dtype for s in samplings] == [torch.float16] * 2


def test_nested_captures_both_see(photo: Tensor) -> None:
    model = Mixed()
    with torch.no_grad(), deformviz.capture(model) as outer:
        with deformviz.capture(model, image=1) as inner:
            model(photo)
        model(photo)
    assert [s.name for s in inner] == ["plain", "masked"]
    assert [s.name for s in outer] == [
        "plain", "masked", "plain (2nd call)", "masked (2nd call)",
    ]  # fmt: skip
    assert torch.equal(outer[0].offset, outer[2].offset)
    assert not torch.equal(outer[0].offset, inner[0].offset)


# ------------------------------------------------------------------------------------- wrappers


def test_data_parallel_is_unwrapped(photo: Tensor) -> None:
    wrapped = nn.DataParallel(Mixed(), device_ids=None)
    with torch.no_grad(), deformviz.capture(wrapped) as samplings:
        wrapped(photo)
    assert [s.name for s in samplings] == ["plain", "masked"]
    wrapped.device_ids = [0, 1]
    with pytest.raises(ValueError, match=r"on 2 devices.*capture model\.module instead"):
        deformviz.capture(wrapped).__enter__()


@pytest.fixture
def one_process() -> Iterator[None]:
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_distributed_data_parallel_is_unwrapped(photo: Tensor) -> None:
    wrapped = nn.parallel.DistributedDataParallel(Mixed())
    with deformviz.capture(wrapped) as samplings:
        wrapped(photo)
    assert [s.name for s in samplings] == ["plain", "masked"]


class Counting:
    """A backend of `torch.compile` that counts its graphs and how often they run."""

    def __init__(self) -> None:
        self.graphs, self.runs = 0, 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.graphs += 1

        def run(*args: Any) -> Any:
            self.runs += 1
            return graph(*args)

        return run


@pytest.mark.parametrize("how", ["whole", "in place", "a part"])
def test_compiled_code_runs_eagerly_inside(photo: Tensor, how: str) -> None:
    torch.compiler.reset()
    backend = Counting()
    inner = Mixed()
    model: nn.Module = nn.Sequential(inner)
    if how == "whole":
        model = torch.compile(model, backend=backend)
    elif how == "in place":
        model.compile(backend=backend)
    else:
        model[0] = torch.compile(inner, backend=backend)
    with torch.no_grad():
        expected = model(photo)
        graphs, runs = backend.graphs, backend.runs
        assert runs > 0
        with deformviz.capture(model) as samplings:
            seen = model(photo)
        assert (backend.graphs, backend.runs) == (graphs, runs)
        assert [s.name for s in samplings] == ["0.plain", "0.masked"]
        assert torch.equal(seen, expected)
        model(photo)
    assert backend.graphs == graphs  # nothing was compiled anew
    assert backend.runs > runs


def test_control_flow_of_torch_goes_on(photo: Tensor) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixed = Mixed()

        def forward(self, x: Tensor) -> Tensor:
            x = torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))
            return self.mixed(x)

    model = Model()
    with torch.no_grad():
        expected = model(photo)
        with deformviz.capture(model) as samplings:
            assert torch.equal(model(photo), expected)
    assert [s.name for s in samplings] == ["mixed.plain", "mixed.masked"]


def test_a_traced_script_is_seen_too(photo: Tensor) -> None:
    with pytest.warns():
        script = torch.jit.trace(Mixed(), photo)
    with torch.no_grad(), deformviz.capture(script) as samplings:
        script(photo)
    assert [s.name for s in samplings] == ["plain", "masked"]
