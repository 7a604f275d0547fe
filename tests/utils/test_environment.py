"""The environment as Gymnasium, Stable-Baselines3 and the stages use it."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3.common.env_checker
from gymnasium.utils.env_checker import check_env

from mario_world_model.config import BackendChoice, GameConfig, ViewConfig
from mario_world_model.emulation.truth import TRUTH_FIELDS
from mario_world_model.errors import InputError
from mario_world_model.utils.environment import MarioEnv, make_env, make_vector_env

pytestmark = pytest.mark.usefixtures("rom")

Step = tuple[bytes, float, bool, dict[str, Any]]


def play(env: gymnasium.Env[Any, Any], actions: list[int], seed: int | None = None) -> list[Step]:
    """Reset with ``seed``, then ``actions``; what was seen at each step, resetting at ends."""
    screen, info = env.reset(seed=seed)
    steps: list[Step] = [(screen.tobytes(), 0.0, False, info)]
    for action in actions:
        screen, reward, done, truncated, info = env.step(action)
        assert not truncated
        steps.append((screen.tobytes(), float(reward), done, info))
        if done:
            env.reset()
    return steps


def some_actions(count: int) -> list[int]:
    return np.random.default_rng(0).integers(7, size=count).tolist()


@pytest.mark.parametrize("view", [None, ViewConfig(), ViewConfig(size=84, grey=True, stack=4)])
def test_checkers_find_nothing(view: ViewConfig | None, recwarn: pytest.WarningsRecorder) -> None:
    env = make_env(GameConfig(), view, render_mode="rgb_array")
    check_env(env.unwrapped if view is None else env, skip_render_check=False)
    stable_baselines3.common.env_checker.check_env(env)
    env.close()
    # Gymnasium's checker would rather see unwrapped environments; it has seen one.
    messages = [str(warning.message) for warning in recwarn]
    assert not [message for message in messages if "has a wrapper applied" not in message]


def test_reset_is_the_start_of_play(backend: BackendChoice) -> None:
    env = MarioEnv((1, 1), backend=backend)
    screen, info = env.reset()
    assert env.backend == backend
    assert env.observation_space.contains(screen)
    of_7_4_0 = ["coins", "flag_get", "life", "score", "stage", "status", "time", "world", "x_pos", "y_pos"]
    assert list(info) == [*of_7_4_0, "executed_action"]
    assert (info["x_pos"], info["y_pos"], info["life"], info["status"]) == (40, 79, 2, "small")
    assert info["time"] in (399, 400)
    assert env.truth().shape == (len(TRUTH_FIELDS),)
    env.close()


def test_held_frames_are_single_frames_summed(backend: BackendChoice) -> None:
    actions = [3] * 30
    single, held = (MarioEnv((1, 1), backend=backend, frame_skip=skip) for skip in (1, 4))
    by_four = play(held, actions)
    held.close()
    by_one = play(single, [action for action in actions for _ in range(4)])
    single.close()
    for index in range(1, len(by_four)):
        frames = by_one[4 * index - 3 : 4 * index + 1]
        done = next((place for place, step in enumerate(frames) if step[2]), 3)
        assert by_four[index][1] == sum(step[1] for step in frames[: done + 1])
        assert by_four[index][0] == frames[done][0]
        assert by_four[index][2:] == frames[done][2:]
        if by_four[index][2]:
            return
    pytest.fail("running into the first goomba should have ended the episode")


def test_step_after_the_end_is_refused() -> None:
    env = MarioEnv((1, 1), frame_skip=60)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset()
    while not env.step(3)[2]:
        pass
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(3)
    env.close()


@pytest.mark.parametrize("settings", [{}, {"sticky": 0.5, "noops": 30}, {"target": "random"}])
def test_a_seed_fixes_everything(backend: BackendChoice, settings: dict[str, Any]) -> None:
    env = MarioEnv(**{"target": (1, 1), "frame_skip": 4, "backend": backend, **settings})
    actions = some_actions(30)
    first = play(env, actions, seed=5)
    assert play(env, actions, seed=5) == first
    others = [play(env, actions, seed=seed) for seed in (6, 7, 8)]
    assert (settings == {}) == all(other == first for other in others)
    env.close()


def test_sticky_repeats_the_executed_action() -> None:
    env = MarioEnv((1, 1), sticky=0.25)
    env.reset(seed=0)
    given, repeats, last = some_actions(1500), 0, 0
    for action in given:
        _, _, done, _, info = env.step(action)
        executed = info["executed_action"]
        assert executed in (action, last)
        repeats += executed != action
        last = executed
        if done:
            _, info = env.reset()
            last = info["executed_action"]
            assert last == 0
    env.close()
    # A repeat shows in 6 of 7 cases; four standard deviations of the binomial.
    assert abs(repeats / len(given) - 0.25 * 6 / 7) < 0.045


def test_noops_vary_the_start() -> None:
    env = MarioEnv((1, 1), noops=30)
    env.reset(seed=0)
    starts = {env.reset()[0].tobytes() for _ in range(12)}
    env.close()
    assert len(starts) > 3


def test_state_continues_identically(backend: BackendChoice) -> None:
    env, other = (MarioEnv((1, 1), frame_skip=4, backend=backend) for _ in range(2))
    actions = some_actions(40)
    play(env, actions[:20])
    screen, state = env.unwrapped.render(), env.save_state()
    assert screen is None

    def go_on(which: MarioEnv) -> list[Any]:
        seen = [which.step(action) for action in actions]
        return [(screen.tobytes(), *rest) for screen, *rest in seen]

    future = go_on(env)
    env.reset()
    env.load_state(state)
    assert go_on(env) == future
    other.reset()
    assert other.load_state(state).tobytes() != future[0][0]
    assert go_on(other) == future
    env.close()
    other.close()


def test_state_of_something_else_is_refused() -> None:
    env = MarioEnv((1, 1))
    env.reset()
    for state in (b"", b"mario/1\n", b"something else", env.save_state()[:100]):
        with pytest.raises(InputError, match=r"^state: expected"):
            env.load_state(state)
    env.close()


def test_a_state_that_was_tampered_with_is_refused_and_changes_nothing() -> None:
    pytest.importorskip("stable_retro", reason="stable-retro is not installed")
    env = MarioEnv((1, 1), backend="stable-retro")
    env.reset()
    sound = env.save_state()
    tag = sound.index(b"stable-retro/1\n") + len(b"stable-retro/1\n")
    length = int.from_bytes(sound[tag : tag + 4], "little")
    memory = sound[tag + 4 + length :]
    bomb = zlib.compress(bytes(100_000_000))
    for state, says in (
        (sound[:tag] + (4).to_bytes(4, "little") + b"zlib" + memory, "found a damaged picture"),
        (sound[:tag] + len(bomb).to_bytes(4, "little") + bomb + memory, "found another size"),
        (sound[:tag] + (2**31).to_bytes(4, "little") + sound[tag + 4 :], "found 0 bytes the core refuses"),
        (sound[:16] + b"\xff" + sound[17:], "expected a last action below"),
        (sound[:10], "found 2 bytes of one"),
    ):
        with pytest.raises(InputError, match=says):
            env.load_state(state)
        assert env.save_state() == sound
    env.close()


def test_two_environments_interleaved_are_as_each_alone(backend: BackendChoice) -> None:
    settings: dict[str, Any] = {"frame_skip": 4, "backend": backend}
    actions = some_actions(25)
    alone = []
    for target in ((1, 1), (1, 2)):
        env = MarioEnv(target, **settings)
        alone.append(play(env, actions))
        env.close()
    first, second = MarioEnv((1, 1), **settings), MarioEnv((1, 2), mode="vanilla", **settings)
    together: list[list[Step]] = [[], []]
    for env, steps in zip((first, second), together, strict=True):
        screen, info = env.reset()
        steps.append((screen.tobytes(), 0.0, False, info))
    for action in actions:
        for env, steps in zip((first, second), together, strict=True):
            screen, reward, done, _, info = env.step(action)
            steps.append((screen.tobytes(), reward, done, info))
            if done:
                env.reset()
    assert together == alone
    first.close()
    second.close()


def test_vector_environment_is_its_single_ones() -> None:
    game, view = GameConfig(sticky=0.25, noops=10), ViewConfig()
    actions = some_actions(30)
    singles = []
    for seed in (3, 4):
        env = make_env(game, view)
        observation, _ = env.reset(seed=seed)
        steps = [(observation.tobytes(), 0.0)]
        for action in actions:
            observation, reward, done, _, _ = env.step(action)
            steps.append((observation.tobytes(), float(reward)))
            assert not done, "choose other actions"
        singles.append(steps)
        env.close()
    many = make_vector_env(game, view, count=2)
    observations, _ = many.reset(seed=3)
    assert observations.shape == (2, 64, 64, 3)
    together = [[(observation.tobytes(), 0.0)] for observation in observations]
    for action in actions:
        observations, rewards, _, _, _ = many.step(np.array([action, action]))
        for index in range(2):
            together[index].append((observations[index].tobytes(), float(rewards[index])))
    many.close()
    assert together == singles


def test_a_death_among_the_noops_is_taken_back() -> None:
    env = MarioEnv((1, 2), noops=600)  # a goomba reaches the waiting Mario after 316 frames
    draws = iter([600, 0])
    env.reset(seed=0)
    env.np_random = SimpleNamespace(integers=lambda _high: next(draws))  # type: ignore[assignment]
    after_death, _ = env.reset()
    at_once, _ = env.reset()
    np.testing.assert_array_equal(after_death, at_once)
    assert not env.step(0)[2]
    env.close()


def test_random_stages_vary_and_come_back() -> None:
    env = MarioEnv("random")
    first = [(info["world"], info["stage"]) for info in (env.reset(seed=1)[1], *(env.reset()[1] for _ in range(5)))]
    again = [(info["world"], info["stage"]) for info in (env.reset(seed=1)[1], *(env.reset()[1] for _ in range(5)))]
    env.close()
    assert first == again
    assert len(set(first)) > 3


@pytest.mark.parametrize("version", range(4))
def test_every_mode_starts(version: int, backend: BackendChoice) -> None:
    env = make_env(GameConfig(env=f"SuperMarioBros-2-1-v{version}", noops=0, backend=backend))
    _, info = env.reset()
    env.close()
    assert (info["world"], info["stage"], info["x_pos"]) == (2, 1, 40)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": (9, 1)}, r"target: expected \(1..8, 1..4\), 'random' or None, found \(9, 1\)"),
        ({"mode": "sepia"}, "mode: expected one of vanilla, .* found 'sepia'"),
        ({"actions": "FLY"}, "actions: expected one of"),
        ({"frame_skip": 0}, "frame_skip: expected 1 to 60, found 0"),
        ({"sticky": 1.5}, "sticky: expected 0 to 1, found 1.5"),
        ({"noops": -1}, "noops: expected 0 to 600, found -1"),
        ({"backend": "mame"}, "backend: expected auto, stable-retro or nes-py, found 'mame'"),
        ({"render_mode": "ansi"}, "render_mode: expected human, rgb_array or None, found 'ansi'"),
        ({"rom": Path("nowhere.nes")}, "ROM .*: expected a file, found nothing at nowhere.nes"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        MarioEnv(**settings)


def test_bad_id_and_count_are_refused() -> None:
    with pytest.raises(InputError, match=r"^env: expected"):
        make_env(GameConfig(env="SuperMarioBros-1-9-v0"))
    with pytest.raises(InputError, match=r"^count: expected"):
        make_vector_env(GameConfig(), None, count=0)


def test_human_mode_without_a_display_plays_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_display(_name: str) -> Any:
        raise ImportError("no display")

    monkeypatch.setattr("mario_world_model.utils.window.importlib.import_module", no_display)
    with caplog.at_level(logging.WARNING):
        env = MarioEnv((1, 1), render_mode="human", frame_skip=4)
        env.reset()
        env.step(1)
        env.close()
    assert [record.getMessage() for record in caplog.records] == ["no window for Super Mario Bros: no display"]


def test_human_mode_shows_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    class FakeWindow:
        context = object()

        def __init__(self, width: int, height: int, **_: Any) -> None:
            assert (width, height) == (480, 448)

        def switch_to(self) -> None: ...
        def dispatch_events(self) -> None: ...
        def flip(self) -> None: ...
        def close(self) -> None:
            shown.append("closed")

    class FakeImage:
        def __init__(self, width: int, height: int, *_: Any, **__: Any) -> None:
            assert (width, height) == (240, 224)

        def blit(self, *_: Any, **__: Any) -> None:
            shown.append("frame")

    pyglet = SimpleNamespace(window=SimpleNamespace(Window=FakeWindow), image=SimpleNamespace(ImageData=FakeImage))
    monkeypatch.setattr("mario_world_model.utils.window.importlib.import_module", lambda _name: pyglet)
    env = MarioEnv((1, 1), render_mode="human", frame_skip=4)
    env.reset()
    env.step(1)
    FakeWindow.context = None  # type: ignore[assignment]  # the user closes the window; play goes on
    env.step(1)
    env.step(1)
    env.close()
    assert shown == ["frame"] * 5 + ["closed"]
