"""The Explore page as a person uses it: the viewer, and Gradio's controls beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page
from viewer_page import ViewerPage

from deformviz.explore import Settings

_EXAMPLE = "| 170 x 256 |"


class ExplorePage(ViewerPage):
    """Wraps a Playwright page that has the app on it."""

    scope = "#viewer .dv-viewer"

    def __init__(self, page: Page, address: str) -> None:
        super().__init__(page)
        self.address = address

    def open(self, **query: Any) -> ExplorePage:
        """Open a link to a run of another size than the example's, or else the example.

        The numbers are there at the end.
        """
        self.goto(**query)
        if query:
            self.until("(root, part) => root.dataset.view?.includes(part) === false", _EXAMPLE)
        else:
            self.wait_for(_EXAMPLE)
        self.wait_loaded()
        return self

    def goto(self, **query: Any) -> None:
        """Open a link and wait for nothing."""
        address = f"{self.address}/?{urlencode(query)}" if query else self.address
        self.page.goto(address, wait_until="commit")

    # --- Gradio's controls ---------------------------------------------------------------------

    def choose(self, control: str, option: str) -> None:
        """Choose from a dropdown by its element's id."""
        self.page.locator(f"#{control} input").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def operator(self, name: str) -> None:
        self.choose("operator", name)
        self.wait_for(f"{name} | ")
        self.wait_loaded()

    def kernel(self, size: int) -> None:
        self.page.locator(f'#kernel label[data-testid="{size}-radio-label"]').click()
        self.wait_for(f"| {size} x {size} |")
        self.wait_loaded()

    def slider(self, label: str, value: float) -> None:
        """Write into the number box of one of Gradio's sliders."""
        box = self.page.locator("#controls").get_by_label(f"number input for {label}")
        box.fill(str(value))
        box.press("Enter")

    def more(self) -> None:
        """Open what is folded away under the controls."""
        self.page.locator("#controls").get_by_role("button", name="More").click()

    def upload(self, file: Path) -> None:
        self.page.locator("#photo input[type=file]").set_input_files(file)

    @property
    def toast(self) -> Locator:
        """The message of an error."""
        return self.page.locator(".toast-body")


def query_of(settings: Settings, image: str, side: int = 64) -> dict[str, Any]:
    """The link of a run, each of its settings spelled out."""
    height, width = settings.kernel_size
    switch = {True: "on", False: "off"}
    others = {
        name: switch[value] if isinstance(value, bool) else value
        for name, value in vars(settings).items()
        if name != "kernel_size" and value is not None
    }
    return {"kernel": f"{height}x{width}", "image": image, "side": side, **others}
