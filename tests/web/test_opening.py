"""Uploads are bounded: how many, how large, how many at once, and how much of them is kept."""

from __future__ import annotations

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deformviz import Kernel, Sampling
from deformviz.checkpoints import RunLimits
from deformviz.inspection import Inspection, inspect_network
from deformviz.web import opening, slots
from deformviz.web.opened import Opened, OpenFile, Openings
from deformviz.web.opening import OnPhoto, open_files, read_otherwise
from deformviz.web.own_copy import OwnCopy

SMALL = OnPhoto(side=64)


def save(file: Path) -> str:
    tensors = {"a.weight": torch.rand(8, 8, 3, 3), "a.conv_offset.weight": torch.rand(18, 8, 3, 3)}
    torch.save(tensors, file)
    return str(file)


def test_too_many_files_are_refused_before_one_is_read(tmp_path: Path) -> None:
    paths = [save(tmp_path / "net.pth")] * (opening.MOST_FILES + 1)
    with pytest.raises(ValueError, match=r"at most 32 files, got 33"):
        open_files(paths, SMALL)


def test_too_large_files_are_refused_before_one_is_read(tmp_path: Path) -> None:
    paths = []
    for n in range(6):  # of holes, which take no room on the disk
        file = tmp_path / f"{n}.pth"
        with file.open("wb") as made:
            made.truncate(190_000_000)
        paths.append(str(file))
    with pytest.raises(ValueError, match=r"at most 1,000 MB together, got 1,140 MB"):
        open_files(paths, SMALL)


def test_a_file_larger_than_the_server_takes(tmp_path: Path) -> None:
    with (tmp_path / "net.pth").open("wb") as made:
        made.truncate(opening.FILE_BYTES + 1)
    with pytest.raises(ValueError, match="at most 200 MB"):
        open_files([str(tmp_path / "net.pth")], SMALL)


def test_two_children_at_once_however_many_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock, now, most = save(tmp_path / "net.pth"), threading.Lock(), [0], [0]
    inspect = opening.inspect_checkpoint

    def watched(*args: Any, **kwargs: Any) -> Inspection:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        try:
            return inspect(*args, **kwargs)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(opening, "inspect_checkpoint", watched)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: open_files([path], SMALL), range(8)))
    assert len(found) == 8
    assert most[0] == 2


def test_who_waits_too_long_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "net.pth")
    monkeypatch.setattr(slots, "PATIENCE", 0.05)
    with slots.child_slot(), slots.child_slot(), pytest.raises(ValueError, match="busy"):
        open_files([path], SMALL)
    assert open_files([path], SMALL).files  # both places are free again


# ---------------------------------------------------------------------------------- on a photo


def deformable_onnx(source: str = "x") -> bytes:
    """One 1 x 1 layer on the image itself, whose offsets are two of its channels."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    h, held = onnx.helper, onnx.numpy_helper.from_array
    tensors = {
        "net.weight": np.full((1, 3, 1, 1), 0.5, np.float32),
        "zero": np.array([0]),
        "two": np.array([2]),
        "one": np.array([1]),
    }
    nodes = [
        h.make_node("Slice", [source, "zero", "two", "one"], ["offset"]),
        h.make_node("DeformConv", [source, "net.weight", "offset"], ["y"]),
    ]
    floats = onnx.TensorProto.FLOAT
    graph = h.make_graph(
        nodes,
        "net",
        [h.make_tensor_value_info("x", floats, [1, 3, 32, 48])],
        [h.make_tensor_value_info("y", floats, None)],
        [held(value, name) for name, value in tensors.items()],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 19)], ir_version=9)
    return bytes(model.SerializeToString())


def test_an_onnx_runs_on_the_photo(tmp_path: Path) -> None:
    """Offsets are the photo's red and green, in pixels: what the file says, by hand."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (tmp_path / "net.onnx").write_bytes(deformable_onnx())
    opened = open_files([str(tmp_path / "net.onnx")], OnPhoto(str(tmp_path / "photo.png"), side=64))
    run = opened.shown.run
    assert run is not None
    assert opened.shown.names == ["net"]
    offset = run.layers[0].sampling.offset[0, 0].numpy()  # [2, h, w]
    assert np.allclose(offset, pixels.transpose(2, 0, 1)[:2] / 255, atol=1e-6)
    assert run.layers[0].verified is not None
    assert run.layers[0].verified.matches


