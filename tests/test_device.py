"""Which devices are taken, and what is said about those that are not there."""

from __future__ import annotations

import pytest
import torch

from deformviz import device


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs that CUDA runs on."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda name: f"GPU of {name}")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_every_machine_has_a_cpu() -> None:
    assert device.available()[-1] == "cpu"
    assert device.choose("cpu") == "cpu"
    assert device.describe("cpu") == "CPU"


def test_the_default_can_be_computed_on() -> None:
    chosen = device.choose(None)
    assert chosen == device.available()[0]
    assert torch.ones(2, device=chosen).sum().item() == 2
    assert device.describe(chosen)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_it_is_the_cpu() -> None:
    assert device.available() == ["cpu"]
    assert device.choose() == "cpu"


@pytest.mark.usefixtures("two_gpus")
def test_the_fastest_comes_first() -> None:
    assert device.available() == ["cuda", "cpu"]
    assert device.choose() == "cuda"
    for wanted in ("cuda", "cuda:0", "cuda:1", "cpu"):
        assert device.choose(wanted) == wanted
    assert device.describe("cuda:1") == "GPU of cuda:1"


def test_an_apple_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.choose() == "mps"
    assert device.describe("mps") == "Apple GPU"


@pytest.mark.parametrize("wanted", ["nonsense", "", "CPU", "cuda", "cuda:0", "mps", "tpu:0", ":0"])
@pytest.mark.usefixtures("no_gpu")
def test_a_device_that_is_not_there_is_answered_with_those_that_are(wanted: str) -> None:
    with pytest.raises(ValueError, match="there is no device") as caught:
        device.choose(wanted)
    assert str(caught.value) == f"there is no device {wanted!r} here: this machine has cpu"


@pytest.mark.parametrize("wanted", ["cuda:2", "cuda:99999999999", "cuda:-1", "cuda:x", "cuda:²"])
@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_too_many_is_answered_with_the_devices(wanted: str) -> None:
    with pytest.raises(ValueError, match="there is no device") as caught:
        device.choose(wanted)
    assert str(caught.value).endswith("this machine has cuda, cpu")


@pytest.mark.parametrize("wanted", ["cpu:", "cpu:0", "cpu:5", "cpu:0:0"])
@pytest.mark.usefixtures("no_gpu")
def test_what_is_taken_can_be_computed_on_and_named(wanted: str) -> None:
    try:
        chosen = device.choose(wanted)
    except ValueError:
        return
    assert torch.ones(2, device=chosen).sum().item() == 2
    assert device.describe(chosen) == "CPU"


@pytest.mark.parametrize("wanted", ["cuda:", "cuda:01"])
@pytest.mark.usefixtures("two_gpus")
def test_what_is_taken_is_a_device_to_torch(wanted: str) -> None:
    try:
        chosen = device.choose(wanted)
    except ValueError:
        return
    assert torch.device(chosen).type == "cuda"
