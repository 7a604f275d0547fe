"""Every environment id of the project, made known to Gymnasium by importing this module.

Gymnasium 1 finds no plug-ins by itself any more; it does import a module that is named in an id:
`gymnasium.make("mario_world_model.registration:SuperMarioBros-1-1-v0")`.
"""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

from mario_world_model.emulation.stages import all_env_ids

DREAM_ID = "MarioDream-v0"


def register_environments() -> None:
    """Register all ids; those already known stay as they are, so that calling twice is harmless.

    Entry points are strings, resolved when one is made: the ids are known without loading an emulator.
    """
    for env_id in all_env_ids():
        if str(env_id) not in registry:
            register(
                id=str(env_id),
                entry_point="mario_world_model.utils.environment:MarioEnv",
                kwargs={"target": env_id.target, "mode": env_id.mode},
            )
    if DREAM_ID not in registry:
        register(id=DREAM_ID, entry_point="mario_world_model.dream_env:make_dream_env")


register_environments()
