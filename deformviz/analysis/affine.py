"""What a kernel's offsets do as a whole: move, scale, turn, stretch, shear; and what is left over.

The affine map that fits the taps' way from p_n to p_n + offset_n best, in the least-squares sense,
for each position. Zhang et al. (2021) read offsets this way, as a displacement of the whole kernel
and a change of its shape; the definitions here are this project's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..sampling import Sampling
from .strips import Strip, measuring, over_strips


@dataclass(frozen=True, eq=False)
class Affine:
    """The affine fit of each offset group and output position, (y, x) order, float64.

    Attributes:
        translation: [G, 2, h, w] where the kernel's centre goes, in pixels of the input map. With
            equal weights it is the mean offset.
        matrix: [G, 2, 2, h, w] what is done to the taps around the centre: row y of it makes their
            new y, row x their new x. NaN where the taps lie on one line (1 x N kernels), as that
            says nothing about the other direction.
        scale: [G, h, w] times larger, of the turn and scaling that fits best; it needs two taps.
            The published s = sum <p, q> / sum |p|^2 is scale * cos(rotation).
        rotation: [G, h, w] degrees, clockwise as seen on the screen, of the same turn.
        residual: [G, h, w] what the affine map leaves over: root mean square distance, in pixels.
            The residual energy is its square times the sum of the weights.
    """

    translation: Tensor
    matrix: Tensor
    scale: Tensor
    rotation: Tensor
    residual: Tensor

    @property
    def area(self) -> Tensor:
        """How many times larger the area is, negative where the kernel is mirrored: [G, h, w]."""
        m = self.matrix
        return m[:, 0, 0] * m[:, 1, 1] - m[:, 0, 1] * m[:, 1, 0]

    @property
    def anisotropy(self) -> Tensor:
        """The longest stretch over the shortest, 1 for none: [G, h, w]."""
        m = self.matrix
        turned = torch.hypot(m[:, 0, 0] + m[:, 1, 1], m[:, 1, 0] - m[:, 0, 1])
        mirrored = torch.hypot(m[:, 0, 0] - m[:, 1, 1], m[:, 1, 0] + m[:, 0, 1])
        return (turned + mirrored) / (turned - mirrored).abs()  # twice the singular values

    @property
    def shear(self) -> Tensor:
        """How far rows and columns lean on each other, 0 for a right angle: [G, h, w].

        The cotangent of the angle between them: rows that slide by s pixels for each pixel down
        (x += s * y) give s, as do columns (y += s * x), whatever else scales or turns them.
        """
        along_y, along_x = self.matrix[:, :, 0], self.matrix[:, :, 1]  # [G, 2, h, w]
        return (along_y * along_x).sum(1) / self.area


@measuring()
def affine_fit(sampling: Sampling, weights: Tensor | None = None) -> Affine:
    """Fit offset_n = translation + matrix @ p_n - p_n to the taps of each position.

    p_n are the undeformed taps around their centre. Takes 0.2 s of one core, weighted
    1 s, and less than 100 MB beside the record for 7 x 7 taps at 512 x 512 positions.

    Args:
        sampling: any; taps need not form a grid.
        weights: how much each tap counts, not negative and broadcasting to [G, K, h, w], such as
            `sampling.mask`; None for all alike. A tap of weight 0 is not there.

    Returns:
        See `Affine`. Where a tap that counts is not finite, or none counts, all of it is NaN.

    Raises:
        ValueError: weights of another shape, or negative ones.

    Example:
        >>> from deformviz import Kernel
        >>> from deformviz.fields import offset_field
        >>> kernel, image = Kernel.of(3, padding=1), torch.rand(3, 8, 8, dtype=torch.float64)
        >>> offset = offset_field("rotate", kernel, image, 30.0)[None]
        >>> fit = affine_fit(Sampling("turned", (8, 8), (8, 8), kernel, offset))
        >>> round(fit.rotation[0, 4, 4].item(), 6), round(fit.scale[0, 4, 4].item(), 6)
        (30.0, 1.0)
    """
    shape = (sampling.groups, sampling.taps, *sampling.output_size)
    if weights is not None:
        weights = _checked(weights, shape)
    return Affine(*over_strips(sampling, partial(affine_of, weights=weights))[0])


def affine_of(strip: Strip, weights: Tensor | None = None) -> tuple[Tensor, ...]:
    """The fields of `Affine` for a strip, weighted by [G, K, h, w]."""
    if weights is None and strip.sampling.reference is None:
        return _fit_grid(strip.base, strip.offset)
    counts = strip.offset.new_ones(1, strip.sampling.taps, 1, 1)
    if weights is not None:
        counts = weights[..., strip.rows, :].to(counts)  # [G, K, r, w]
    return _fit(strip.base, strip.base + strip.offset, counts)


def _checked(weights: Tensor, shape: tuple[int, ...]) -> Tensor:
    try:
        expanded = weights.expand(shape)
    except RuntimeError as error:
        raise ValueError(
            f"weights must broadcast to [G, K, h, w] = {list(shape)}, got {list(weights.shape)}"
        ) from error
    if bool((weights < 0).any()):
        raise ValueError("weights must not be negative: give the magnitude of a signed mask")
    return expanded


def _fit_grid(grid: Tensor, moves: Tensor) -> tuple[Tensor, ...]:
    """`_fit` of a grid [1, K, 2, 1, 1] that is the same everywhere, all of whose taps count alike.

    Its sums over the taps are products of matrices, and so is what it explains of the moves
    [G, K, 2, r, w]: in less than half of the time.
    """
    groups, taps, _, *size = moves.shape
    p = grid.reshape(taps, 2)
    one_and_p = torch.cat((p.new_ones(taps, 1), p), dim=1)  # [K, 3]
    flat = moves.reshape(groups, taps, -1)
    means = (one_and_p.T / taps @ flat).reshape(groups, 3, 2, *size)  # of moves, moves y, moves x
    translation, change = means[:, 0], means[:, 1:].transpose(1, 2)
    spread = (p.T @ p / taps)[None, :, :, None, None]
    inverse, plane = _inverse(spread)
    # What is done to the taps beside leaving them where they are.
    change_of_p = _times(change, inverse)  # [G, 2, 2, r, w]
    explained = torch.cat((translation[:, None], change_of_p.transpose(1, 2)), dim=1)
    left = torch.baddbmm(
        flat, one_and_p.expand(groups, -1, -1), explained.reshape(groups, 3, -1), alpha=-1
    )
    residual = left.square_().reshape(moves.shape).sum(dim=(1, 2)).div(taps).sqrt()
    eye = torch.eye(2, dtype=p.dtype, device=p.device)[:, :, None, None]
    similarity = _similarity(spread, spread + change)
    return _known(translation, eye + change_of_p, plane, similarity, residual)


def _fit(before: Tensor, after: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    """The fields of `Affine`, of points [G, K, 2, r, w] and weights [G, K, r, w].

    `before` and the weights only have to broadcast: a regular grid's moments are those of one
    position, which saves two thirds of the time.
    """
    # Zero times infinity is NaN, and a tap that does not count must not spoil the others.
    after = torch.where(weight[:, :, None] == 0, 0, after)
    weight = weight / weight.sum(1, keepdim=True)
    w = weight[:, :, None]
    from_, to = _centre(w, before), _centre(w, after)  # [G, 2, r, w]
    p, q = before - from_[:, None], after - to[:, None]
    spread, moved = _moments(w * p, p), _moments(w * q, p)  # [G, 2, 2, r, w]
    inverse, plane = _inverse(spread)
    matrix = _times(moved, inverse)
    left = q - torch.einsum("gab...,gkb...->gka...", matrix, p)
    residual = _centre(weight, left.square().sum(2)).sqrt()
    centre = torch.einsum("gab...,gb...->ga...", matrix, from_)
    translation = to - torch.where(plane[:, None], centre, from_)
    return _known(translation, matrix, plane, _similarity(spread, moved), residual)


def _known(
    translation: Tensor,
    matrix: Tensor,
    plane: Tensor,
    similarity: tuple[Tensor, Tensor],
    residual: Tensor,
) -> tuple[Tensor, ...]:
    """The fields of `Affine`, NaN where the taps do not say them; `plane` is that of `_inverse`."""
    matrix = torch.where(plane[:, None, None], matrix, torch.nan)
    fields = (translation, matrix, *similarity, residual)
    # A single tap that is nowhere leaves one row of the matrix finite, which would mean nothing.
    whole = residual.isfinite()  # [G, r, w]
    return tuple(torch.where(_among(whole, field), field, torch.nan) for field in fields)


def _among(whole: Tensor, field: Tensor) -> Tensor:
    """[G, r, w], with as many axes between as `field` has."""
    return whole.reshape(whole.shape[0], *[1] * (field.dim() - 3), *whole.shape[1:])


def _centre(weight: Tensor, values: Tensor) -> Tensor:
    """The weighted mean over taps, which are axis 1."""
    return (weight * values).sum(1)


def _moments(a: Tensor, b: Tensor) -> Tensor:
    """sum_k a_k b_k^T of [G, K, 2, r, w]: [G, 2, 2, r, w]."""
    return torch.einsum("gka...,gkb...->gab...", a, b)


def _times(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product of [G, 2, 2, r, w], or of what broadcasts to it."""
    return torch.einsum("gab...,gbc...->gac...", a, b)


