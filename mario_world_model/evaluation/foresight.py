"""Whether M sees deaths coming: one step ahead on real latents, and many steps ahead on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from mario_world_model.models.mdn_rnn import DEATH, FLAG, Imagined
from mario_world_model.models.memory import Memory
from mario_world_model.models.mixture import draw_noise
from mario_world_model.models.world_model import Starts, WorldModel
from mario_world_model.rollouts.latents import LatentEpisode

LATE = 4
"""Steps by which a dream may be late with a death and still be right about it."""

_MEMORY_STEPS = 24  # real steps read before a dream begins; the LSTM has no use for more

Window = tuple[int, int]
"""Episode, and the frame in which a dream begins."""


@dataclass(frozen=True)
class OneStep:
    """Death predicted one step ahead, the truth fed until then."""

    recall: float
    """Share of deaths given a probability above one half."""
    precision: float
    """Share of such alarms that were deaths; 0 where there were none."""
    false_alarms: float
    """Per 1,000 survived steps."""
    auc: float
    """Chance that a death is given a higher probability than a survived step."""
    deaths: int
    steps: int


@dataclass(frozen=True)
class OpenLoop:
    """Death in dreams that begin `horizon` steps before a real death and are fed the real actions."""

    horizon: int
    temperature: float
    death: float | None
    """Mean probability of death by the step of the real one; None where no episode died."""
    death_late: float | None
    """The same by `LATE` steps after it, the last action held."""
    survived: float | None
    """Mean probability of death in as long a time (`horizon + LATE`) that was survived; None where none was."""
    deaths: int
    windows: int
    flag: float | None = None
    """Mean probability of the flag by `LATE` steps after a real one, in dreams that begin as long before it; None
    where no episode reached one."""
    flags: int = 0


@torch.no_grad()
def one_step(world_model: WorldModel, episodes: Sequence[LatentEpisode]) -> OneStep:
    """Over every step of some episodes, of which at least one died."""
    odds, died = [], []
    network = world_model.mdn_rnn
    for episode in episodes:
        latents = episode.posterior.mean[None, :-1].to(world_model.device)
        hidden, _ = network(latents, episode.actions[None].to(world_model.device), network.initial_memory(1))
        odds.append(network.predict(hidden, latents).ending_logits[0, :, DEATH].cpu())
        died.append(episode.endings[:, DEATH])
    logits, death = torch.cat(odds).numpy(), torch.cat(died).numpy() > 0
    hits, alarms = int((logits[death] > 0).sum()), int((logits > 0).sum())
    ranks = stats.mannwhitneyu(logits[death], logits[~death]).statistic
    return OneStep(
        recall=hits / int(death.sum()),
        precision=hits / alarms if alarms else 0.0,
        false_alarms=1000 * (alarms - hits) / int((~death).sum()),
        auc=float(ranks) / (float(death.sum()) * float((~death).sum())),
        deaths=int(death.sum()),
        steps=len(death),
    )


def open_loop(
    world_model: WorldModel,
    episodes: Sequence[LatentEpisode],
    horizon: int,
    temperature: float,
    seed: int,
    paths: int = 4,
) -> OpenLoop:
    """Dream before every death that has `horizon` steps before it, and in as many survived windows.

    `paths` dreams are drawn from each; at temperature 0 one is enough.
    """
    deaths = [
        (number, len(episode) - horizon)
        for number, episode in enumerate(episodes)
        if episode.endings[-1, DEATH] and len(episode) >= horizon
    ]
    flags = [
        (number, len(episode) - horizon)
        for number, episode in enumerate(episodes)
        if episode.endings[-1, FLAG] and len(episode) >= horizon
    ]
    survived = survived_windows(episodes, horizon + LATE, max(len(deaths), 200), np.random.default_rng(seed))
    chances = [
        dreamt_ending(
            world_model, episodes, windows, horizon + LATE, temperature, seed, paths if temperature else 1, ending
        )
        for windows, ending in ((deaths, DEATH), (survived, DEATH), (flags, FLAG))
    ]
    return OpenLoop(
        horizon=horizon,
        temperature=temperature,
        death=_mean(chances[0][:, horizon - 1]),
        death_late=_mean(chances[0][:, -1]),
        survived=_mean(chances[1][:, -1]),
        deaths=len(deaths),
        windows=len(survived),
        flag=_mean(chances[2][:, -1]),
        flags=len(flags),
    )


def _mean(chances: NDArray[np.float64]) -> float | None:
    return float(chances.mean()) if len(chances) else None


def survived_windows(
    episodes: Sequence[LatentEpisode], steps: int, count: int, rng: np.random.Generator
) -> list[Window]:
    """Beginnings of windows of `steps` steps after which Mario still lives."""
    rooms = np.array([max(0, len(episode) - steps) for episode in episodes], dtype=np.float64)
    if not rooms.any():
        return []
    drawn = rng.choice(len(episodes), count, p=rooms / rooms.sum())
    return [(int(number), int(rng.integers(rooms[number]))) for number in drawn]


@torch.no_grad()
def dreamt_ending(
    world_model: WorldModel,
    episodes: Sequence[LatentEpisode],
    windows: Sequence[Window],
    steps: int,
    temperature: float,
    seed: int,
    paths: int,
    ending: int = DEATH,
) -> NDArray[np.float64]:
    """Probability (N, steps) that each of N dreams, fed the real actions, has come to an ending by each of its steps.

    The mean over `paths` dreams a window. Where an episode has ended its last action is held.
    """
    if not windows:
        return np.empty((0, steps))
    alive = torch.ones(paths * len(windows), device=world_model.device)
    over = []
    for imagined in dreamt(world_model, episodes, windows, steps, temperature, seed, paths):
        alive = alive * (1.0 - torch.sigmoid(imagined.ending_logits[:, ending]))
        over.append(1.0 - alive)
    by_path = torch.stack(over, dim=1).reshape(paths, len(windows), steps)
    chances: NDArray[np.float64] = by_path.mean(dim=0).double().cpu().numpy()
    return chances


def dreamt(
    world_model: WorldModel,
    episodes: Sequence[LatentEpisode],
    windows: Sequence[Window],
    steps: int,
    temperature: float,
    seed: int,
    paths: int = 1,
) -> Iterator[Imagined]:
    """Each of some steps of `paths` dreams a window (paths·N rows, the windows in turn), fed the real actions."""
    network = world_model.mdn_rnn
    latents, memory, actions = situations(world_model, episodes, windows, steps)
    latents, memory, actions = latents.repeat(paths, 1), memory.repeat(paths), actions.repeat(paths, 1)
    luck = torch.Generator(device=world_model.device).manual_seed(seed)
    for step in range(steps):
        noise = draw_noise((len(latents),), network.config.mixtures, network.choices, network.latent_size, luck)
        imagined, memory = world_model.imagine(latents, actions[:, step], memory, noise, temperature)
        latents = imagined.latents
        yield imagined


@torch.no_grad()
def situations(
    world_model: WorldModel, episodes: Sequence[LatentEpisode], windows: Sequence[Window], steps: int
) -> tuple[Tensor, Memory, Tensor]:
    """Latents (N, Z) and memory at the beginnings of windows, and the actions (N, steps) taken from there."""
    device = world_model.device
    before = torch.zeros(len(windows), _MEMORY_STEPS, world_model.mdn_rnn.latent_size)
    taken = torch.zeros(len(windows), _MEMORY_STEPS, dtype=torch.int64)
    lengths = torch.zeros(len(windows), dtype=torch.int64)
    here, ahead = [], []
    for row, (number, first) in enumerate(windows):
        episode = episodes[number]
        length = min(first, _MEMORY_STEPS)
        before[row, _MEMORY_STEPS - length :] = episode.posterior.mean[first - length : first]
        taken[row, _MEMORY_STEPS - length :] = episode.actions[first - length : first]
        lengths[row] = length
        here.append(episode.posterior.mean[first])
        actions = episode.actions[first : first + steps]
        ahead.append(torch.cat([actions, actions[-1:].expand(steps - len(actions))]))
    latents = torch.stack(here)
    history = Starts(torch.cat([before, latents.unsqueeze(1)], dim=1), taken, lengths).to(device)
    latents, memory = world_model.recall(history)
    return latents, memory, torch.stack(ahead).to(device)
