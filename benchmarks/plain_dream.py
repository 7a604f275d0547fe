"""Dreams one at a time, as most would write them from the paper: whole mixtures, one candidate, step by step."""

from __future__ import annotations

import torch
from torch import Tensor

from mario_world_model.config import DreamConfig
from mario_world_model.models.controller import Controllers
from mario_world_model.models.mixture import draw_gumbel, draw_noise
from mario_world_model.models.world_model import WorldModel


@torch.no_grad()
def plain_dream(world: WorldModel, config: DreamConfig, controller: Controllers, number: int) -> tuple[float, int]:
    """The return of one controller's dream from start state `number`, and the steps that it took."""
    network, luck = world.mdn_rnn, torch.Generator().manual_seed(number)
    some, row = world.starts, slice(number, number + 1)
    latents, memory = world.recall(type(some)(some.latents[row], some.actions[row], some.lengths[row]))
    played: Tensor = some.actions[row, -1]
    total, steps = 0.0, 0
    while steps < config.horizon:
        steps += 1
        features = world.features_of(latents, memory.hidden).unsqueeze(0)
        action = controller.act(features, draw_gumbel((network.actions,), luck))[0]
        if float(torch.rand((), generator=luck)) >= config.dream_sticky:
            played = action
        memory = world.remember(latents, played, memory)
        prediction = network.predict(memory.hidden, latents)
        noise = draw_noise((1,), network.config.mixtures, network.choices, network.latent_size, luck)
        latents = prediction.latent.sample(noise, config.temperature)
        total += float(prediction.reward)
        if float(torch.rand((), generator=luck)) < float(torch.sigmoid(prediction.ending_logits).sum()):
            break
    return total, steps
