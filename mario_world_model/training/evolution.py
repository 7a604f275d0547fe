"""An evolution as plain numbers: what its candidates scored, from which CMA-ES's whole state follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mario_world_model.errors import InputError
from mario_world_model.training.resume import damaged


class History:
    """The returns of every generation.

    pycma draws its candidates from its seed and from what it was told before, and nothing else. To tell it
    the same returns again therefore leads to the same covariance, paths, step size and random state, in
    milliseconds a generation, without writing any of them down or unpickling an optimiser.
    """

    def __init__(self, returns: Sequence[NDArray[np.float64]] = (), mean: NDArray[np.float64] | None = None) -> None:
        self._returns = list(returns)
        self._mean = mean

    def __len__(self) -> int:
        """Generations."""
        return len(self._returns)

    @staticmethod
    def of(arrays: Mapping[str, Tensor]) -> History:
        """What `arrays` gave; empty where there is nothing."""
        if "returns" not in arrays or "mean" not in arrays:
            return History()
        return History(list(arrays["returns"].double().numpy()), arrays["mean"].double().numpy())

    def arrays(self, evolution: Any) -> dict[str, Tensor]:
        """Returns (G, P), and the distribution's mean, by which a replay is checked."""
        return {
            "returns": torch.from_numpy(np.stack(self._returns)),
            "mean": torch.from_numpy(np.array(evolution.mean, dtype=np.float64)),
        }

    def tell(self, evolution: Any, candidates: Sequence[NDArray[np.float64]], returns: NDArray[np.float64]) -> None:
        """End a generation."""
        evolution.tell(candidates, list(-returns))
        self._returns.append(returns)

    def replay(self, evolution: Any, every: int, where: Path) -> list[NDArray[np.float64]]:
        """Bring a fresh evolution to where this one is; returns the distribution's mean of each `every` generations.

        Raises InputError when it arrives elsewhere, as with another version of pycma.
        """
        means = []
        for generation, returns in enumerate(self._returns, start=1):
            candidates = evolution.ask()
            if returns.shape != (len(candidates),) or not np.isfinite(returns).all():
                raise damaged(where)
            evolution.tell(candidates, list(-returns))
            if generation % every == 0:
                means.append(evolution.mean)
        if self._mean is not None and not np.array_equal(self._mean, evolution.mean):
            raise InputError(
                f"{where}: expected an evolution that can be repeated, found another outcome: with other versions of "
                "the libraries or another number of threads it cannot be gone on with; --no-resume starts over"
            )
        return means
