"""The page in a real browser: what a visitor does, and what he sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio

from mario_world_model.rollouts.dataset import open_dataset
from tests.browser import PHONE
from tests.playground.conftest import Page, Server

OpenPage = Callable[..., Page]
START = "start=1-1&seed=5&temperature=1&player=you"


def test_keys_move_mario_in_game_and_dream(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open(START)
    assert visitor.page.is_visible(".legend")
    assert visitor.page.text_content("#game-end") == "Press a key to play"
    visitor.steps(12)
    idle = [visitor.pixels(canvas) for canvas in ("game", "dream")]
    visitor.press("r")
    visitor.steps(1)
    visitor.steps(11, "ArrowRight")
    assert visitor.step == 12
    for canvas, pixels in zip(("game", "dream"), idle, strict=True):
        assert visitor.pixels(canvas) != pixels


def test_the_first_key_begins_the_game_and_is_timed(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open(START)
    visitor.page.keyboard.press("x")
    visitor.page.wait_for_selector("#status:text-matches('key to picture [0-9]+ ms')")
    assert visitor.page.text_content("#pause") == "Pause"
    assert not visitor.page.is_visible("#game-end")


def test_sync_brings_the_difference_to_zero(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open(START)
    visitor.steps(12)
    assert any(_colours(visitor.pixels("difference")))
    visitor.press("c")
    assert not any(_colours(visitor.pixels("difference")))
    assert visitor.page.text_content("#drift-now") == "0.0 %"


def test_going_back_shows_the_same_pixels_and_another_way_on(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open(START)
    seen = []
    for _ in range(8):
        visitor.steps(1)
        seen.append([visitor.pixels(canvas) for canvas in ("game", "dream", "difference")])
    for step in (3, 8, 1):
        visitor.drag("#scrub", step)
        assert visitor.step == step
        assert [visitor.pixels(canvas) for canvas in ("game", "dream", "difference")] == seen[step - 1]
    # The same luck and the same keys: the same future. Another key: another one.
    visitor.steps(1)
    assert visitor.pixels("dream") == seen[1][1]
    visitor.steps(1, "ArrowRight")
    assert visitor.step == 3
    assert visitor.pixels("dream") != seen[2][1]
    assert visitor.page.get_attribute("#scrub", "max") == "3"


def test_temperature_changes_the_dream_and_a_link_repeats_it(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open(START)
    visitor.steps(1)
    visitor.steps(9, "ArrowRight")
    hot = visitor.pixels("dream")
    visitor.page.click("#share")
    link = visitor.page.url.split("#")[1]
    assert "plays=0x1.1x9" in link
    again = open_page(server.address).open(link)
    again.page.keyboard.press("p")
    again.page.wait_for_selector("#pause:text-is('Play')")
    again.page.wait_for_timeout(300)  # for a step that was on its way
    again.drag("#scrub", 10) if again.step >= 10 else again.steps(10 - again.step)
    assert again.pixels("dream") == hot
    visitor.press("r")
    visitor.drag("#temperature", 0)
    visitor.steps(1)
    visitor.steps(9, "ArrowRight")
    assert visitor.pixels("dream") != hot
    assert visitor.page.text_content("#dream-about") == "likeliest path"


def test_a_number_of_the_latent_can_be_turned_and_is_painted(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open(START)
    visitor.steps(1)
    before = visitor.pixels("dream")
    visitor.page.click("summary")
    slider = visitor.page.locator("#sliders input").first
    visitor.answer(lambda: slider.fill("2.5"))
    assert visitor.pixels("dream") != before
    assert float(slider.input_value()) == 2.5


def test_others_play_and_a_key_takes_over(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open("start=1-1@1200&seed=3&player=controller")
    assert visitor.page.text_content("#players [aria-pressed=true]") == "Controller"
    for name in ("Chance", "Dreamer"):
        visitor.page.click(f"#players button:text-is('{name}')")
        visitor.page.wait_for_selector(f"#players [aria-pressed=true]:text-is('{name}')")
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.wait_for_selector("#players [aria-pressed=true]:text-is('You')")
    before = visitor.step
    visitor.page.wait_for_selector(f'body:not([data-step="{before}"])')


def test_two_visitors_do_not_disturb_each_other(server: Server, open_page: OpenPage) -> None:
    alone = open_page(server.address).open(START)
    alone.steps(4)
    expected = alone.pixels("dream"), alone.pixels("game")
    one, other = (
        open_page(server.address).open(START),
        open_page(server.address).open("start=1-1@800&seed=9&player=you"),
    )
    for _ in range(4):
        one.steps(1)
        other.steps(1)
    assert (one.pixels("dream"), one.pixels("game")) == expected
    assert other.pixels("game") != expected[1]
    assert other.pixels("dream") != expected[0]


def test_a_fourth_visitor_is_told_that_every_seat_is_taken(server: Server, open_page: OpenPage) -> None:
    visitors = [open_page(server.address).open(START) for _ in range(3)]
    fourth = open_page(server.address)
    answer = fourth.page.goto(server.address)
    assert answer.status == 503
    assert fourth.page.text_content("h1") == "Every seat is taken"
    fourth.complaints.clear()  # the browser says that it was refused
    visitors[0].context.close()
    for _ in range(100):
        if fourth.page.goto(server.address).status == 200:
            break
        fourth.page.wait_for_timeout(50)
    fourth.complaints.clear()
    fourth.page.wait_for_selector("body[data-step]")


def test_what_was_played_is_kept_and_recorded(server: Server, open_page: OpenPage, kept: Path, tmp_path: Path) -> None:
    visitor = open_page(server.address).open(START)
    visitor.steps(1)
    for form, height in (("gif", 192), ("mp4", 320)):
        visitor.page.select_option("#record-format", form)
        visitor.answer(lambda: visitor.page.click("#record"))
        visitor.steps(6, "ArrowRight")
        with visitor.page.expect_download() as download:
            visitor.page.click("#record")
        download.value.save_as(tmp_path / f"dream.{form}")
        film = iio.imread(tmp_path / f"dream.{form}", index=None)
        assert film.shape[:2] == (6, height)
        visitor.page.wait_for_selector("#record:text-is('Record')")
    visitor.page.click("#keep")
    visitor.page.wait_for_selector("#notice:text-matches('Kept 13 steps')")
    episode = open_dataset(kept).episodes[-1]
    assert episode.info.policy == "human"
    assert list(episode.actions) == [0, *[1] * 12]
    assert episode.column("x")[-1] > episode.column("x")[0]


def test_a_phone_needs_no_sideways_scrolling_and_has_a_pad(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address, **PHONE, color_scheme="dark").open(START)
    width = visitor.page.evaluate("document.documentElement.scrollWidth")
    assert width == visitor.page.evaluate("innerWidth") == 390
    cross = visitor.page.locator("#cross").bounding_box()
    assert cross is not None
    visitor.page.touchscreen.tap(cross["x"] + 0.85 * cross["width"], cross["y"] + cross["height"] / 2)
    visitor.page.wait_for_selector("#pause:text-is('Pause')")
    for button in ("#pause", "#step", "#sync", "#again", "#keep"):
        box = visitor.page.locator(button).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    assert visitor.page.is_visible("#difference") is False
    visitor.page.click("#difference-switch")
    assert visitor.page.is_visible("#difference")


def test_the_game_can_be_shown_at_sixty_and_as_the_model_sees_it(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open(START)
    visitor.page.check("#smooth")
    visitor.steps(2)
    assert visitor.page.evaluate("document.getElementById('game').width") == 240
    visitor.answer(lambda: visitor.page.click("#as-seen"))
    assert visitor.page.evaluate("document.getElementById('game').width") == 64
    visitor.press("c")
    assert visitor.pixels("game") == visitor.pixels("dream")


def test_another_stage_can_be_chosen(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open(START)
    first = visitor.pixels("game")
    visitor.page.select_option("#stage", "1-2")
    visitor.answer(lambda: visitor.page.click("#begin"))
    assert visitor.pixels("game") != first
    assert re.search("start=1-2", visitor.page.url)
    visitor.page.select_option("#start-kind", "situation")
    visitor.page.fill("#situation", "7")
    visitor.answer(lambda: visitor.page.click("#begin"))
    assert visitor.page.is_disabled("#sync")


def test_a_link_to_what_there_is_not_begins_at_home(server: Server, open_page: OpenPage) -> None:
    visitor = open_page(server.address).open("start=data:3:9&seed=oops&player=ppo&plays=zzz")
    assert visitor.page.text_content("#notice").startswith("player: expected one of you, controller")
    assert "start=1-1" in visitor.page.url
    assert visitor.page.text_content("#players [aria-pressed=true]") == "You"


def _colours(rgba: bytes) -> bytes:
    """All bytes but the alphas."""
    return bytes(value for index, value in enumerate(rgba) if index % 4 != 3)
