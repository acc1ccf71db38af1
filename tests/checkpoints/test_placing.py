"""Where a map lies on the image: against what its pixels in fact depend on."""

from __future__ import annotations

from collections import UserDict
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

import deformviz
from deformviz import ImageMap, Kernel, Sampling
from deformviz.checkpoints.live.placing import image_map_of, image_size_of, on_photo
from deformviz.checkpoints.live.records import Records

Pair = tuple[int, int]


class Strided(nn.Module):
    """Layers, and behind them a deformable one of one tap without offsets: it reads their map."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.last = DeformConv2d(1, 1, 1, bias=False)
        for parameter in self.parameters():
            parameter.data.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return self.last(x, x.new_zeros(x.shape[0], 2, *x.shape[2:]))


def conv(size: int, stride: int, padding: int = 0) -> nn.Module:
    return nn.Conv2d(1, 1, size, stride, padding, bias=False)


def seen_by(model: nn.Module, image_size: Pair, y: int, x: int) -> Tensor:
    """The centre of all image pixels that a map pixel answers to, one bright pixel at a time."""
    count = image_size[0] * image_size[1]
    deltas = torch.eye(count).reshape(count, 1, *image_size)
    with torch.no_grad():
        answers = model(deltas)[:, 0, y, x]
    places = torch.cartesian_prod(torch.arange(image_size[0]), torch.arange(image_size[1]))
    return (answers[:, None] * places).sum(0) / answers.sum()


def place_of(model: nn.Module, image_size: Pair) -> Sampling:
    with torch.no_grad(), deformviz.capture(model) as samplings:
        model(torch.rand(2, 1, *image_size))
    return samplings[0]


TILING = [
    [conv(2, 2)],
    [conv(2, 2), conv(3, 1, 1), conv(2, 2)],
    [conv(4, 2, 1), conv(4, 2, 1)],
    [nn.AvgPool2d(4), conv(2, 2)],
    [conv(4, 4), nn.PixelShuffle(1), conv(3, 1, 1)],
    [conv(3, 3)],
]


@pytest.mark.parametrize("layers", TILING, ids=repr)
def test_the_place_of_a_map_pixel_is_the_centre_of_what_it_answers_to(
    layers: list[nn.Module],
) -> None:
    size = (24, 48)
    model = Strided(*layers)
    s = place_of(model, size)
    h, w = s.output_size
    for y, x in [(h // 2, w // 2), (h // 2, w // 3), (h - 2, 1)]:
        expected = seen_by(model, size, y, x)
        got = s.image_map.to_image(s.points_at(y, x)[0, 0])
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_the_pixels_of_an_enlarged_map_lie_within_those_of_the_image() -> None:
    """Two a side in each, a quarter of a pixel from its centre."""
    model = Strided(nn.Upsample(scale_factor=2))
    s = place_of(model, (6, 8))
    for y, x in [(0, 0), (5, 6), (11, 15)]:
        off = s.image_map.to_image(s.points_at(y, x)[0, 0]) - seen_by(model, (6, 8), y, x)
        assert off.tolist() == [0.25 if y % 2 else -0.25, 0.25 if x % 2 else -0.25]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_the_convention_does_not_know(depth: int) -> None:
    """Size 3, stride 2, padding 1: half a pixel each time, (stride - 1) / 2 in all."""
    size = (32, 40)
    model = Strided(*(conv(3, 2, 1) for _ in range(depth)))
    s = place_of(model, size)
    y, x = (side // 2 for side in s.output_size)
    off = s.image_map.to_image(s.points_at(y, x)[0, 0]) - seen_by(model, size, y, x)
    assert s.image_map.stride == (2**depth, 2**depth)
    torch.testing.assert_close(off, torch.full((2,), (2**depth - 1) / 2), rtol=0, atol=1e-3)


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("size", [(224, 224), (225, 224), (97, 161), (333, 500), (64, 96)])
def test_strides_of_sides_that_they_do_not_divide(stride: int, size: Pair) -> None:
    for layer in (conv(stride, stride), nn.MaxPool2d(stride, ceil_mode=True)):
        h, w = layer(torch.zeros(1, 1, *size)).shape[2:]
        found = image_map_of(size, (h, w))
        assert found == ImageMap.of_stride(stride), (layer, h, w)


def test_quotients_that_are_no_power_of_two() -> None:
    assert image_map_of((518, 518), (37, 37)).stride == (14, 14)
    assert image_map_of((336, 448), (24, 32)).stride == (14, 14)
    assert image_map_of((64, 64), (32, 64)).stride == (2, 1)
    assert image_map_of((64, 48), (256, 192)) == ImageMap.of_stride(0.25)
    assert image_map_of((300, 400), (40, 52)).stride == (7.5, 400 / 52)  # padded inside
    assert image_map_of((224, 160), (1, 1)) == ImageMap((111.5, 79.5), (224, 160))


def test_a_size_that_is_said_goes_before_the_inputs() -> None:
    model = Strided(conv(2, 2))
    with torch.no_grad(), deformviz.capture(model, image_size=(40, 64)) as samplings:
        model(torch.rand(1, 1, 20, 32))
    assert samplings[0].image_map == ImageMap.of_stride(4)


def test_a_model_that_is_run_part_by_part_keeps_the_size_of_the_first_part() -> None:
    model = Strided(conv(2, 2), conv(2, 2))
    with torch.no_grad(), deformviz.capture(model) as samplings:
        x = model.body[0](torch.rand(1, 1, 32, 48))
        x = model.body[1](x)
        model.last(x, torch.zeros(1, 2, 8, 12))
        model(torch.rand(1, 1, 16, 16))  # whole again, and another size
    assert [s.image_map.stride for s in samplings] == [(4, 4), (4, 4)]


def test_a_model_without_an_image() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = DeformConv2d(4, 1, 1)

        def forward(self, tokens: Tensor) -> Tensor:
            x = tokens.transpose(1, 2).reshape(1, 4, 6, 5)
            return self.last(x, torch.zeros(1, 2, 6, 5))

    with torch.no_grad(), deformviz.capture(model := Tokens()) as samplings:
        model(torch.rand(1, 30, 4))
    assert samplings[0].image_map == ImageMap.of_stride(1)  # of the layer's own input


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ((torch.rand(2, 3, 8, 9),), (8, 9)),
        ((torch.rand(2, 5, 3, 8, 9),), (8, 9)),
        ((torch.rand(3, 8, 9),), None),  # images or tokens?
        (([torch.rand(3, 8, 9), torch.rand(3, 6, 7)],), (6, 7)),
        ((torch.tensor([1]), {"x": (None, torch.rand(1, 1, 8, 9))}), (8, 9)),
        ((UserDict(pixel_values=torch.rand(1, 3, 8, 9)),), (8, 9)),
        ((SimpleNamespace(tensors=torch.rand(1, 3, 8, 9), mask=None),), (8, 9)),
        ((torch.rand(2, 16, 32), torch.rand(2, 3, 8, 9)), (8, 9)),  # tokens first
        ((torch.zeros(2, 3, 8, 9, dtype=torch.long),), None),
        (("text", 3, None), None),
    ],
)
def test_the_image_among_the_arguments(arguments: object, size: Pair | None) -> None:
    assert image_size_of(arguments, image=1) == size


def test_maps_on_a_photo_that_was_resized() -> None:
    """By the definition of a resize: a point of the image, in parts, is the same of the photo."""
    kernel = Kernel.of(1)
    s = Sampling.regular("map", kernel, (7, 5), image_map=ImageMap.of_stride((8, 4)))
    (moved,) = on_photo([s], photo=(100, 30), size=(56, 20))
    for point in torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.5, -0.5]]):
        on_image = s.image_map.to_image(point)
        parts = (on_image + 0.5) / torch.tensor([56, 20])
        expected = parts * torch.tensor([100, 30]) - 0.5
        torch.testing.assert_close(moved.image_map.to_image(point), expected)


def test_names_are_numbered_by_layer() -> None:
    records = Records()
    s = Sampling.regular("", Kernel.of(1), (8, 8))
    for name in ("a", "b", "a", "a"):
        records.add(s, name, None)
    assert [one.name for one in records.samplings] == ["a", "b", "a (2nd call)", "a (3rd call)"]
    assert records.samplings[0].image_map == ImageMap()
