"""The pictures of docs/playground.md, in headless Chromium: `python -m benchmarks.screenshots docs`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.exported import exported_page

_DESKTOP = {"viewport": {"width": 1280, "height": 900}}
_PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def _save(page: Any, path: Path, whole: bool = True) -> None:
    page.screenshot(path=path, full_page=whole)
    Image.open(path).convert("RGB").save(path, optimize=True)
    print(path, path.stat().st_size)


def _open(browser: Any, address: str, **kind: Any) -> Any:
    page = browser.new_context(**kind).new_page()
    page.goto(address)
    page.wait_for_selector("body[data-step]")
    return page


def with_game(browser: Any, folder: Path) -> None:
    """Somebody plays, soon after a sync; by night, looking back; and the controller on a phone."""
    command = [sys.executable, "-m", "mario_world_model", "play", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        page = _open(browser, f"{address}#start=1-1&seed=3&temperature=0.5&player=you", **_DESKTOP)
        page.keyboard.press("Period")
        for key, steps in (("ArrowRight", 34), ("x", 8)):
            page.keyboard.down(key)
            for _ in range(steps):
                page.keyboard.press("Period")
                page.wait_for_timeout(60)
        page.keyboard.press("c")
        for _ in range(2):
            page.keyboard.press("Period")
            page.wait_for_timeout(60)
        page.wait_for_timeout(500)
        _save(page, folder / "playground.png")
        page.context.close()

        night = f"{address}#start=1-1@1600&seed=4&temperature=0.5&player=controller"
        page = _open(browser, night, **_DESKTOP, color_scheme="dark")
        page.wait_for_timeout(5000)
        page.keyboard.press("p")
        page.click("summary")
        page.wait_for_timeout(500)
        _save(page, folder / "playground_dark.png")
        page.context.close()

        page = _open(browser, f"{address}#start=1-1@200&seed=5&temperature=0.5&player=controller", **_PHONE)
        page.wait_for_timeout(2500)
        _save(page, folder / "playground_phone.png", whole=False)
        page.context.close()
        server.terminate()


def without_game(browser: Any, folder: Path) -> None:
    """The exported page."""
    with exported_page() as address:
        start = f"{address}#start=situation:120&seed=5&temperature=0.5&player=dreamer"
        page = _open(browser, start, **_DESKTOP)
        page.wait_for_timeout(1500)
        _save(page, folder / "playground_web.png")


def main() -> None:
    folder = Path(sys.argv[1])
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with_game(browser, folder)
        without_game(browser, folder)
        browser.close()


if __name__ == "__main__":
    main()
