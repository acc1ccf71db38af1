"""The file's own offset weights say in which order, by which activation, they are to be read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from deformviz.checkpoints import find_layers, run_on_image
from deformviz.inspection import LayerRun, inspect_network, told_of_run

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


class Own(nn.Module):
    """A user of torchvision's operator, whose names tell neither order nor activation."""

    def __init__(
        self, offsets: Callable[[Tensor], Tensor], masks: Callable[[Tensor], Tensor], size: float
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.offset_conv, self.mask_conv = (nn.Conv2d(8, n, 3, padding=1) for n in (18, 9))
        self.deform_conv = DeformConv2d(8, 8, 3, padding=1)
        self._offsets, self._masks = offsets, masks
        with torch.no_grad():
            self.offset_conv.weight.mul_(size)
            self.offset_conv.bias.mul_(size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        offset, mask = self._offsets(self.offset_conv(x)), self._masks(self.mask_conv(x))
        return self.deform_conv(x, offset, mask)


def as_is(raw: Tensor) -> Tensor:
    return raw


def blocked(raw: Tensor) -> Tensor:
    """dy of every tap, then dx of every tap: the operator wants them in pairs."""
    return torch.stack(raw.chunk(2, dim=1), dim=2).flatten(1, 2)


def twice(raw: Tensor) -> Tensor:
    return 2 * raw.sigmoid()


def limited(raw: Tensor) -> Tensor:
    return 10 * raw.tanh()


def row_of(
    offsets: Callable[[Tensor], Tensor],
    masks: Callable[[Tensor], Tensor] = torch.sigmoid,
    size: float = 5.0,
) -> LayerRun:
    torch.manual_seed(0)
    model = Own(offsets, masks, size).eval()
    state = model.state_dict()
    layers = find_layers({key: tuple(t.shape) for key, t in state.items()})
    assert {"order", "mask_activation"} <= layers[0].assumed
    (row,) = inspect_network(
        run_on_image(model, PHOTO), PHOTO, "net.pth", layers=layers,
        read_tensors=lambda keys: {key: state[key] for key in keys},
    ).layers  # fmt: skip
    return row


@pytest.mark.parametrize(("offsets", "order"), [(as_is, "interleaved"), (blocked, "blocked")])
@pytest.mark.parametrize(("masks", "activation"), [(torch.sigmoid, "sigmoid"), (twice, "2sigmoid")])
def test_the_reading_follows_the_run(
    offsets: Callable[[Tensor], Tensor],
    masks: Callable[[Tensor], Tensor],
    order: str,
    activation: str,
) -> None:
    row = row_of(offsets, masks)
    assert row.layer is not None
    assert (row.layer.order, row.layer.mask_activation) == (order, activation)
    assert not row.layer.assumed & {"order", "mask_activation"}
    assert row.reread is not None
    assert row.reread.matches
    assert row.reread.difference < 1e-4
    assert ("reads as interleaved, but what ran is blocked" in row.note) == (order == "blocked")
    assert ("masks are 2sigmoid, not sigmoid" in row.note) == (activation == "2sigmoid")
    assert [check["passed"] for check in told_of_run(row)["checks"]] == [True, True]


def test_offsets_of_zero_tell_no_order() -> None:
    row = row_of(as_is, size=0.0)
    assert row.layer is not None
    assert "order" in row.layer.assumed
    assert "mask_activation" not in row.layer.assumed


def test_a_model_that_does_more_with_them_is_told() -> None:
    row = row_of(limited)
    assert row.layer is not None
    assert "order" in row.layer.assumed
    assert row.reread is not None
    assert not row.reread.matches
    assert "the model does more with them" in row.note
    assert row.verified is not None
    assert row.verified.ok  # the record is right for all that
