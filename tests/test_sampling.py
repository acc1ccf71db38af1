"""The geometry of `Sampling` against F.unfold and hand-written numbers; saving and loading."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from deformviz import ImageMap, Kernel, Sampling
from deformviz.geometry import as_pair, once

Pair = tuple[int, int]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def full(
    groups: int = 2, kernel: Kernel | None = None, size: Pair = (7, 6), reference: bool = False
) -> Sampling:
    """A record that knows everything, filled with random numbers."""
    kernel = kernel or Kernel.of((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    h, w = kernel.output_size(size)
    k = kernel.taps
    return Sampling(
        name="backbone.layer3.0.conv2 · 变形",
        input_size=size,
        output_size=(h, w),
        kernel=kernel,
        offset=torch.randn(groups, k, 2, h, w),
        reference=torch.randn(groups, k, 2, h, w) if reference else None,
        mask=torch.rand(groups, k, h, w),
        region=torch.randint(0, 3, (h, w)),
        guide=torch.randn(3, h, w),
        input=torch.randn(4, *size),
        output=torch.randn(5, h, w),
        weight=torch.randn(3, 5, 4, *kernel.size),
        bias=torch.randn(5),
        image_map=ImageMap((1.5, -0.25), (4.0, 8.5)),
    )


# --- the regular grid ------------------------------------------------------------------------


def pairs(low: int, high: int) -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


def taps_read(index_image: Tensor, kernel: Kernel) -> Tensor:
    """What im2col finds at each tap of a one-channel image: [K, N]."""
    return F.unfold(
        index_image[None, None], kernel.size, kernel.dilation, kernel.padding, kernel.stride
    )[0]


@given(pairs(1, 9), pairs(1, 4), pairs(1, 3), pairs(0, 3), pairs(1, 3))
@settings(max_examples=150, deadline=None)
def test_the_regular_grid_is_what_im2col_reads(
    size: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    """Unfold an image of its row numbers and one of its column numbers, counted from 1."""
    kernel = Kernel.of(kernel_size, stride, padding, dilation)
    rows = torch.arange(1.0, size[0] + 1)[:, None].expand(size)
    columns = torch.arange(1.0, size[1] + 1).expand(size)
    try:
        found = torch.stack([taps_read(rows, kernel), taps_read(columns, kernel)], dim=1)
    except RuntimeError:  # torch finds no output either
        with pytest.raises(ValueError, match="leaves no output"):
            kernel.output_size(size)
        return
    h, w = kernel.output_size(size)
    grid = kernel.regular_grid((h, w))
    assert grid.shape == (kernel.taps, 2, h, w)
    inside = found[:, 0] > 0  # the padding is zero
    limit = torch.tensor(size)[:, None, None]
    assert torch.equal(inside, ((grid >= 0) & (grid < limit)).all(1).flatten(1))
    for axis in (0, 1):
        got = grid[:, axis].flatten(1)
        assert torch.equal(got[inside], found[:, axis][inside] - 1)
    # Outside the map, too, the grid goes on in even steps.
    y, x = (torch.arange(n) * s - p for n, s, p in zip((h, w), stride, padding, strict=True))
    assert torch.equal(grid[0, 0], y[:, None].expand(h, w).float())
    assert torch.equal(grid[0, 1], x.expand(h, w).float())


@given(pairs(1, 20), pairs(1, 11), pairs(1, 4), pairs(0, 5), pairs(1, 4))
@settings(max_examples=150, deadline=None)
def test_the_output_size_is_conv2ds(
    size: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    kernel = Kernel.of(kernel_size, stride, padding, dilation)
    try:
        expected = F.conv2d(
            torch.empty(1, 1, *size), torch.empty(1, 1, *kernel_size), None, stride, padding,
            dilation,
        ).shape[2:]  # fmt: skip
    except RuntimeError:
        with pytest.raises(ValueError, match="smaller kernel or dilation, more padding, or a"):
            kernel.output_size(size)
        return
    assert kernel.output_size(size) == tuple(expected)


def test_taps_are_row_major_and_dilated() -> None:
    taps = Kernel.of((2, 3), dilation=(3, 2)).tap_positions()
    assert taps.tolist() == [[0, 0], [0, 2], [0, 4], [3, 0], [3, 2], [3, 4]]


@pytest.mark.parametrize(
    ("kernel", "first"),
    [(Kernel.of(3), [-1, -1]), (Kernel.of(2), [-0.5, -0.5]), (Kernel.of((1, 5), 1, 0, 2), [0, -4])],
    ids=["3x3", "2x2", "1x5 dilated"],
)
def test_centred_taps_are_symmetric(kernel: Kernel, first: list[float]) -> None:
    taps = kernel.centred_taps()
    assert taps[0].tolist() == first
    torch.testing.assert_close(taps, -taps.flip(0))


def test_extent_counts_both_ends() -> None:
    assert Kernel.of((3, 1), dilation=(2, 5)).extent == (5, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_grid_has_the_dtype_of_its_model(dtype: torch.dtype) -> None:
    like = torch.zeros(1, dtype=dtype)
    kernel = Kernel.of(3)
    assert kernel.regular_grid((2, 2), like).dtype == dtype
    assert kernel.tap_positions(like).dtype == dtype
    assert Kernel.of(3).regular_grid((2, 2)).dtype == torch.float32


# --- values that are one, expanded -----------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=0, max_size=5))
def test_once_undoes_expand_alone(axes: list[tuple[int, bool]]) -> None:
    """Each axis has a length, and is expanded or not."""
    stored = [1 if expanded else n for n, expanded in axes]
    values = torch.arange(float(torch.Size(stored).numel())).reshape(stored)
    whole = values.expand([n for n, _ in axes])
    got = once(whole)
    assert got.shape == values.shape
    assert torch.equal(got, values)
    assert torch.equal(got.expand(whole.shape), whole)
    assert got.data_ptr() == values.data_ptr()  # nothing was copied


def test_once_leaves_alone_what_is_only_equal() -> None:
    assert once(torch.zeros(3, 4)).shape == (3, 4)
    assert once(torch.zeros(3, 1, 4)[:, 0].T).shape == (4, 3)
    assert once(torch.tensor(2.0)).shape == ()
    assert once(torch.zeros(0, 3)).shape == (0, 3)


def test_once_of_an_expanded_slice() -> None:
    """Steps, permutations and the middle of a tensor are kept as they are."""
    values = torch.arange(24.0).reshape(2, 3, 4)
    whole = values[:, 1:, ::2, None].expand(2, 2, 2, 5).permute(3, 1, 0, 2)
    assert once(whole).shape == (1, 2, 2, 2)
    assert torch.equal(once(whole).expand(5, 2, 2, 2), whole)


def test_once_hands_gradients_on() -> None:
    value = torch.ones(1, 2, requires_grad=True)
    once(value.expand(9, 2)).sum().backward()
    assert value.grad is not None
    assert value.grad.tolist() == [[1, 1]]


# --- the points ------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [False, True], ids=["regular", "own base points"])
def test_points_of_all_positions_and_of_one_agree(reference: bool) -> None:
    s = full(reference=reference)
    points, base = s.points(), s.base()
    assert points.shape == base.shape == s.offset.shape
    assert (s.groups, s.taps) == (2, 6)
    torch.testing.assert_close(points - base, s.offset)
    for y in range(s.output_size[0]):
        for x in range(s.output_size[1]):
            torch.testing.assert_close(s.points_at(y, x), points[..., y, x])
            torch.testing.assert_close(s.base_at(y, x), base[..., y, x])
            torch.testing.assert_close(s.centre_at(y, x), base[..., y, x].mean((0, 1)))
            torch.testing.assert_close(s.mask_at(y, x), s.mask[..., y, x])


def test_points_of_one_position_by_hand() -> None:
    """Kernel 3 x 2, stride (2, 1), padding (1, 0), dilation (1, 2) at output (2, 3)."""
    s = full()
    regular = [[3, 3], [3, 5], [4, 3], [4, 5], [5, 3], [5, 5]]
    assert s.base_at(2, 3)[1].tolist() == regular
    assert s.centre_at(2, 3).tolist() == [4, 4]
    moved = s.offset[1, :, :, 2, 3] + torch.tensor(regular)
    torch.testing.assert_close(s.points_at(2, 3)[1], moved)


def test_own_base_points_take_the_place_of_the_grid() -> None:
    """Nine base points on a 1 x 1 kernel, as in attention."""
    base = torch.randn(2, 9, 2, 4, 1)
    s = Sampling("attention", (8, 8), (4, 1), Kernel((1, 1)), torch.zeros_like(base), base)
    assert torch.equal(s.points(), base)
    assert s.taps == 9


def test_a_record_without_a_mask_weighs_everything_by_one() -> None:
    s = replace(full(), mask=None)
    assert torch.equal(s.mask_at(0, 0), torch.ones(2, 6))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_points_of_half_precision_offsets_keep_their_fractions(dtype: torch.dtype) -> None:
    """An offset of 0.25 is exact in half precision; 555.25 is not, and must not be rounded."""
    kernel = Kernel.of(1)
    offset = torch.full((1, 1, 2, 1, 600), 0.25, dtype=dtype)
    s = Sampling("half", (1, 600), (1, 600), kernel, offset)
    assert s.points_at(0, 555)[0, 0].tolist() == [0.25, 555.25]
    assert s.points()[0, 0, :, 0, 555].tolist() == [0.25, 555.25]
    assert s.base_at(0, 555)[0, 0].tolist() == [0, 555]
    assert s.centre_at(0, 555).tolist() == [0, 555]


@pytest.mark.parametrize("position", [(-1, 0), (0, -1), (4, 0), (0, 4)], ids=str)
@pytest.mark.parametrize("method", ["points_at", "base_at", "mask_at", "centre_at"])
@pytest.mark.parametrize("reference", [False, True], ids=["regular", "own base points"])
def test_a_position_outside_the_output_is_refused(
    method: str, position: Pair, reference: bool
) -> None:
    s = full(reference=reference)
    assert s.output_size == (4, 4)
    y, x = position
    with pytest.raises(ValueError, match=rf"\({y}, {x}\) is outside the 4 x 4 output"):
        getattr(s, method)(*position)


# --- the image -------------------------------------------------------------------------------


@given(
    st.floats(-50, 50),
    st.floats(-50, 50),
    st.sampled_from([1, 2, 4, 8.5]),
    st.sampled_from([1, 16, 0.5]),
)
def test_pixel_p_lies_at_the_centre_of_its_patch(y: float, x: float, sy: float, sx: float) -> None:
    got = ImageMap.of_stride((sy, sx)).to_image(torch.tensor([[y, x]], dtype=torch.float64))
    assert got[0].tolist() == pytest.approx([(0.5 + y) * sy - 0.5, (0.5 + x) * sx - 0.5])


def test_the_image_map_of_stride_two_by_hand() -> None:
    """Pixel 0 of a map of stride 2 covers the image's pixels 0 and 1: its centre is 0.5."""
    assert ImageMap.of_stride(2).to_image(torch.tensor([0.0, 3.0])).tolist() == [0.5, 6.5]
    assert ImageMap().to_image(torch.tensor([1.25, 3.0])).tolist() == [1.25, 3.0]


