"""What a round of a run gave, as figures, as a line and as a row of the table of rounds."""

from __future__ import annotations

from dataclasses import dataclass

from mario_world_model.training.train_controller import ControllerFigures
from mario_world_model.training.train_mdn_rnn import MDNRNNFigures


@dataclass(frozen=True)
class Collected:
    """What a round's agent did in the real game, and the data set with it."""

    episodes: int
    """Real episodes collected so far, these included."""
    steps: int
    """Agent steps in them."""
    real_score: float
    """Mean score of the agent in the episodes that it added from the start of the level."""
    real_max_x: float
    flags: float
    """Share of these episodes that reached the flag."""


@dataclass(frozen=True)
class Round:
    """What one round gave."""

    mdn_rnn: MDNRNNFigures
    controller: ControllerFigures
    collected: Collected | None
    """None in the last round that there can be, after which nothing is trained any more."""
    seconds: float


def describe_round(number: int, result: Round) -> str:
    """One line of what a run says."""
    own = result.collected
    played = (
        f", real score {own.real_score:.0f}, mean max x {own.real_max_x:.0f}, flag in {own.flags:.0%}; "
        f"{own.episodes} episodes, {own.steps} steps so far"
        if own
        else ""
    )
    return (
        f"round {number + 1}: MDN-RNN held-out loss {result.mdn_rnn.loss_before:.3f} → "
        f"{result.mdn_rnn.loss_after:.3f}, {result.mdn_rnn.death_recall:.0%} of deaths seen a step ahead; "
        f"controller's dreamt return {result.controller.fitness:.0f} after {result.controller.generations} "
        f"generations{played}; {result.seconds:.0f} s"
    )


COLUMNS = ("round", "M, loss", "deaths seen", "dreamt", "real score", "max x", "flag", "real steps", "time")


def row(number: int, result: Round, time: str) -> tuple[str, ...]:
    """The same in the table of rounds, one cell for each of `COLUMNS`."""
    played = [""] * 4
    if own := result.collected:
        played = [f"{own.real_score:.0f}", f"{own.real_max_x:.0f}", f"{own.flags:.0%}", f"{own.steps:,}"]
    return (
        str(number + 1),
        f"{result.mdn_rnn.loss_after:.3f}",
        f"{result.mdn_rnn.death_recall:.0%}",
        f"{result.controller.fitness:.0f}",
        *played,
        time,
    )
