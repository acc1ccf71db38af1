"""The affine fit against numpy's least squares, and against transformations that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from made_samplings import layer, moved_by, normal, points_of, random_layer, turned, uniform
from torch import Tensor

from deformviz import Sampling
from deformviz.analysis import Affine, affine_fit


def around_the_centre(s: Sampling, group: int, y: int, x: int) -> tuple[np.ndarray, np.ndarray]:
    """Both [K, 2]: the taps before and after, from the centre of those before."""
    taps = np.array(points_of(s, group, y, x))  # [K, 2, 2]
    centre = taps[:, 0].mean(axis=0)
    return taps[:, 0] - centre, taps[:, 1] - centre


def by_lstsq(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    """after = before @ A^T + t and the similarity a, b, both solved by numpy."""
    root = np.sqrt(weight / weight.sum())
    rows = np.column_stack([before, np.ones(len(before))]) * root[:, None]
    solution = np.linalg.lstsq(rows, after * root[:, None], rcond=None)[0]  # [3, 2]
    left = rows @ solution - after * root[:, None]
    # q_y = a p_y + b p_x + t_y and q_x = a p_x - b p_y + t_x, for taps turned from +x to +y
    zero, one = np.zeros(len(before)), np.ones(len(before))
    of_y = np.column_stack([before[:, 0], before[:, 1], one, zero]) * root[:, None]
    of_x = np.column_stack([before[:, 1], -before[:, 0], zero, one]) * root[:, None]
    target = np.concatenate([after[:, 0] * root, after[:, 1] * root])
    a, b, *_ = np.linalg.lstsq(np.concatenate([of_y, of_x]), target, rcond=None)[0]
    return {
        "translation": solution[2],
        "matrix": solution[:2].T,
        "residual": np.sqrt((left**2).sum()),
        "scale": np.hypot(a, b),
        "rotation": np.degrees(np.arctan2(b, a)),
    }


def at(fit: Affine, group: int, y: int, x: int) -> dict[str, np.ndarray]:
    return {name: value[group, ..., y, x].numpy() for name, value in vars(fit).items()}


@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("reference", [False, True], ids=["grid", "reference"])
@pytest.mark.parametrize("size", [(3, 3), (2, 4), (5, 3)], ids=str)
def test_it_is_the_least_squares_solution(
    size: tuple[int, int], reference: bool, weighted: bool
) -> None:
    s = random_layer(size, reference=reference)
    weights = uniform(*s.offset[:, :, 0].shape, seed=3) if weighted else None
    fit = affine_fit(s, weights)
    for group in range(2):
        for y in range(s.output_size[0]):
            for x in range(s.output_size[1]):
                weight = np.ones(s.taps) if weights is None else weights[group, :, y, x].numpy()
                expected = by_lstsq(*around_the_centre(s, group, y, x), weight)
                for name, value in at(fit, group, y, x).items():
                    np.testing.assert_allclose(
                        value, expected[name], rtol=1e-8, atol=1e-8, err_msg=name
                    )


def test_the_published_sums() -> None:
    """s = sum <p, q> / sum |p|^2, the turn from sum p x offset, and the mean offset."""
    s = random_layer((3, 5))
    fit = affine_fit(s)
    before, after = around_the_centre(s, 1, 2, 3)
    energy = (before**2).sum()
    angle = math.radians(fit.rotation[1, 2, 3].item())
    along = (before * after).sum() / energy
    offset = after - before
    across = (before[:, 1] * offset[:, 0] - before[:, 0] * offset[:, 1]).sum() / energy
    assert fit.scale[1, 2, 3].item() * math.cos(angle) == pytest.approx(along)
    assert fit.scale[1, 2, 3].item() * math.sin(angle) == pytest.approx(across)
    np.testing.assert_allclose(fit.translation[1, :, 2, 3], offset.mean(axis=0), atol=1e-12)


def everywhere(values: Tensor, expected: float, atol: float = 1e-9) -> None:
    torch.testing.assert_close(values, torch.full_like(values, expected), rtol=1e-9, atol=atol)


@given(degrees=st.floats(-179, 179), times=st.floats(0.01, 20), size=st.sampled_from([3, 5]))
def test_a_turn_and_a_scale_are_recovered(degrees: float, times: float, size: int) -> None:
    fit = affine_fit(moved_by(turned(degrees, times), size))
    everywhere(fit.rotation, degrees)
    everywhere(fit.scale, times)
    everywhere(fit.area, times**2)
    everywhere(fit.anisotropy, 1)
    everywhere(fit.shear, 0)
    everywhere(fit.translation, 0)
    everywhere(fit.residual, 0)


@given(dy=st.floats(-30, 30), dx=st.floats(-30, 30))
def test_a_move_is_recovered(dy: float, dx: float) -> None:
    fit = affine_fit(moved_by(lambda y, x: (y + dy, x + dx)))
    everywhere(fit.translation[:, 0], dy)
    everywhere(fit.translation[:, 1], dx)
    for values, expected in ((fit.scale, 1), (fit.rotation, 0), (fit.shear, 0), (fit.residual, 0)):
        everywhere(values, expected)


@given(
    slope=st.floats(-4, 4),
    degrees=st.floats(-179, 179),
    times=st.floats(0.1, 5),
    flip=st.booleans(),
)
def test_a_shear_is_recovered_whatever_turns_and_scales_it(
    slope: float, degrees: float, times: float, flip: bool
) -> None:
    turn = turned(degrees, times)

    def change(y: float, x: float) -> tuple[float, float]:
        return turn(y + slope * x, x) if flip else turn(y, x + slope * y)

    fit = affine_fit(moved_by(change))
    everywhere(fit.shear, slope, atol=1e-7)
    everywhere(fit.area, times**2, atol=1e-7)
    everywhere(fit.residual, 0)


@given(along_y=st.floats(0.1, 9), along_x=st.floats(0.1, 9))
def test_a_stretch_is_recovered(along_y: float, along_x: float) -> None:
    assume(abs(along_y - along_x) > 0.01)
    fit = affine_fit(moved_by(lambda y, x: (along_y * y, along_x * x)))
    everywhere(fit.anisotropy, max(along_y, along_x) / min(along_y, along_x))
    everywhere(fit.area, along_y * along_x)
    everywhere(fit.scale, (along_y + along_x) / 2)
    everywhere(fit.shear, 0)


def test_a_mirrored_kernel_has_a_negative_area() -> None:
    fit = affine_fit(moved_by(lambda y, x: (y, -2 * x)))
    everywhere(fit.area, -2)
    everywhere(fit.anisotropy, 2)


def test_stretch_and_area_are_those_of_the_matrix() -> None:
    fit = affine_fit(random_layer((3, 3)))
    for y in range(fit.scale.shape[1]):
        matrix = fit.matrix[0, :, :, y, 1].numpy()
        stretches = np.linalg.svd(matrix, compute_uv=False)
        ratio = fit.anisotropy[0, y, 1].item()
        assert ratio == pytest.approx(stretches[0] / stretches[1], rel=1e-9)
        assert fit.area[0, y, 1].item() == pytest.approx(np.linalg.det(matrix), rel=1e-9)


def test_the_residual_is_what_is_left_of_a_tap_that_strays() -> None:
    """The middle tap alone moves by 9: an eighth of it goes to the translation's place."""
    offset = torch.zeros(1, 9, 2, 2, 2, dtype=torch.float64)
    offset[0, 4, 0] = 9
    fit = affine_fit(layer(offset))
    everywhere(fit.translation[:, 0], 1)  # 9 / 9
    everywhere(fit.residual, math.sqrt((8 * 1 + 8 * 8) / 9))