def test_whole_pixels_given_as_integers_are_mapped_as_any_other_point() -> None:
    got = ImageMap.of_stride(4).to_image(torch.tensor([0, 1]))
    assert got.tolist() == [1.5, 5.5]


# --- shapes that do not fit ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"offset": torch.zeros(2, 6, 2, 4, 5)}, ["offset", "(4, 4)", "[2, 6, 2, 4, 5]"]),
        ({"offset": torch.zeros(2, 6, 3, 4, 4)}, ["offset", "[2, 6, 3, 4, 4]"]),
        ({"offset": torch.zeros(12, 2, 4, 4)}, ["offset", "[12, 2, 4, 4]"]),
        ({"offset": torch.zeros(2, 9, 2, 4, 4), "mask": None}, ["9 taps", "(3, 2)", "6"]),
        ({"reference": torch.zeros(1, 6, 2, 4, 4)}, ["reference", "[2, 6, 2, 4, 4]", "[1, 6"]),
        ({"mask": torch.zeros(2, 6, 4, 5)}, ["mask", "[2, 6, 4, 4]", "[2, 6, 4, 5]"]),
        ({"mask": torch.zeros(12, 4, 4)}, ["mask", "[2, 6, 4, 4]", "[12, 4, 4]"]),
        ({"region": torch.zeros(4, 5)}, ["region", "[4, 4]", "[4, 5]"]),
        ({"input": torch.zeros(4, 6, 7)}, ["input", "[4, 7, 6]", "[4, 6, 7]"]),
        ({"input": torch.zeros(3, 7, 6)}, ["3 channels", "2 offset groups"]),
        ({"output": torch.zeros(5, 4, 5)}, ["output", "[5, 4, 4]", "[5, 4, 5]"]),
        ({"output_size": (4, 5)}, ["(4, 5)", "[2, 6, 2, 4, 4]"]),
    ],
    ids=[
        "offset too wide", "offset with three coordinates", "offset without groups",
        "taps of another kernel", "reference of one group", "mask too wide",
        "mask without groups", "region too wide", "input transposed",
        "channels that groups do not divide", "output too wide", "another output size",
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_named(change: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        replace(full(), **change)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), (1, 2.5), ("1", "2"), 2.5, "33", None], ids=str)
def test_what_is_neither_an_integer_nor_a_pair_is_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"size must be an integer or a .* pair of integers, got"):
        as_pair(value, "size")


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0}, {"size": 3, "stride": 0}, {"size": 3, "padding": -1},
        {"size": 3, "dilation": (1, 0)},
    ],
    ids=str,
)  # fmt: skip
def test_a_kernel_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="at least 1 and padding at least 0"):
        Kernel.of(**options)


