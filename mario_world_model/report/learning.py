"""Curves of the trainings whose logs lie beside the evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mario_world_model.report.charts import Line, line_chart
from mario_world_model.report.document import Block, Figure, Section
from mario_world_model.report.inputs import Log

_CURVES = (
    # stage, tag, what it is
    ("vae", "held_out/psnr", "V: PSNR of held-out frames, dB"),
    ("mdn_rnn", "held_out/loss", "M: loss on held-out episodes"),
    ("mdn_rnn", "held_out/death_recall", "M: recall of deaths one step ahead"),
    ("controller", "train/return_mean", "C: mean return in the dream"),
    (
        "controller",
        "held_out/return_mean",
        "C: mean return in the dream, of the search's mean, on other situations",
    ),
    ("ppo", "train/return_mean", "PPO: mean return of training episodes"),
    ("ppo", "train/entropy_loss", "PPO: negative entropy of its choices, nats"),
)


def learning(logs: Sequence[Log]) -> Section | None:
    """The section, or None without logs."""
    blocks = list(_blocks(logs))
    return Section("Learning curves", blocks) if blocks else None


def _blocks(logs: Sequence[Log]) -> Iterator[Block]:
    for stage, tag, what in _CURVES:
        own = [log for log in logs if log.stage == stage and log.curve(tag)[0]]
        if own:
            lines = [
                Line("" if len(own) == 1 else f"{number + 1}, seed {log.seed}", *log.curve(tag), number)
                for number, log in enumerate(own)
            ]
            yield Figure(f"curve_{stage}_{tag.replace('/', '_')}", f"{what}.", line_chart(lines, "step", tag))
