"""The section about the whole layer as a person uses it: the bars, the findings, the facts."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import Locator
from seen import numbers
from viewer_page import IMAGE, OUTPUT, ViewerPage

_CELLS = "(rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
_PER_PART = {"all": "null"}


class LayerPart:
    """Wraps a viewer whose section is unfolded."""

    def __init__(self, viewer: ViewerPage) -> None:
        self.viewer = viewer

    def count(self, quantity: str, group: str = "all", tap: str = "all", log: bool = False) -> None:
        """Choose what is counted, and wait until it is."""
        self.control("quantity").select_option(quantity)
        for name, value in (("bar_group", group), ("bar_tap", tap)):
            if self.control(name).is_visible():
                self.control(name).select_option(value)
        self.control("log_counts").set_checked(log)
        chosen = [_PER_PART.get(value, value) for value in (group, tap)]
        end = " ".join([quantity, *chosen, "true" if log else "false"])
        self.viewer.until("(root, end) => root.dataset.counted?.endsWith(end)", end)

    def control(self, name: str) -> Locator:
        return self.viewer.root.locator(f'[data-about="{name}"]')

    @property
    def counts(self) -> dict[str, int]:
        """The table's counts by the bins' names."""
        rows = self.viewer.root.locator('[data-part="counts"] tbody tr').evaluate_all(_CELLS)
        return {label: int(count.replace(",", "")) for label, count, _ in rows}

    def bar(self, label: str) -> Locator:
        """A bar by its bin's name."""
        return self.viewer.root.locator(f'.dv-bars [role="option"][aria-label^="{label}:"]')

    @property
    def heights(self) -> dict[str, float]:
        """The drawn bars' heights by their bins' names, in screen pixels; those of no value too."""
        found = self.viewer.root.locator('.dv-bars [role="option"]').evaluate_all(
            "(bars) => bars.map((bar) => [bar.getAttribute('aria-label').split(':')[0],"
            " bar.querySelector('.dv-count').getBoundingClientRect().height])"
        )
        return dict(found)

    def wait_lit(self, end: str) -> None:
        """Until the positions are shown whose legend ends so; none with an empty text."""
        condition = "(root, end) => end ? root.dataset.highlight?.endsWith(end)"
        self.viewer.until(f"{condition} : root.dataset.highlight === ''", end)

    def lit(self) -> np.ndarray | None:
        """[h, w] bool: the positions that are lit, alike on both pictures; None for none."""
        over = [self.viewer.canvas(figure, "highlight") for figure in (IMAGE, OUTPUT)]
        if over[0] is None or over[1] is None:
            assert over == [None, None]
            return None
        assert (over[0] == over[1]).all()
        return np.asarray(over[0][..., 0] > 128)  # the others are dimmed

    @property
    def legend(self) -> str:
        return self.viewer.clip(IMAGE).locator(".dv-highlight-legend").inner_text()

    @property
    def findings(self) -> Locator:
        return self.viewer.root.locator('[data-part="findings"] .dv-finding')

    def here(self, name: str) -> list[float]:
        """A fact's numbers at the position that is shown; empty for a dash."""
        text = self.viewer.root.locator(f'[data-fact="{name}"] td').nth(1).inner_text()
        return numbers(text)
