"""Environment ids and their registration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

import mario_world_model
from mario_world_model.emulation.stages import EnvId, all_env_ids, area_of, parse_env_id
from mario_world_model.errors import InputError
from mario_world_model.registration import register_environments


def test_ids_read_back() -> None:
    ids = list(all_env_ids())
    assert len({str(env_id) for env_id in ids}) == len(ids) == 4 * 34
    assert all(parse_env_id(str(env_id)) == env_id for env_id in ids)
    assert parse_env_id("SuperMarioBros-7-2-v3") == EnvId((7, 2), "rectangle")
    assert parse_env_id("SuperMarioBrosRandomStages-v1") == EnvId("random", "downsample")
    assert parse_env_id("SuperMarioBros-v0") == EnvId(None, "vanilla")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "SuperMarioBros-9-1-v0",
        "SuperMarioBros-1-5-v0",
        "SuperMarioBros-1-1-v4",
        "SuperMarioBros-1-1",
        "SuperMarioBros-1-1-v0\n",
        "SuperMarioBros2-v0",
    ],
)
def test_unknown_id_is_refused_in_one_line(bad: str) -> None:
    with pytest.raises(InputError, match=r"^env: expected SuperMarioBros-<world") as caught:
        parse_env_id(bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("world", "stage", "area"), [(1, 1, 1), (1, 2, 3), (2, 4, 5), (3, 2, 2), (4, 3, 4), (7, 2, 3), (8, 4, 4)]
)
def test_area_counts_the_interludes(world: int, stage: int, area: int) -> None:
    assert area_of(world, stage) == area


def test_registering_twice_is_silent() -> None:
    register_environments()
    register_environments()
    assert all(str(env_id) in gymnasium.registry for env_id in all_env_ids())


def test_gymnasium_finds_the_ids_by_the_module_name() -> None:
    code = (
        "import sys, gymnasium\n"
        "assert 'SuperMarioBros-8-4-v3' not in gymnasium.registry\n"
        "import mario_world_model.registration\n"
        "assert gymnasium.spec('SuperMarioBros-8-4-v3').kwargs == {'target': (8, 4), 'mode': 'rectangle'}\n"
        "assert not {'torch', 'cv2', 'stable_retro'} & set(sys.modules)\n"
    )
    root = Path(mario_world_model.__file__).parents[1]
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.usefixtures("rom")
def test_gymnasium_makes_one_by_module_and_id() -> None:
    env = gymnasium.make("mario_world_model.registration:SuperMarioBros-2-1-v3")
    assert env.unwrapped.spec is not None
    env.close()
