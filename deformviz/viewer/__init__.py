"""The viewer: one `Sampling` to hover, pin and take apart, in a page, a notebook or a file."""

from .page import View
from .state import OVERLAYS, ViewState

__all__ = ["OVERLAYS", "View", "ViewState"]
