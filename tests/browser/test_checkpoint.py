"""From an upload to a pinned pixel: what the Checkpoint page shows is what the file says."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checkpoint_page import CheckpointPage
from PIL import Image
from playwright.sync_api import BrowserContext, expect
from torch import Tensor, nn
from torchvision.ops import deform_conv2d
from viewer_page import IMAGE, WAIT

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror='window.attacked=1'>{{constructor}}${window.attacked=2}"
TAPS = 9


@pytest.fixture
def checkpoint(context: BrowserContext, server: str) -> Iterator[CheckpointPage]:
    """An empty tab at the Checkpoint page; no script may have failed at the end."""
    page = CheckpointPage(context.new_page(), server)
    yield page
    assert page.errors == []
    page.page.close()


class Deformable(nn.Module):
    """A layer that predicts its own offsets and masks."""

    def __init__(self, channels: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.predict = nn.Conv2d(channels, 3 * TAPS, 3, stride, padding=1)
        self.weight = nn.Parameter(torch.randn(outputs, channels, 3, 3))
        nn.init.normal_(self.predict.weight, std=0.5)

    def arguments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raw = self.predict(x)
        return raw[:, : 2 * TAPS], raw[:, 2 * TAPS :].sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        offset, mask = self.arguments(x)
        return deform_conv2d(x, offset, self.weight, None, self.stride, 1, mask=mask)


class TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shallow, self.deep = Deformable(3, 4, stride=1), Deformable(4, 5, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.deep(F.relu(self.shallow(x)))


def test_from_an_onnx_and_a_photo_to_a_pinned_pixel(
    checkpoint: CheckpointPage, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    model = TwoLayers().eval()
    program = torch.onnx.export(
        model, (torch.rand(1, 3, 64, 96),), dynamo=True, opset_version=19, verbose=False
    )
    assert program is not None
    program.save(tmp_path / "net.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")

    checkpoint.drop(tmp_path / "net.onnx")
    checkpoint.wait_for("net.onnx | shallow")
    with checkpoint.redrawn():
        checkpoint.drop_photo(tmp_path / "photo.png")
    assert "order verified" in checkpoint.text("checks")
    checkpoint.look_at("deep")
    assert re.fullmatch(r"✓ \de-\d\d", checkpoint.cells("deep")[8])

    with torch.no_grad():
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        x = F.relu(model.shallow(x))
        offset, mask = model.deep.arguments(x)
        output = model.deep(x)[0]
    y, column = 10, 30
    checkpoint.click(IMAGE, 2 * y + 0.5, 2 * column + 0.5)  # a stride of 2
    checkpoint.wait_at(y, column)
    seen = checkpoint.seen()
    assert seen.total == pytest.approx(float(output[0, y, column]), abs=2e-5)
    assert seen.total == pytest.approx(seen.given, abs=2e-5)
    shifts = offset[0, :, y, column].reshape(TAPS, 2)
    grid = torch.cartesian_prod(torch.arange(-1.0, 2.0), torch.arange(-1.0, 2.0))
    points = 2 * torch.tensor([y, column]) + grid + shifts
    onto_photo = points.numpy()  # the map that is read is as large as the photo
    assert np.abs(seen.points() - onto_photo).max() < 0.05
    masks = [float(seen.rows[n][-3].replace("−", "-")) for n in range(TAPS)]
    assert masks == pytest.approx(mask[0, :, y, column].tolist(), abs=1e-3)

    # Another layer: pinned at the same place of the photo, and nothing else has changed.
    checkpoint.over("magnitude")
    checkpoint.look_at("shallow")
    place = checkpoint.seen().position
    assert max(abs(place[0] - 2 * y), abs(place[1] - 2 * column)) <= 1
    assert checkpoint.root.evaluate("(root) => root.classList.contains('dv-held')")
    assert '"over":"magnitude"' in (checkpoint.root.get_attribute("data-layers") or "")


def save_epoch(folder: Path, epoch: int) -> Path:
    path = folder / f"epoch_{epoch}.pth"
    tensors = {
        "net.conv.weight": torch.rand(8, 8, 3, 3),
        "net.conv.conv_offset.weight": torch.rand(18, 8, 3, 3),
        "net.conv.conv_offset.bias": torch.full((18,), 0.25 * epoch),
        f"{HOSTILE}.weight": torch.rand(8, 8, 3, 3),
        f"{HOSTILE}.conv_offset.weight": torch.zeros(18, 8, 3, 3),
    }
    torch.save({"state_dict": tensors}, path)
    return path


def test_epochs_beside_each_other_and_as_a_timeline(
    checkpoint: CheckpointPage, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"PK\3\4 and no more")
    checkpoint.drop(*(save_epoch(tmp_path, n) for n in (10, 2, 1)), broken)
    checkpoint.wait_for("epoch_10.pth | net.conv")
    checkpoint.said("Not opened: broken.pth: Expected a checkpoint")
    files = checkpoint.page.locator("#files label").all_inner_texts()
    assert [file.strip() for file in files] == ["epoch_1.pth", "epoch_2.pth", "epoch_10.pth"]

    length = 0.25 * math.sqrt(2)  # of each tap's offset, for every epoch
    other, chosen = checkpoint.lines()
    assert chosen == ("net.conv", pytest.approx([length, 2 * length, 10 * length], rel=1e-5))
    assert other[1] == [0, 0, 0]

    checkpoint.wait_loaded()
    checkpoint.click(IMAGE, 5, 6)
    checkpoint.wait_at(5, 6)
    checkpoint.page.get_by_role("button", name="compare with epoch_2.pth").click()
    expect(checkpoint.action("compare")).to_have_text("end comparison", timeout=WAIT)
    checkpoint.wait_loaded()
    checkpoint.wait_text("name-b", "3 × 3")
    assert checkpoint.text("name-b").startswith("B: epoch_2.pth: net.conv")
    for side, epoch in (("a", 10), ("b", 2)):
        middle = checkpoint.seen(side).points()[4]
        assert middle == pytest.approx(np.array([5, 6]) + 0.25 * epoch, abs=0.02)
    assert "|Δ A − Δ B|" in checkpoint.text("output-caption")
    checkpoint.action("compare").click()
    checkpoint.file("epoch_1.pth")
    assert checkpoint.seen().position == (5, 6)
    assert checkpoint.seen().points()[4] == pytest.approx(np.array([5.25, 6.25]), abs=0.02)

    # A name is text, wherever it stands.
    row = checkpoint.page.locator("#layers tbody tr").nth(1)
    assert row.locator("button").get_attribute("title") == HOSTILE
    row.click()
    checkpoint.said("onerror=")
    expect(checkpoint.words.locator("li")).to_contain_text("untrained")
    assert checkpoint.page.locator("img[onerror], img[src='x']").count() == 0
    assert checkpoint.page.evaluate("window.attacked") is None


def test_many_layers_are_searched_and_walked_through(
    checkpoint: CheckpointPage, tmp_path: Path
) -> None:
    shapes = {"weight": (8, 8, 3, 3), "conv_offset.weight": (18, 8, 3, 3)}
    tensors = {
        f"block{n}.{name}": torch.rand(shape) for n in range(12) for name, shape in shapes.items()
    }
    torch.save(tensors, tmp_path / "net.pth")
    checkpoint.drop(tmp_path / "net.pth")
    checkpoint.wait_for("net.pth | block0")
    checkpoint.page.get_by_label("search the layers").fill("BLOCK1")
    shown = checkpoint.page.locator("#layers tbody tr:visible")
    expect(shown).to_have_count(3)  # 1, 10 and 11
    checkpoint.look_at("block1")
    checkpoint.page.keyboard.press("ArrowDown")
    checkpoint.wait_for("net.pth | block10")
    expect(checkpoint.row("block10")).to_have_attribute("aria-selected", "true")
    expect(shown).to_have_count(3)


def test_a_damaged_file_says_what_to_do_and_leaves_the_rest(
    checkpoint: CheckpointPage, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"PK\3\4 and no more")
    checkpoint.drop(broken)
    expect(checkpoint.toast).to_contain_text("damaged or cut short. Download", timeout=WAIT)
    assert "made-up network" in checkpoint.shown


def test_a_published_checkpoint(checkpoint: CheckpointPage, shared_data: Path) -> None:
    """ALIKED by its weights: its static pattern is the bias of the offset convolution."""
    path = shared_data / "aliked-n16.pth"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    state = torch.load(path, weights_only=True, map_location="cpu")
    checkpoint.drop(path)
    checkpoint.wait_for("aliked-n16.pth | block3.conv1.regular_conv | ALIKED | interleaved")
    names = [f"block{b}.conv{c}.regular_conv" for b in (3, 4) for c in (1, 2)]
    assert [checkpoint.cells(name)[1] for name in names] == ["ALIKED"] * 4
    checkpoint.look_at(names[3])
    checkpoint.click(IMAGE, 8, 8)
    checkpoint.wait_at(8, 8)
    bias = state["block4.conv2.offset_conv.bias"].reshape(TAPS, 2).numpy()
    grid = np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)])
    assert np.abs(checkpoint.seen().points("kernel") - grid - bias).max() < 0.02

    # An order of one's own draws another picture.
    with checkpoint.redrawn():
        checkpoint.page.locator("#order input").click()
        checkpoint.page.get_by_role("option", name="blocked", exact=True).click()
    blocked = state["block4.conv2.offset_conv.bias"].reshape(2, TAPS).T.numpy()
    assert np.abs(checkpoint.seen().points("kernel") - grid - blocked).max() < 0.02
