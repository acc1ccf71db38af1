"""CoordConv's own task: a place in numbers to a pixel, or a picture to a place in numbers.

Not-so-Clevr of Liu et al. (arXiv 1807.03247): a white square of 9 x 9 on a black canvas of 64 x 64,
at any of 56 x 56 places, of which training shows some: four fifths at random, or three quadrants.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..operators import CoordConv2d
from .task import Batch, Knob, Knobs, Task, picture_input
from .twins import twin_of

SIDE, SQUARE = 64, 9
_FIRST, _LAST = SQUARE // 2, SIDE - SQUARE // 2 - 1  # of the square's centre

TO_PIXEL, TO_NUMBERS = "place to pixel", "picture to place"


def places(split: str) -> tuple[Tensor, Tensor]:
    """The square's centres that training shows, and those it never shows: [n, 2], (y, x).

    Args:
        split: "uniform" keeps back a fifth of all at random, "quadrant" the lower right quarter.

    Example:
        >>> shown, hidden = places("quadrant")
        >>> len(shown), len(hidden), hidden.min().item()
        (2352, 784, 32)
    """
    side = torch.arange(_FIRST, _LAST + 1)
    every = torch.cartesian_prod(side, side)
    if split == "quadrant":
        hidden = (every >= SIDE // 2).all(1)
    else:
        order = torch.randperm(len(every), generator=torch.Generator().manual_seed(64))
        hidden = torch.zeros(len(every), dtype=torch.bool)
        hidden[order[: len(every) // 5]] = True
    return every[~hidden], every[hidden]


def squares(centre: Tensor) -> Tensor:
    """White squares on black: centres [B, 2] to [B, 3, 64, 64]."""
    axis = torch.arange(SIDE)
    near = (centre[:, :, None] - axis).abs() <= SQUARE // 2  # [B, 2, 64]
    white = (near[:, 0, :, None] & near[:, 1, None, :]).float()
    return white[:, None].expand(-1, 3, -1, -1)


def scaled(centre: Tensor) -> Tensor:
    """Pixels to [-1, 1] from the first row or column to the last."""
    return 2 * centre.float() / (SIDE - 1) - 1


def _batch(knobs: Knobs, centre: Tensor) -> Batch:
    if knobs["asked"] == TO_PIXEL:
        return Batch(scaled(centre), centre[:, 0] * SIDE + centre[:, 1])
    return Batch(squares(centre), scaled(centre))


def draw(knobs: Knobs, generator: torch.Generator, count: int) -> Batch:
    """Places that training may show."""
    shown, _ = places(str(knobs["split"]))
    return _batch(knobs, shown[torch.randint(len(shown), (count,), generator=generator)])


def held_out(knobs: Knobs, count: int) -> dict[str, Batch]:
    """Of both kinds of places, spread evenly over their list."""
    kinds = zip(("shown", "unseen places"), places(str(knobs["split"])), strict=True)
    return {
        name: _batch(knobs, centre[torch.linspace(0, len(centre) - 1, count).long()])
        for name, centre in kinds
    }


class Tiled(nn.Module):
    """A place (y, x) laid on every pixel, then pixel-wise layers that know where they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = CoordConv2d(2, width, 1)
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1),
            nn.ReLU(), nn.Conv2d(width, 1, 1),
        )  # fmt: skip

    def forward(self, place: Tensor) -> Tensor:
        """[B, 2] to the scores of all pixels, [B, 64 * 64]."""
        tiled = place[:, :, None, None].expand(-1, -1, SIDE, SIDE)
        scores: Tensor = self.rest(self.first(tiled))
        return scores.flatten(1)


