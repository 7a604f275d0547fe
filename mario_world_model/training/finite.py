"""A training stops before it spoils its weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mario_world_model.errors import InputError


def require_finite(loss: Tensor | None, parameters: Iterable[nn.Parameter], where: str) -> Tensor:
    """Refuse a loss, where it is at hand, or a gradient that is not finite; `where` names stage, step and batch.

    Called between the backward pass and the optimiser's step, which it prevents. Returns the norm of all gradients.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    found = {"gradient": norm} if loss is None else {"loss": loss.detach(), "gradient": norm}
    finite = torch.isfinite(torch.stack(list(found.values())))
    if not bool(finite.all()):  # the one time in an update that a GPU is waited for
        what = list(found)[finite.tolist().index(False)]
        raise InputError(
            f"{where}: expected a finite {what}, found {found[what].item()}; a lower --learning-rate may help"
        )
    return norm
