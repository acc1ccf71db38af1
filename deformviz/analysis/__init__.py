"""Numbers: the terms that add up to a `Sampling`'s output, and the five shifts compared."""

from .shift_comparison import ShiftResult, compare_strategies, published_tensor
from .terms import Terms, recompute, terms_at

__all__ = [
    "ShiftResult",
    "Terms",
    "compare_strategies",
    "published_tensor",
    "recompute",
    "terms_at",
]
