"""The viewer: `Sampling`s to hover, pin and take apart, in a page, a notebook or a file."""

from .page import View
from .stack import Stack, show
from .state import OVERLAYS, ViewState

__all__ = ["OVERLAYS", "Stack", "View", "ViewState", "show"]