# --- moving, saving, loading -----------------------------------------------------------------

TENSORS = ("offset", "reference", "mask", "region", "guide", "input", "output", "weight", "bias")


def assert_same(a: Sampling, b: Sampling) -> None:
    for name in TENSORS:
        mine, other = getattr(a, name), getattr(b, name)
        assert (mine is None) == (other is None), name
        if mine is not None:
            assert mine.dtype == other.dtype, name
            assert torch.equal(mine, other), name
    for name in ("name", "input_size", "output_size", "kernel", "image_map"):
        assert getattr(a, name) == getattr(b, name), name


@pytest.mark.parametrize("reference", [False, True], ids=["regular", "own base points"])
def test_what_is_saved_is_loaded(tmp_path: Path, reference: bool) -> None:
    s = full(reference=reference)
    path = tmp_path / "a.safetensors"
    s.save(path)
    assert_same(Sampling.load(path), s)
    s.save(str(path))  # over the old file, by a plain string
    assert_same(Sampling.load(str(path)), s)


def test_a_sparse_record_is_saved_with_what_it_knows(tmp_path: Path) -> None:
    """A regular grid's offset takes no memory; it must survive all the same."""
    s = Sampling.regular("plain", Kernel.of(3, padding=1), (5, 6))
    s.save(tmp_path / "a.safetensors")
    assert_same(Sampling.load(tmp_path / "a.safetensors"), s)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_dtypes_survive(tmp_path: Path, dtype: torch.dtype) -> None:
    s = full()
    s = replace(s, offset=s.offset.to(dtype), input=s.input.to(dtype))
    s.save(tmp_path / "a.safetensors")
    assert_same(Sampling.load(tmp_path / "a.safetensors"), s)