def _inverse(spread: Tensor) -> tuple[Tensor, Tensor]:
    """The pseudo-inverse of symmetric [G, 2, 2, r, w], and where they span the plane [G, r, w]."""
    yy, yx, xx = spread[:, 0, 0], spread[:, 0, 1], spread[:, 1, 1]
    trace, determinant = yy + xx, yy * xx - yx * yx
    # On a line the determinant is zero but for rounding, which is of the trace's square.
    plane = 4 * determinant > torch.finfo(spread.dtype).eps ** 0.5 * trace * trace
    adjugate = torch.stack((torch.stack((xx, -yx), 1), torch.stack((-yx, yy), 1)), 1)
    of_line = spread / (trace * trace)[:, None, None]  # of rank one: u u^T / lambda
    of_line = torch.where(trace[:, None, None] == 0, 0, of_line)  # a single tap
    inverse = torch.where(plane[:, None, None], adjugate / determinant[:, None, None], of_line)
    return inverse, plane


def _similarity(spread: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and rotation in degrees of the similarity that fits best: sums of <p, q> and p x q."""
    energy = spread[:, 0, 0] + spread[:, 1, 1]
    along = (moved[:, 0, 0] + moved[:, 1, 1]) / energy
    across = (moved[:, 0, 1] - moved[:, 1, 0]) / energy  # q_y p_x - q_x p_y: from +x towards +y
    return torch.hypot(along, across), torch.rad2deg(torch.atan2(across, along))
