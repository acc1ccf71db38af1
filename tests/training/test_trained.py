"""Files of trained networks: what is saved comes back; what is none, or was changed, is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from deformviz.training import Trained, train
from deformviz.training.command import main


@pytest.fixture(scope="module")
def trained() -> Trained:
    stops = iter([False, False, True])
    *_, last = train("regions", {"steps": 100}, seed=2, stop=lambda: next(stops))
    assert last.trained is not None
    return last.trained


@pytest.fixture
def file(trained: Trained, tmp_path: Path) -> Path:
    trained.save(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_what_is_saved_comes_back(trained: Trained, file: Path) -> None:
    back = Trained.load(file)
    for field in ("task", "knobs", "seed", "step", "scores", "origin"):
        assert getattr(back, field) == getattr(trained, field)
    x = torch.rand(2, 3, 48, 48)
    for name, net in trained.networks().items():
        assert torch.equal(back.network(name)(x), net(x))
    assert back.step == 2
    assert not back.network().training


def test_half_precision_takes_half_the_file(trained: Trained, file: Path, tmp_path: Path) -> None:
    small = tmp_path / "half.safetensors"
    trained.save(small, half=True)
    assert small.stat().st_size < 0.7 * file.stat().st_size
    back = Trained.load(small)
    for name, state in trained.weights.items():
        for key, tensor in state.items():
            assert back.weights[name][key].dtype == tensor.dtype
            torch.testing.assert_close(back.weights[name][key], tensor, rtol=1e-3, atol=1e-4)


def test_another_network_than_there_is_is_refused(trained: Trained) -> None:
    with pytest.raises(ValueError, match="network must be one of DRConv, plain; got 'dense'"):
        trained.network("dense")


def rewritten(file: Path, header: Any = None, **tensors: torch.Tensor | None) -> Path:
    """The file with another header, or with tensors changed, added or, by None, left out."""
    held: dict[str, Any] = load_file(file)
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    for name, tensor in tensors.items():
        held[name] = tensor
    metadata["deformviz"] = json.dumps(header) if header is not None else metadata["deformviz"]
    save_file({k: t for k, t in held.items() if t is not None}, file, metadata)
    return file


def header_of(file: Path) -> dict[str, Any]:
    with safe_open(file, "pt") as opened:
        header: dict[str, Any] = json.loads(opened.metadata()["deformviz"])
    return header


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "holds no trained networks: expected a file that Trained.save wrote"),
        ({"task": "ocr"}, "task must be one of scale"),
        ({"task": 3}, "task must be of type str, got 3"),
        ({"task": "shifts", "knobs": {}}, "its tensors are not those of 'shifts'"),
        ({"knobs": {"regions": 4}}, r"must be \["),
        ({"knobs": {"regions": 10**9}}, "regions must be one of 2, 3, 4, 6; got 1000000000"),
        ({"knobs": {"regions": [3]}}, "regions must be one of"),
        ({"knobs": {"depth": 3}}, "has no knob depth"),
        ({"seed": "0"}, "seed must be of type int, got '0'"),
        ({"step": True}, "step must be of type int, got True"),
        ({"scores": None}, "scores must be of type dict"),
    ],
)
def test_a_changed_header_is_refused(file: Path, change: dict[str, Any], message: str) -> None:
    rewritten(file, header_of(file) | change)
    with pytest.raises(ValueError, match=f"^net.safetensors .*{message}"):
        Trained.load(file)


def test_a_header_that_is_no_object_is_refused(file: Path) -> None:
    header = header_of(file)
    del header["seed"]
    with pytest.raises(ValueError, match="holds damaged networks: 'seed'"):
        Trained.load(rewritten(file, header))
    with pytest.raises(ValueError, match="holds no trained networks"):
        Trained.load(rewritten(file, [1, 2]))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (None, "its tensors are not those of 'regions'"),
        (torch.zeros(2), r"must be \[1\] of torch.float32, got \[2\]"),
        (torch.zeros(1, dtype=torch.int64), "must be .* of torch.float32, got .* of torch.int64"),
        (torch.full((1,), float("nan")), "has numbers that are not finite"),
        (torch.full((1,), float("inf")), "has numbers that are not finite"),
    ],
)
def test_changed_weights_are_refused(file: Path, tensor: torch.Tensor, message: str) -> None:
    rewritten(file, **{"DRConv/last.bias": tensor})
    with pytest.raises(ValueError, match=message):
        Trained.load(file)


def test_weights_of_nobody_are_refused(file: Path) -> None:
    rewritten(file, **{"DRConv/extra": torch.zeros(1)})
    with pytest.raises(ValueError, match="its tensors are not those of 'regions': DRConv/extra"):
        Trained.load(file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 100, b"\x08" + bytes(7) + b"[]"])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"^odd.safetensors is not a .safetensors file"):
        Trained.load(tmp_path / "odd.safetensors")


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "theirs.safetensors")
    with pytest.raises(ValueError, match=r"^theirs.safetensors holds no trained networks"):
        Trained.load(tmp_path / "theirs.safetensors")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.safetensors").open("wb") as file:
        file.truncate(2**34)
    with pytest.raises(ValueError, match=r"^huge.safetensors is too large"):
        Trained.load(tmp_path / "huge.safetensors")


def test_the_command_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["regions", "--knob", "steps=7"]) == 2
    assert "steps must be one of 100, 300, 600, 1200; got '7'" in capsys.readouterr().err
    assert main(["regions", "--knob", "depth=7"]) == 2
    assert "regions has no knob 'depth'" in capsys.readouterr().err
