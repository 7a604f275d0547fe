"""Small networks that say how a step ends, from what is seen in it alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTH = 128
_DROPOUT = 0.3
_LEAST = 1e-3


class EndingHeads(nn.Module):
    """An ensemble (Lakshminarayanan et al. 2017) whose mean probability is believed.

    Deaths are few, and an LSTM that has read an episode can tell it from all others: whatever reads its units learns
    by heart which of them ended. Here there is no episode to recognise, only a present latent, its change and an
    action, and what the members have learnt by heart all the same they do not agree on.
    """

    def __init__(self, inputs: int, count: int, endings: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Linear(inputs, _WIDTH),
                nn.GELU(),
                nn.Dropout(_DROPOUT),
                nn.Linear(_WIDTH, _WIDTH),
                nn.GELU(),
                nn.Dropout(_DROPOUT),
                nn.Linear(_WIDTH, endings),
            )
            for _ in range(count)
        )
        # They are fitted apart (`training.fit_endings`), and fixed while the rest of M learns.
        self.requires_grad_(False).eval()

    mean: Tensor
    deviation: Tensor

    def train(self, mode: bool = True) -> EndingHeads:
        """They drop nothing while the rest of M learns: whoever fits a member says so to that member."""
        del mode
        return super().train(False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Log odds (..., E) of the members' mean probability, from inputs (..., I)."""
        # Of members that multiply in bfloat16 as well (`MDNRNN.in_bfloat16`) the odds have all bits.
        scaled = self.scaled(inputs).to(next(self.members.parameters()).dtype)
        return mean_odds(torch.stack([member(scaled).to(inputs.dtype) for member in self.members]))

    def scaled(self, inputs: Tensor) -> Tensor:
        """Inputs in units of their deviation over the data."""
        return (inputs - self.mean) / self.deviation

    def fit_scale(self, inputs: Tensor) -> None:
        """Take mean and deviation from inputs (N, I)."""
        self.mean.copy_(inputs.mean(dim=0))
        # What never differs in the data may differ in a dream, and is not to count for more than all else then.
        self.deviation.copy_(inputs.std(dim=0).clamp(min=_LEAST))


def mean_odds(odds: Tensor) -> Tensor:
    """Log odds (...) of the mean probability of K opinions, log odds (K, ...)."""
    ends, goes_on = (functional.logsigmoid(sign * odds).logsumexp(dim=0) for sign in (1.0, -1.0))
    return ends - goes_on
