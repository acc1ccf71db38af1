"""Numbers from a `Sampling`: what adds up to its output, and what its offsets are like."""

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
