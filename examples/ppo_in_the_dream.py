"""Train somebody else's algorithm inside the dream, and let it play the real game.

    python examples/ppo_in_the_dream.py

PPO of stable-baselines3 meets nothing but what the world model that comes with the package makes up. What it has
learned is then played in the real game, beside a uniformly random agent in the same episodes. The file it leaves
is an agent like any other:

    mario-world-model evaluate --policy dream_ppo.zip --trust --video dream_ppo.mp4
"""

from __future__ import annotations

from pathlib import Path

import gymnasium
import tyro
from stable_baselines3 import PPO

import mario_world_model.registration  # noqa: F401  # makes the ids known
from mario_world_model.config import EvaluateConfig
from mario_world_model.evaluation.summary import describe
from mario_world_model.training.evaluate import evaluate


def main(timesteps: int = 20_000, episodes: int = 20, output: Path = Path("dream_ppo.zip")) -> None:
    """Train in the dream, play in the game.

    Args:
        timesteps: Dreamt steps to learn from.
        episodes: Real episodes to play, of at most 600 steps each.
        output: Archive of stable-baselines3 to write.
    """
    dream = gymnasium.make("MarioDream-v0")  # vae=…, mdnrnn=… for a world model of your own
    dream = gymnasium.wrappers.TransformReward(dream, lambda reward: float(reward) / 15)  # a step at full speed is 12
    agent = PPO("CnnPolicy", dream, n_steps=128, batch_size=64, gamma=0.9, ent_coef=0.02, seed=0, verbose=1)
    agent.learn(timesteps)
    agent.save(output)

    for name in (str(output), "uniform"):
        played = evaluate(EvaluateConfig(policy=name, trust=True, episodes=episodes, max_steps=600))
        print(describe(name, played.summary))


if __name__ == "__main__":  # the episodes are played in processes of their own, which import this file
    tyro.cli(main)
