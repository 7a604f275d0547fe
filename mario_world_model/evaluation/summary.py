"""Figures over the episodes of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mario_world_model.evaluation.episodes import EpisodeScore


@dataclass(frozen=True)
class Summary:
    """Means over episodes; standard deviations are of the sample (n − 1)."""

    episodes: int
    mean_score: float
    std_score: float
    mean_max_x: float
    std_max_x: float
    best_max_x: int
    flag_rate: float
    mean_steps: float
    mean_frames: float


def summarise(scores: Sequence[EpisodeScore]) -> Summary:
    """Summary of at least one episode."""
    returns = np.array([score.score for score in scores])
    furthest = np.array([score.max_x for score in scores])
    return Summary(
        episodes=len(scores),
        mean_score=float(returns.mean()),
        std_score=_spread(returns),
        mean_max_x=float(furthest.mean()),
        std_max_x=_spread(furthest),
        best_max_x=int(furthest.max()),
        flag_rate=float(np.mean([score.flag for score in scores])),
        mean_steps=float(np.mean([score.steps for score in scores])),
        mean_frames=float(np.mean([score.frames for score in scores])),
    )


def _spread(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def describe(name: str, summary: Summary) -> str:
    """One line for the terminal."""
    return (
        f"{name}: mean score {summary.mean_score:.1f} ± {summary.std_score:.1f}, "
        f"mean max x {summary.mean_max_x:.0f} ± {summary.std_max_x:.0f} (best {summary.best_max_x}), "
        f"flag in {summary.flag_rate:.0%} of {summary.episodes} episodes, "
        f"{summary.mean_steps:.0f} steps = {summary.mean_frames:.0f} frames an episode"
    )
