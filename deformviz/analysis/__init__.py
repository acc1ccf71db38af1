"""Numbers: what a `Sampling`'s offsets do, whether they are healthy, what its output is made of."""

from .affine import Affine, affine_fit
from .bins import Bin, log_edges
from .dilation import effective_dilation
from .finding import Finding, LayerInfo, Thresholds
from .finding_parts import findings_part
from .health import OffsetWeights, findings
from .histograms import Histogram, histogram
from .outside import outside_share
from .parts import Parts, static_and_adaptive
from .reporting import LayerReport, Report, report
from .shift_comparison import ShiftResult, compare_strategies, published_tensor
from .summary import Statistics, statistics
from .terms import Terms, recompute, terms_at
from .traced import Level, Traced
from .tracing import trace

__all__ = [
    "Affine",
    "Bin",
    "Finding",
    "Histogram",
    "LayerInfo",
    "LayerReport",
    "Level",
    "OffsetWeights",
    "Parts",
    "Report",
    "ShiftResult",
    "Statistics",
    "Terms",
    "Thresholds",
    "Traced",
    "affine_fit",
    "compare_strategies",
    "effective_dilation",
    "findings",
    "findings_part",
    "histogram",
    "log_edges",
    "outside_share",
    "published_tensor",
    "recompute",
    "report",
    "static_and_adaptive",
    "statistics",
    "terms_at",
    "trace",
]
