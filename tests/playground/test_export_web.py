"""The page without a server: it dreams what PyTorch dreams, in a real browser, from a folder of files."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mario_world_model import cli, pretrained
from mario_world_model.checkpoints import load_world_model
from mario_world_model.errors import InputError
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import MixtureNoise, draw_noise
from mario_world_model.models.world_model import WorldModel
from mario_world_model.playground.dreaming import see, situation
from mario_world_model.playground.export_web import exported_situations
from mario_world_model.playground.web_runtime import find_runtime
from tests.browser import PHONE
from tests.playground.conftest import Page
from tests.world import save_world, small_world

OpenPage = Callable[..., Page]
PARITY = Path(__file__).with_name("parity.js")
SUFFIXES = {".js", ".mjs", ".wasm", ".onnx", ".bin", ".json", ".html", ".css", ".svg", ".md"}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder behind a plain web server."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's agent, exported."""
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    try:
        find_runtime(None)
    except InputError as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("web") / "site"
    assert cli.main(["export-web", "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with served(site) as found:
        yield found


def test_it_is_small_and_has_nothing_of_the_game(site: Path, rom: Path) -> None:
    files = [file for file in site.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 25_000_000
    assert {file.suffix for file in files} <= SUFFIXES
    piece = rom.read_bytes()[0x2000:0x2040]
    assert not any(piece in file.read_bytes() for file in files)


_DREAM = 50


def dream_twice(world_model: WorldModel, site: Path, visitor: Page, steps: int) -> dict[str, float]:
    """Dream here and in the browser, each on its own, from one situation with the same noise and actions.

    Again from the beginning every 50 steps: a difference in the seventh digit grows tenfold in about as many, by which
    two dreams part for good after some 200, on any two machines.
    """
    network, luck = world_model.mdn_rnn, torch.Generator().manual_seed(11)
    first = exported_situations(world_model)
    assert first.lengths[0] == 0
    beginning, filled = world_model.recall(first)
    inputs, pictures = [], []
    with torch.inference_mode():
        for step in range(steps):
            if step % _DREAM == 0:
                latents, memory = beginning[:1], Memory(filled.hidden[:1], filled.cell[:1])
            noise = draw_noise((1,), network.config.mixtures, network.choices, network.latent_size, luck)
            action = torch.tensor([(step // 7) % network.actions])
            imagined, memory = world_model.imagine(latents, action, memory, noise, temperature=1.0)
            latents = imagined.latents
            inputs.append(np.concatenate([action.numpy(), noise.gumbel.flatten(), noise.normal.flatten()]))
            pictures.append(see(world_model, latents))
    (site / "inputs.bin").write_bytes(np.stack(inputs).astype("<f4").tobytes())
    (site / "pictures.bin").write_bytes(np.stack(pictures).tobytes())
    visitor.page.keyboard.press("p")
    apart: dict[str, float] = visitor.page.evaluate(PARITY.read_text(), [steps, _DREAM])
    print(
        f"largest difference of {steps} pictures: {apart['largest']} of 255; values that differ: {apart['share']:.1e}"
    )
    return apart


def test_a_thousand_steps_are_those_of_pytorch(site: Path, address: str, open_page: OpenPage) -> None:
    world_model, _ = load_world_model(pretrained.VAE, pretrained.MDN_RNN)
    apart = dream_twice(world_model, site, open_page(address).open(), 1000)
    assert apart["largest"] <= 1
    assert apart["share"] < 1e-3


def test_scaled_noise_is_temperature() -> None:
    """The graphs take noise scaled by the temperature instead of the temperature."""
    from mario_world_model.playground.onnx_models import Imagining

    world = small_world()
    state = situation(world, 9)
    network = world.mdn_rnn
    for temperature in (0.0, 0.3, 1.0, 1.7):
        noise = draw_noise((1,), 3, 1, network.latent_size, torch.Generator().manual_seed(2))
        scaled = MixtureNoise(noise.gumbel * temperature, noise.normal * temperature**0.5)
        with torch.inference_mode():
            expected, memory = world.imagine(state.latents, torch.tensor([2]), state.memory, noise, temperature)
            found = Imagining(world)(
                state.latents, torch.tensor([2]), state.memory.hidden, state.memory.cell, scaled.gumbel, scaled.normal
            )
        torch.testing.assert_close(found[0], expected.latents)
        torch.testing.assert_close(found[1], memory.hidden)
        torch.testing.assert_close(found[3], expected.reward)


def test_it_is_played_like_the_page_with_a_server(address: str, open_page: OpenPage) -> None:
    visitor = open_page(address).open("start=situation:0&seed=5&temperature=1&player=you")
    assert not visitor.page.is_visible("#game")
    visitor.steps(1)
    seen = []
    for _ in range(5):
        visitor.steps(1, "ArrowRight")
        seen.append(visitor.pixels("dream"))
    assert len(set(seen)) == 5
    for step in (3, 6, 2):
        visitor.drag("#scrub", step)
        assert visitor.pixels("dream") == seen[step - 2]
    visitor.steps(1, "ArrowRight")
    assert visitor.pixels("dream") == seen[1]
    visitor.page.click("summary")
    visitor.answer(lambda: visitor.page.locator("#sliders input").first.fill("2.5"))
    assert visitor.pixels("dream") != seen[1]
    visitor.press("r")
    visitor.drag("#temperature", 0)
    visitor.steps(1)
    visitor.steps(5, "ArrowRight")
    assert visitor.pixels("dream") != seen[-1]


def test_it_dreams_by_itself_on_a_phone(address: str, open_page: OpenPage) -> None:
    visitor = open_page(address, **PHONE).open()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == 390
    visitor.wait_for_steps(10)
    visitor.page.click("#players button:text-is('Chance')")
    visitor.page.wait_for_selector("#players [aria-pressed=true]:text-is('Chance')")


def test_its_film_can_be_taken_home(address: str, open_page: OpenPage, tmp_path: Path) -> None:
    visitor = open_page(address).open()
    visitor.page.click("#record")
    visitor.page.wait_for_timeout(800)
    with visitor.page.expect_download() as download:
        visitor.page.click("#record")
    download.value.save_as(tmp_path / "film")
    assert (tmp_path / "film").stat().st_size > 1000


def test_networks_of_another_kind_take_the_place_of_an_earlier_export(
    tmp_path: Path, site: Path, open_page: OpenPage
) -> None:
    del site
    world, output = small_world(joint=False), tmp_path / "site"
    save_world(tmp_path, world)
    output.mkdir()
    for name in ("world.json", "old.js"):
        (output / name).touch()
    flags = f"--vae {tmp_path}/v.pt --mdnrnn {tmp_path}/m.pt --controller {tmp_path}/c.pt --output {output}"
    assert cli.main(["export-web", *flags.split()]) == 0
    assert not (output / "old.js").exists()
    saved, _ = load_world_model(tmp_path / "v.pt", tmp_path / "m.pt")
    with served(output) as address:
        assert dream_twice(saved, output, open_page(address).open(), 30)["largest"] <= 1


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert cli.main(["export-web", "--output", str(tmp_path)]) == 2
    assert "expected an earlier export or nothing there" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_another_runtime_is_refused(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "other.tgz").write_bytes(b"something else")
    assert cli.main(["export-web", "--output", f"{tmp_path}/site", "--runtime", f"{tmp_path}/other.tgz"]) == 2
    assert "expected onnxruntime-web@1.30.0" in capsys.readouterr().err
