"""The pictures of docs/dashboard.md: `python -m tests.browser.screenshots [FOLDER]`.

They show the simulated shop, so that a picture changes when the page does and not with the traffic of the day.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "support"))

from admin_page import admin_page  # noqa: E402
from chromium import chromium  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = REPOSITORY / "docs" / "images"
COLOURS = 128
SHOTS = [
    # name, view, colours, width, height
    ("overview", "overview", "light", 1280, 900),
    ("overview-dark", "overview", "dark", 1280, 900),
    ("route-map", "routes", "light", 1280, 1020),
    ("transactions", "transactions", "light", 1440, 800),
    ("candidates", "candidates", "light", 1280, 990),
    ("progress", "progress", "light", 1280, 780),
    ("targets", "targets", "dark", 1280, 620),
    ("live-requests", "live", "light", 1280, 640),
    ("which-rule", "explain", "light", 1280, 560),
    ("phone", "overview", "dark", 390, 844),
]
SHOWN_BY = {
    "overview": ".moved .band",
    "routes": ".map .band",
    "transactions": ".grid tbody .barlets",
    "candidates": ".plot .dot",
    "progress": ".chart .area.fig",
    "targets": ".target.bad",
    "live": ".live tbody tr:nth-child(30)",
    "explain": "#url",
}


def main(folder: Path) -> None:
    """Write all pictures, palette and all."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    with admin_page() as shop, chromium() as browser:
        page = browser.new_page()
        for name, view, colours, width, height in SHOTS:
            page.emulate_media(color_scheme=colours, reduced_motion="reduce")  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": height})
            page.goto("about:blank")
            page.goto(f"{shop.url}#/{view}")
            page.locator(SHOWN_BY[view]).first.wait_for()
            prepare(page, view)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            path = folder / f"{name}.png"
            picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def prepare(page: Page, view: str) -> None:
    """Bring a view into a state that says what it is for."""
    page.get_by_text("Live ·").wait_for()
    if view == "transactions":
        page.locator(".grid tbody tr", has_text="recommendations/{id}").first.click()
        page.locator(".histogram rect").first.wait_for()
        page.mouse.move(0, 0)
    elif view == "explain":
        page.get_by_label("URL").fill("/api/users/7")
        page.get_by_label("Headers").fill("User-Agent: mobile\nVersion: 2.0.0")
        page.get_by_role("button", name="Explain").click()
        page.get_by_text("Rule users takes it").wait_for()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