def test_tensors_that_share_memory_are_saved(tmp_path: Path) -> None:
    """An identity hands its input on, and offset and mask are often slices of one tensor."""
    image = torch.rand(3, 5, 5)
    raw = torch.rand(3, 5, 5)
    s = Sampling(
        "identity", (5, 5), (5, 5), Kernel((1, 1)), offset=raw[:2].reshape(1, 1, 2, 5, 5),
        mask=raw[2:].reshape(1, 1, 5, 5), input=image, output=image,
    )  # fmt: skip
    s.save(tmp_path / "a.safetensors")
    assert_same(Sampling.load(tmp_path / "a.safetensors"), s)


def test_tensors_that_want_gradients_are_saved(tmp_path: Path) -> None:
    s = full()
    s = replace(s, weight=torch.nn.Parameter(s.weight))
    s.save(tmp_path / "a.safetensors")
    assert torch.equal(Sampling.load(tmp_path / "a.safetensors").weight, s.weight.detach())


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    """Read by safetensors alone: the tensors under their names, the rest as JSON."""
    full().save(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(TENSORS) - {"reference"}
        header = json.loads(file.metadata()["deformviz"])
    assert header == {
        "format": "deformviz.sampling/1",
        "name": "backbone.layer3.0.conv2 · 变形",
        "input_size": [7, 6],
        "output_size": [4, 4],
        "kernel_size": [3, 2],
        "stride": [2, 1],
        "padding": [1, 0],
        "dilation": [1, 2],
        "image_origin": [1.5, -0.25],
        "image_stride": [4.0, 8.5],
        "channel_names": [],
    }


OFFSET = {"offset": torch.zeros(1, 1, 2, 1, 1)}
GOOD = {
    "format": "deformviz.sampling/1", "name": "n", "input_size": [1, 1], "output_size": [1, 1],
    "kernel_size": [1, 1], "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1],
    "image_origin": [0.0, 0.0], "image_stride": [1.0, 1.0],
}  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" * 40, b"{}" * 100], ids=str)
def test_a_file_that_is_no_safetensors_is_refused_by_its_name(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"photo\.png is not a \.safetensors file"):
        Sampling.load(path)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    full().save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"a\.safetensors is not a \.safetensors file"):
        Sampling.load(path)