def test_weights_in_nodes_of_their_own_run_too(tmp_path: Path) -> None:
    """Such a file names no tensors: there is nothing to list, but it runs."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(deformable_onnx())
    for tensor in model.graph.initializer:
        node = onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        model.graph.node.insert(0, node)
    del model.graph.initializer[:]
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    opened = open_files([str(path)], SMALL)
    assert opened.shown.inspection is None
    assert opened.shown.names == ["net"]
    assert open_files([str(path)] * 2, SMALL).series is not None


def test_of_many_networks_some_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for n in range(3):
        (tmp_path / f"{n}.onnx").write_bytes(deformable_onnx())
        paths.append(str(tmp_path / f"{n}.onnx"))
    monkeypatch.setattr(opening, "MOST_RUNS", 2)
    opened = open_files(paths, SMALL)
    assert [file.name for file in opened.files] == ["0.onnx", "1.onnx"]
    assert opened.problems == (
        "Not opened: 2.onnx: at most 2 networks are run at once: open fewer",
    )
    assert opened.series is not None


def test_a_network_that_fails_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(deformable_onnx())
    monkeypatch.setattr(opening, "RUN", RunLimits(seconds=0.001))
    with pytest.raises(ValueError, match=r"runs for more than 0\.001 seconds"):
        open_files([str(path)], SMALL)

    def missing(*args: Any, **kwargs: Any) -> None:
        raise ImportError("running .onnx files needs onnxruntime: pip install onnxruntime")

    monkeypatch.setattr(opening, "run_onnx_confined", missing)
    with pytest.raises(ValueError, match=r"This server cannot run networks: .*pip install"):
        open_files([str(path)], SMALL)
    monkeypatch.setattr(opening, "run_onnx_confined", lambda *args, **kwargs: [])
    with pytest.raises(ValueError, match=r"no DeformConv node.*opset_version=19"):
        open_files([str(path)], SMALL)


def test_what_cannot_be_run_is_shown_by_its_weights_where_they_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(deformable_onnx())
    for name, shape in (("a.weight", (8, 8, 3, 3)), ("a.conv_offset.weight", (18, 8, 3, 3))):
        tensor = onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name)
        model.graph.initializer.append(tensor)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    monkeypatch.setattr(opening, "RUN", RunLimits(seconds=0.001))
    opened = open_files([str(path)], SMALL)
    assert opened.shown.run is None
    assert opened.shown.names == ["a"]
    (problem,) = opened.problems
    assert problem.startswith("Not run, and shown by its weights alone: net.onnx: This")


# -------------------------------------------------------------------------------- what is kept


def test_what_is_open_outlives_its_upload(tmp_path: Path) -> None:
    """Gradio has one file for equal uploads: it touches it, replaces it, and deletes it in time."""
    upload = tmp_path / "net.pth"
    weights = {
        "c.conv_offset.weight": torch.randn(18, 4, 3, 3),
        "c.weight": torch.randn(4, 4, 3, 3),
    }
    torch.save(weights, upload)
    opened = open_files([str(upload)], OnPhoto())
    copy = opened.shown.copy.path
    assert copy.read_bytes() == upload.read_bytes()
    assert opened.memory >= upload.stat().st_size
    os.utime(upload)
    layer = opened.shown.found[0].layer
    assert read_otherwise(opened, layer).shown.names == ["c"]
    upload.unlink()
    assert read_otherwise(opened, layer).shown.names == ["c"]
    del opened, layer
    gc.collect()
    assert not copy.exists()


def opened_of(side: int) -> Opened:
    """A run whose record has 4 * side^2 bytes of input, and a little more."""
    sampling = Sampling.regular("net", Kernel.of(1), (side, side), input=torch.zeros(1, side, side))
    run = inspect_network([sampling], np.zeros((side, side, 3), np.uint8), "net")
    empty = OwnCopy(Path(os.devnull))
    inspection: Any = None
    return Opened((OpenFile(empty, "net", inspection, run),))


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    openings = Openings(most_bytes=250_000)
    first, second = (openings.put(opened_of(150)) for _ in range(2))  # 90,000 bytes each
    openings.get(first)
    third = openings.put(opened_of(150))
    with pytest.raises(ValueError, match="let go"):
        openings.get(second)
    assert openings.get(first).memory == pytest.approx(90_000, rel=0.01)
    openings.put(opened_of(300))  # more than all: kept alone
    with pytest.raises(ValueError, match="let go"):
        openings.get(third)


def test_as_many_visitors_as_there_may_be() -> None:
    openings = Openings(most=3)
    names = [openings.put(Opened(())) for _ in range(5)]
    kept = []
    for name in names:
        try:
            openings.get(name)
        except ValueError:
            continue
        kept.append(name)
    assert kept == names[2:]


def test_the_same_name_is_replaced_and_a_left_one_let_go() -> None:
    openings = Openings()
    name = openings.put(Opened(()))
    assert openings.put(Opened((), layer=1), name) == name
    assert openings.get(name).layer == 1
    openings.drop(name)
    with pytest.raises(ValueError, match="let go"):
        openings.get(name)
    with pytest.raises(ValueError, match="choose a checkpoint"):
        openings.get(None)
