"""Made-up guide maps for DRConv: scores that sort the positions of an image into regions."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .fields import Scene
from .geometry import Kernel
from .operators.bilinear import sample


def _random(scene: Scene, regions: int) -> Tensor:
    """Smooth noise: regions are blotches of an eighth of the image."""
    noise = scene.random(1, regions, 8, 8)
    return F.interpolate(noise, scene.output_size, mode="bicubic")[0]


def _by_colour(scene: Scene, regions: int) -> Tensor:
    """K-means over the pixels' colours; a score is minus the squared distance to a mean."""
    colours = _at_centres(scene, scene.image)  # [C, h, w]
    pixels = colours.flatten(1).T  # [h * w, C]
    order = pixels.sum(dim=1).argsort()
    steps = ((torch.arange(regions) + 0.5) / regions * len(order)).long()
    means = pixels[order[steps.to(order.device)]]  # [m, C], from dark to light
    for _ in range(10):
        nearest = _distances(pixels, means).argmin(dim=1)
        members = F.one_hot(nearest, regions).to(pixels)  # [h * w, m]
        counts = members.sum(dim=0)[:, None]
        means = torch.where(counts > 0, members.T @ pixels / counts.clamp(min=1), means)
    scores = -(_distances(pixels, means) ** 2)
    return scores.T.reshape(regions, *scene.output_size)


def _distances(pixels: Tensor, means: Tensor) -> Tensor:
    """Between colours [n, C] and [m, C]: [n, m]; the faster way by matmul loses small ones."""
    return torch.cdist(pixels, means, compute_mode="donot_use_mm_for_euclid_dist")


def _by_edges(scene: Scene, regions: int) -> Tensor:
    """From flat ground to the strongest edges, level by level of its quantiles."""
    strength = _at_centres(scene, scene.edges[None])[0]  # [h, w]
    ranked = strength.flatten().sort().values
    steps = ((torch.arange(regions) + 0.5) / regions * ranked.numel()).long()
    levels = ranked[steps.to(ranked.device)]
    return -((strength - levels[:, None, None]) ** 2)


def _at_centres(scene: Scene, values: Tensor) -> Tensor:
    """A map [C, H, W] of the input, read where each output position is centred: [C, h, w]."""
    limit = scene.image.new_tensor(scene.input_size)[:, None, None] - 1
    centres = scene.centres.clamp(torch.zeros_like(limit), limit)  # padding has no colour
    points = centres.permute(1, 2, 0)[None, :, :, None, None]  # [1, h, w, 1, 1, 2]
    return sample(values[None], points)[0, :, :, 0, 0].permute(2, 0, 1)


GUIDES: dict[str, Callable[[Scene, int], Tensor]] = {
    "by colour": _by_colour,
    "by edges": _by_edges,
    "random": _random,
}


def guide_map(name: str, kernel: Kernel, image: Tensor, regions: int, seed: int = 0) -> Tensor:
    """Make up the scores that DRConv's regions are chosen by.

    Args:
        name: one of `GUIDES`.
        kernel: the regular grid.
        image: [C, H, W].
        regions: m.
        seed: for "random".

    Returns:
        [m, h, w]; the region of a position is the argmax.

    Raises:
        ValueError: an unknown name, no regions, or a kernel that leaves no output.

    Example:
        >>> image = torch.cat((torch.zeros(3, 4, 4), torch.ones(3, 4, 4)), dim=2)
        >>> guide_map("by colour", Kernel.of(1), image, 2).argmax(dim=0)[0]
        tensor([0, 0, 0, 0, 1, 1, 1, 1])
    """
    if name not in GUIDES:
        raise ValueError(f"unknown guide {name!r}: expected one of {', '.join(GUIDES)}")
    if regions < 1:
        raise ValueError(f"regions must be at least 1, got {regions}")
    return GUIDES[name](Scene(kernel, image, seed), regions)
