"""Plans: what a player who looks ahead could do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Plans:
    """A sequences of actions, of one step or more each."""

    actions: Tensor
    """int64 (A, L); a plan's row is padded behind its last action."""
    lengths: Tensor
    """int64 (A,), 1 to L steps."""

    @classmethod
    def held(cls, actions: Tensor, steps: int) -> Plans:
        """Each of some actions int64 (A,), for so many steps."""
        return cls(actions.unsqueeze(1).expand(-1, steps), torch.full_like(actions, steps))

    @classmethod
    def all_of(cls, parts: Sequence[Plans]) -> Plans:
        """The plans of all parts, in their order."""
        longest = max(part.actions.shape[1] for part in parts)
        padded = [functional.pad(part.actions, (0, longest - part.actions.shape[1])) for part in parts]
        return cls(torch.cat(padded), torch.cat([part.lengths for part in parts]))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: Tensor | int) -> Plans:
        """Some of the plans, rows int64 (N,), or one, in no more columns than they need."""
        rows = torch.atleast_1d(torch.as_tensor(rows))
        lengths = self.lengths[rows]
        return Plans(self.actions[rows, : int(lengths.max())], lengths)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The actions int64 (A,) of a step, counted from 0, and whether each plan has one, bool (A,)."""
        return self.actions[:, min(step, self.actions.shape[1] - 1)], step < self.lengths

    def rest(self) -> Plans | None:
        """One plan without its first step; None where that is all of it."""
        return Plans(self.actions[:, 1:], self.lengths - 1) if int(self.lengths) > 1 else None

    def then(self, others: Plans) -> Plans:
        """Every plan with each of B others after it that does not begin with its last action, at most (A·B,)."""
        last = self.actions.gather(1, self.lengths.unsqueeze(1) - 1)
        first, second = torch.nonzero(last != others.actions[:, 0]).unbind(dim=1)
        lengths = self.lengths[first] + others.lengths[second]
        step = torch.arange(self.actions.shape[1] + others.actions.shape[1], device=lengths.device)
        into = step - self.lengths[first].unsqueeze(1)
        before = functional.pad(self.actions, (0, others.actions.shape[1]))[first]
        after = others.actions[second].gather(1, into.clamp(0, others.actions.shape[1] - 1))
        return Plans(torch.where(into < 0, before, after), lengths)