@pytest.mark.parametrize("size", [(1, 5), (5, 1)], ids=str)
def test_taps_on_a_line_have_no_matrix_but_a_turn(size: tuple[int, int]) -> None:
    s = random_layer(size)
    fit = affine_fit(s)
    assert fit.matrix.isnan().all()
    assert fit.anisotropy.isnan().all()
    assert fit.shear.isnan().all()
    before, after = around_the_centre(s, 1, 2, 3)
    expected = by_lstsq(before, after, np.ones(5))  # lstsq takes the smallest of all solutions
    found = at(fit, 1, 2, 3)
    for name in ("translation", "residual", "scale", "rotation"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)


def test_a_single_tap_only_moves() -> None:
    offset = normal(2, 1, 2, 3, 3)
    fit = affine_fit(layer(offset, 1))
    torch.testing.assert_close(fit.translation, offset[:, 0])
    assert fit.scale.isnan().all()
    assert fit.rotation.isnan().all()
    everywhere(fit.residual, 0)


def test_a_tap_without_weight_is_not_there() -> None:
    s = moved_by(turned(30, 2.0))
    offset, weights = s.offset.clone(), torch.ones(1, 9, 1, 1, dtype=torch.float64)
    offset[0, 3], weights[0, 3] = math.nan, 0
    fit = affine_fit(replace(s, offset=offset), weights)
    everywhere(fit.rotation, 30)
    everywhere(fit.residual, 0)
    assert affine_fit(replace(s, offset=offset)).scale.isnan().all()


def test_where_no_tap_counts_there_is_nothing() -> None:
    weights = torch.ones(1, 9, 4, 4)
    weights[..., 1, 2] = 0
    fit = affine_fit(moved_by(turned(30)), weights)
    for name, values in vars(fit).items():
        assert values[..., 1, 2].isnan().all(), name
        assert values.isfinite().sum() == values.numel() * 15 // 16, name


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_tap_that_is_nowhere_spoils_its_own_position_alone(bad: float) -> None:
    offset = normal(1, 9, 2, 4, 4)
    offset[0, 5, 1, 2, 3] = bad
    for name, values in vars(affine_fit(layer(offset))).items():
        assert values[..., 2, 3].isnan().all(), name
        assert values.isfinite().sum() == values.numel() * 15 // 16, name


def test_weights_that_do_not_fit_are_refused() -> None:
    s = moved_by(turned(30))
    with pytest.raises(ValueError, match=r"broadcast to \[G, K, h, w\] = \[1, 9, 4, 4\], got \[8"):
        affine_fit(s, torch.ones(8, 1, 1))
    with pytest.raises(ValueError, match="must not be negative"):
        affine_fit(s, torch.tensor(-1.0))
