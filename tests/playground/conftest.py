"""A server in a process of its own, and a real browser to look at it with."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import DESKTOP

PATIENCE = 60_000
"""Milliseconds after which something hangs, on however busy a machine."""


class Page:
    """A page that must not complain, nor ask for anything from elsewhere."""

    def __init__(self, context: Any, address: str) -> None:
        self.context = context
        self.address = address
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", self._check_failure)
        self.page.on("request", self._check_request)

    def open(self, link: str = "") -> Page:
        """Load the address with what follows # and wait for the first picture."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{link}")
        self.page.wait_for_selector("body[data-step]", timeout=PATIENCE)
        return self

    @property
    def step(self) -> int:
        return int(self.page.get_attribute("body", "data-step"))

    def answer(self, act: Callable[[], object]) -> None:
        """Do something that a still page answers with one new picture, and wait for it."""
        before = self.page.get_attribute("body", "data-frame")
        act()
        self.page.wait_for_selector(f'body:not([data-frame="{before}"])', timeout=PATIENCE)

    def wait_for_steps(self, count: int) -> None:
        """Until a page that plays by itself has come so far; a slow one shows few of its steps."""
        while self.step < count:
            self.page.wait_for_selector(f'body:not([data-step="{self.step}"])', timeout=PATIENCE)

    def press(self, key: str) -> None:
        """Press a key of the page, not of the game, while it stands still."""
        self.answer(lambda: self.page.keyboard.press(key))

    def steps(self, count: int, key: str | None = None) -> None:
        """Make single steps, with a key of the game held down if one is given.

        The first of all has to be made without one: before it, a key begins the game.
        """
        if key:
            self.page.keyboard.down(key)
        for _ in range(count):
            self.press("Period")
        if key:
            self.page.keyboard.up(key)

    def drag(self, slider: str, value: float) -> None:
        """Put a range input to a value, as a hand does."""
        self.answer(lambda: self.page.locator(slider).fill(str(value)))

    def pixels(self, canvas: str) -> bytes:
        """RGBA bytes of a canvas."""
        coded = self.page.evaluate(
            """(id) => {
                const canvas = document.getElementById(id);
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                return btoa(Array.from(data, (value) => String.fromCharCode(value)).join(""));
            }""",
            canvas,
        )
        return base64.b64decode(coded)

    def _check_failure(self, request: Any) -> None:
        if "ERR_ABORTED" not in request.failure:  # so ends what a page leaves behind as it is closed
            self.complaints.append(f"{request.failure}: {request.url}")

    def _check_request(self, request: Any) -> None:
        origin = self.address.split("/?")[0].rstrip("/")
        if not request.url.startswith((origin, "blob:", "data:", "about:", origin.replace("http", "ws"))):
            self.complaints.append(f"asked for {request.url}")


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Page]]:
    """Opens pages, each in a browser of its own; at the end none of them may have complained."""
    pages: list[Page] = []

    def open_one(address: str, **kind: Any) -> Page:
        pages.append(Page(browser.new_context(**(kind or DESKTOP)), address))
        return pages[-1]

    yield open_one
    for page in pages:
        page.context.close()
        assert page.complaints == []


class Server:
    """`mario-world-model play`, as a user starts it."""

    def __init__(self, *flags: str) -> None:
        command = [sys.executable, "-m", "mario_world_model", "play", "--port", "0", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.process.communicate()[1]

    @property
    def origin(self) -> str:
        return self.address.split("/?")[0]

    @property
    def socket_address(self) -> str:
        return self.address.replace("http", "ws").replace("/?", "/play?")

    def end(self) -> str:
        """Ctrl-C; what it had to complain about."""
        self.process.terminate()
        complaints = self.process.communicate(timeout=20)[1]
        assert self.process.returncode == 0, complaints
        return complaints.replace("Ctrl-C ends it.\n", "")


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps demonstrations."""
    return tmp_path_factory.mktemp("kept") / "demonstrations"


@pytest.fixture(scope="session")
def server(rom: Path, kept: Path) -> Iterator[Server]:
    """A server for three."""
    del rom
    running = Server("--sessions", "3", "--keep", str(kept))
    yield running
    assert running.end() == ""
