"""Takes the README's pictures: python -m tests.console.screenshots lives a day of trade and photographs it."""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.progress import track

from tests.background import open_house
from tests.conftest import suite_settings
from tests.console.conftest import CHROMIUM, House
from tests.console.house import live_a_day
from tests.console.walk import person

OUT = Path(__file__).resolve().parents[2] / "docs/pictures"
ORDERS = 300
# Each is a file, the page in it, and whether it is dark.
PICTURES = (
    ("overview", "overview", False), ("overview-dark", "overview", True), ("order", "order", False), ("holds", "holds", False),
    ("item", "item", False), ("entry", "entry", False), ("planning", "planning", False),
)  # fmt: skip


def main() -> int:
    """Writes the pictures; 1 where there is no browser."""
    if CHROMIUM is None:
        print("there is no Chromium on the PATH; install it, or run `make tools` as root")
        return 1
    OUT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp())
    try:
        with open_house(suite_settings(folder, "")) as door, sync_playwright() as playwright:
            house = House(door, door.run(live_a_day(door.suite, ORDERS), 300).password)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            for name, page, dark in track(PICTURES, "pictures"):
                with person(browser, house, "olivia", dark=dark, width=1280) as olivia:
                    if page == "overview":
                        olivia.press("Prove now")
                    olivia.open(page)
                    olivia.page.screenshot(path=OUT / f"{name}.png")
            browser.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
