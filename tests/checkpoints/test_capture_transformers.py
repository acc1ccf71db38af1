"""`capture` on the deformable attention of Hugging Face's own code, with random weights."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deformviz
from deformviz import ImageMap, Sampling
from deformviz.analysis import recompute

transformers = pytest.importorskip("transformers")


def backbone() -> Any:
    return transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip


def deformable_detr() -> nn.Module:
    return transformers.DeformableDetrModel(
        transformers.DeformableDetrConfig(
            use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
            backbone_config=backbone(), d_model=32, encoder_layers=1, decoder_layers=2,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=16,
            decoder_ffn_dim=16, num_queries=7, num_feature_levels=4, encoder_n_points=3,
            decoder_n_points=2,
        )
    )  # fmt: skip


def given_to_projections(model: nn.Module) -> dict[str, Tensor]:
    """What each attention's output projection will be given: its output, witnessed apart."""
    given: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda _, args: given.__setitem__(name, args[0].detach().clone())

    for name, module in model.named_modules():
        if hasattr(module, "sampling_offsets"):
            module.output_proj.register_forward_pre_hook(keep(name))
    return given


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_deformable_detr() -> None:
    model = deformable_detr().eval()
    for parameter in model.parameters():  # offsets of its own start are all alike
        parameter.data += 0.05 * torch.randn_like(parameter)
    mask = torch.ones(2, 64, 96, dtype=torch.long)
    mask[1, :, 80:] = 0  # the second image is narrower, and padded
    inputs = {"pixel_values": torch.rand(2, 3, 64, 96), "pixel_mask": mask}
    attentions = ["encoder.layers.0.self_attn"] + [
        f"decoder.layers.{i}.encoder_attn" for i in range(2)
    ]
    outputs = given_to_projections(model)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with deformviz.capture(model, image=1) as samplings:
            model(**inputs)
    assert list(outputs) == attentions
    assert [s.name for s in samplings] == [f"{a} level {i}" for a in attentions for i in range(4)]
    strides = [ImageMap.of_stride(stride) for stride in (8, 16, 32, 64)]
    assert [s.image_map for s in samplings] == strides * 3
    for index, attention in enumerate(attentions):
        levels = samplings[4 * index : 4 * index + 4]
        assert_adds_up(levels, outputs[attention][1])
        assert all(s.groups == 4 and s.taps == (3 if index == 0 else 2) for s in levels)
        assert all(s.offset.abs().mean() > 0.05 for s in levels[:2])
    first = samplings[0]
    assert first.output_size == (8 * 12 + 4 * 6 + 2 * 3 + 1 * 2, 1)  # a query for each pixel
    assert first.input[:, :, 10:].abs().max() == 0  # what is padding is masked out
    assert first.input[:, :, :9].abs().min() > 0


def assert_adds_up(levels: list[Sampling], output: Tensor) -> None:
    """The levels' sum is what the projection was given: [Q, C]."""
    rows = torch.arange(len(output))
    positions = torch.stack([rows, torch.zeros_like(rows)], dim=1)
    total = sum(recompute(s, positions) for s in levels)
    assert output.std() > 1e-3
    torch.testing.assert_close(total, output.double(), rtol=0, atol=1e-5)


def rt_detr_v2(**options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """One attention of RT-DETR v2, and what it is called with: boxes, one for all levels."""
    config = transformers.RTDetrV2Config(
        d_model=32, decoder_attention_heads=4, decoder_n_points=2, decoder_n_levels=2, **options
    )
    modeling = transformers.models.rt_detr_v2.modeling_rt_detr_v2
    attention = modeling.RTDetrV2MultiscaleDeformableAttention(config).eval()
    for parameter in attention.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    sizes = [(6, 8), (3, 4)]
    return attention, {
        "hidden_states": torch.randn(1, 5, 32),
        "encoder_hidden_states": torch.randn(1, 60, 32),
        "reference_points": torch.rand(1, 5, 1, 4),
        "spatial_shapes": torch.tensor(sizes),
        "spatial_shapes_list": sizes,
    }


def test_a_copy_of_the_same_rule_is_read() -> None:
    attention, arguments = rt_detr_v2(decoder_offset_scale=0.5)
    model = nn.ModuleDict({"cross": attention})
    outputs = given_to_projections(model)
    with torch.no_grad(), deformviz.capture(model) as samplings:
        model["cross"](**arguments)
    assert [s.name for s in samplings] == ["cross level 0", "cross level 1"]
    assert_adds_up(samplings, outputs["cross"][0])


@pytest.mark.parametrize(
    "options", [{"decoder_offset_scale": 1.0}, {"decoder_method": "discrete"}], ids=str
)
def test_an_attention_of_another_rule_is_left_out_with_a_warning(options: dict[str, Any]) -> None:
    attention, arguments = rt_detr_v2(**options)
    with (
        torch.no_grad(),
        pytest.warns(UserWarning, match=r"is not recorded: .* another output"),
        deformviz.capture(attention) as samplings,
    ):
        attention(**arguments)
    assert samplings == []
