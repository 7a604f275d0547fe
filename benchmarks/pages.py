"""How quick the two pages are, in headless Chromium: `python -m benchmarks.pages`.

Prints the time from a key to its picture as the page itself measures it, what a step costs the session, and how
many steps a second the exported page dreams and paints.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.exported import exported_page

_KEYS = 60
_DREAM = """async (steps) => {
  const { World } = await import("./world.js");
  const { gumbels, normals, uniform } = await import("./chance.js");
  const world = await World.load();
  let state = world.situation(0);
  const begun = performance.now();
  for (let step = 0; step < steps; step++) {
    const draw = uniform(1, 0, step);
    ({ state } = await world.imagine(state, 1, gumbels(draw, world.mixtures), normals(draw, world.latent_size)));
    await world.paint(state.latents);
  }
  return steps / ((performance.now() - begun) / 1000);
}"""


def key_to_picture(browser: Any) -> dict[str, float]:
    """Milliseconds from a key to its picture, with the game running, and what a step takes."""
    command = [sys.executable, "-m", "mario_world_model", "play", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        page = browser.new_page()
        page.goto(server.stdout.readline().strip())
        page.wait_for_selector("body[data-step]")
        page.keyboard.press("ArrowRight")
        rng = random.Random(1)
        for _ in range(_KEYS):
            page.wait_for_timeout(rng.uniform(150, 450))
            page.keyboard.down("ArrowLeft")
            page.wait_for_timeout(100)
            page.keyboard.up("ArrowLeft")
        delays = sorted(json.loads(page.get_attribute("#status", "data-delays")))
        took = float(page.get_attribute("#status", "data-took"))
        page.close()
        server.terminate()
    return {
        "keys": len(delays),
        "median_ms": delays[len(delays) // 2],
        "p95_ms": delays[int(0.95 * len(delays))],
        "step_ms": took,
    }


def dreamed_steps(browser: Any) -> float:
    """Steps a second of the exported page, imagined and painted."""
    with exported_page() as address:
        page = browser.new_page()
        page.goto(f"{address}#player=you")
        page.wait_for_selector("body[data-step]")
        rate = float(page.evaluate(_DREAM, 300))
        page.close()
    return rate


def main() -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print(json.dumps({**key_to_picture(browser), "exported_steps_a_second": round(dreamed_steps(browser))}))
        browser.close()


if __name__ == "__main__":
    main()