class Grown(nn.Module):
    """The same without coordinates: transposed convolutions from one pixel, as in the paper."""

    def __init__(self, width: int) -> None:
        super().__init__()
        steps: list[nn.Module] = [nn.ConvTranspose2d(2, 2 * width, 2, 2), nn.ReLU()]
        for i in range(5):
            wide = 2 * width if i == 0 else width
            steps += [nn.ConvTranspose2d(wide, width if i < 4 else 1, 2, 2), nn.ReLU()]
        self.steps = nn.Sequential(*steps[:-1])

    def forward(self, place: Tensor) -> Tensor:
        """[B, 2] to the scores of all pixels, [B, 64 * 64]."""
        scores: Tensor = self.steps(place[:, :, None, None])
        return scores.flatten(1)


class Found(nn.Module):
    """A picture to its square's place: a layer that knows where it is, and the largest of all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = CoordConv2d(3, width, 1)
        self.head = nn.Linear(width, 2)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, 64, 64] to (y, x) in [-1, 1], [B, 2]."""
        return self.place(self.first(image))

    def place(self, features: Tensor) -> Tensor:
        """What the layer gives, [B, width, 64, 64], to (y, x) in [-1, 1], [B, 2]."""
        found: Tensor = self.head(features.relu().amax(dim=(2, 3)))
        return found


class Strided(nn.Module):
    """The same without coordinates: strided convolutions, and a last one that sees all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for i in range(4):
            steps += [nn.Conv2d(3 if i == 0 else width, width, 3, 2, 1), nn.ReLU()]
        self.steps = nn.Sequential(*steps, nn.Conv2d(width, 2, SIDE // 16))

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, 64, 64] to (y, x) in [-1, 1], [B, 2]."""
        found: Tensor = self.steps(image)
        return found.flatten(1)


def build(knobs: Knobs) -> dict[str, nn.Module]:
    """The network with coordinates and its twin without."""
    if knobs["asked"] == TO_PIXEL:
        told: nn.Module = Tiled(32)
        return {"CoordConv": told, "plain": twin_of(told, Grown)}
    told = Found(168)
    return {"CoordConv": told, "plain": twin_of(told, Strided)}


def loss(output: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy over the pixels, or the squared distance."""
    if output.shape[1] == 2:
        return F.mse_loss(output, batch.target)
    return F.cross_entropy(output, batch.target)


def accuracy(output: Tensor, batch: Batch) -> float:
    """The share of places that are right to the pixel."""
    if output.shape[1] == 2:
        off = (output - batch.target).abs() * (SIDE - 1) / 2
        return float((off < 0.5).all(1).float().mean())
    return float((output.argmax(1) == batch.target).float().mean())


def groups(net: nn.Module, knobs: Knobs, rate: float) -> list[dict[str, object]]:
    """One."""
    return [{"params": list(net.parameters()), "lr": rate}]


def probe(knobs: Knobs) -> np.ndarray:
    """A square in the quadrant that the quadrant split keeps back: uint8."""
    image = squares(torch.tensor([[44, 46]]))[0] * 255
    return image.permute(1, 2, 0).to(torch.uint8).numpy()


def watched(picture: np.ndarray, knobs: Knobs) -> Tensor:
    """The picture, or the place of what is white in it, as the network takes it."""
    x = picture_input(picture)
    if knobs["asked"] != TO_PIXEL:
        return x
    white = (x[0].mean(0) > 0.5).nonzero().float()
    centre = white.mean(0) if len(white) else torch.full((2,), (SIDE - 1) / 2)
    return scaled(centre)[None]


COORDINATES = Task(
    title="Coordinates",
    lesson="A plain network fails where no square was shown; one that is told coordinates does not",
    measure="places right to the pixel",
    knobs={
        "asked": Knob("asked for", (TO_PIXEL, TO_NUMBERS), TO_PIXEL),
        "split": Knob("training shows", ("quadrant", "uniform"), "quadrant"),
        "steps": Knob("steps", (100, 300, 600, 1200), 300),
    },
    draw=draw,
    held_out=held_out,
    build=build,
    groups=groups,
    loss=loss,
    accuracy=accuracy,
    probe=probe,
    watched=watched,
    rate=1e-2,
    batch=12,
)