@pytest.mark.parametrize(
    ("tensors", "header"),
    [
        (OFFSET, None),
        ({"model.weight": torch.zeros(3)}, None),
        ({"weight": torch.zeros(3)}, json.dumps(GOOD)),
        (OFFSET, json.dumps({**GOOD, "format": "other/1"})),
        (OFFSET, "not json"),
        (OFFSET, "[]"),
        (OFFSET, "null"),
        (OFFSET, '"deformviz.sampling/1"'),
        (OFFSET, json.dumps({"format": GOOD["format"]})),
    ],
    ids=[
        "no header", "a model's weights", "no offset", "another format", "no JSON", "a list",
        "null", "a string", "nothing but the format",
    ],
)  # fmt: skip
def test_a_foreign_safetensors_is_refused(
    tmp_path: Path, tensors: dict[str, Tensor], header: str | None
) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file(tensors, path, None if header is None else {"deformviz": header})
    with pytest.raises(ValueError, match=r"foreign\.safetensors"):
        Sampling.load(path)


@pytest.mark.parametrize("key", [k for k in GOOD if k != "format"])
@pytest.mark.parametrize("broken", ["missing", "of another type"])
def test_a_header_that_was_tampered_with_is_a_value_error(
    tmp_path: Path, key: str, broken: str
) -> None:
    header = dict(GOOD)
    if broken == "missing":
        del header[key]
    else:
        header[key] = {"a": 1}
    path = tmp_path / "a.safetensors"
    save_file(OFFSET, path, {"deformviz": json.dumps(header)})
    with pytest.raises(ValueError):  # noqa: PT011
        Sampling.load(path)


def test_the_good_header_that_the_broken_ones_change_is_good(tmp_path: Path) -> None:
    save_file(OFFSET, tmp_path / "a.safetensors", {"deformviz": json.dumps(GOOD)})
    assert Sampling.load(tmp_path / "a.safetensors").name == "n"


@pytest.mark.parametrize("reference", [False, True], ids=["regular", "own base points"])
def test_known_tensors_are_the_records_own(reference: bool) -> None:
    s = full(reference=reference)
    known = s.known()
    assert list(known) == [name for name in TENSORS if getattr(s, name) is not None]
    assert len(known) == (9 if reference else 8)
    for name, tensor in known.items():
        assert tensor is getattr(s, name), name  # neither copied nor moved nor detached


def test_known_tensors_are_those_that_are_there() -> None:
    s = Sampling.regular("plain", Kernel.of(3), (5, 6))
    assert list(s.known()) == ["offset"]
    learned = replace(full(), bias=torch.ones(5, requires_grad=True))
    assert learned.known()["bias"].requires_grad
    assert not learned.tensors()["bias"].requires_grad
    assert set(learned.tensors()) == set(learned.known())


def test_show_opens_the_viewer_on_the_record() -> None:
    s, image = full(), torch.zeros(28, 51, 3, dtype=torch.uint8).numpy()
    view = s.show(image, y=2, x=3, pinned=True, over="mask")
    assert view.sampling is s
    assert view.image is image
    state = view.state
    assert (state.y, state.x, state.pinned, state.over) == (2, 3, True, "mask")
    assert s.show().image is None
    with pytest.raises(ValueError, match="over must be one of"):
        s.show(over="everything")
    with pytest.raises(TypeError, match="colour"):
        s.show(colour="red")


def test_to_moves_every_tensor() -> None:
    moved = full(reference=True).to("meta")
    assert {getattr(moved, name).device.type for name in TENSORS} == {"meta"}
    s = full()
    assert_same(s.to("cpu"), s)
