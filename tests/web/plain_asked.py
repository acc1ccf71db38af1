"""What the page's controls say where a test does not care."""

from __future__ import annotations

from deformviz.web.asked import Asked

ASKED = Asked(
    photo=None,
    example="cat",
    side=64,
    operator="Deformable Conv v2",
    kernel_height=3,
    kernel_width=3,
    stride=1,
    dilation=1,
    weights="mean",
    field="wave",
    strength=3.0,
    offset_groups=1,
    mask="radial",
    mask_strength=1.0,
    guide="by colour",
    regions=4,
    generated=False,
    radius=True,
    coordinate_weight=0.3,
    parameters="made up",
    learned_layer=3,
    directions="up, down, left, right",
    strategy="slice",
    border="zero",
    seed=0,
)
