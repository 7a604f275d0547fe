"""What a run shows in a terminal, and what it says where there is none."""

from __future__ import annotations

import io
import re
import sys

import pytest

from mario_world_model.training.rounds import Collected, Round
from mario_world_model.training.run_view import RunView, clock
from mario_world_model.training.train_controller import ControllerFigures
from mario_world_model.training.train_mdn_rnn import MDNRNNFigures
from mario_world_model.training.train_vae import VAEFigures
from mario_world_model.utils.progress import percent_progress, progress

OWN = Collected(10, 1234, 300.0, 350.0, 0.25)
ONE = Round(MDNRNNFigures(2.0, 1.0, 0.5, 1.0), ControllerFigures(100.0, 50), OWN, 60.0)


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def go_through_a_run(view: RunView) -> None:
    with view:
        with view.stage("vae"), percent_progress("VAE") as bar:
            bar.n = 50
        view.stage_done("vae", VAEFigures(77_690.4, 812.3, 28.04), 75.0)
        view.round_done(ONE)
        with view.stage("controller of round 2"), progress("controller", 8, "generation", done=2) as bar:
            bar.update()
            bar.set_postfix(fitness="12.3")
            print("said by a stage")


def test_a_terminal_shows_the_stage_its_progress_and_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in (("TERM", "xterm"), ("COLUMNS", "120"), ("LINES", "40"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    go_through_a_run(RunView("1-1 → run", 6, 3))
    last = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()[terminal.getvalue().index("said by a stage") :])
    for text in (
        "1-1 → run, 0:00:0",
        "M, loss  deaths seen",
        "1,234  0:01:00",
        "stage 2 of at most 6: controller of round 2",
        "3 of 8 generations",
        "fitness 12.3",
        "last: vae: loss before 77,690, loss after 812, psnr after 28; 0:01:15",
        "about 0:02:00 for the other rounds, if all 2 are needed",
    ):
        assert text in last
    # The cursor is there again at once, so that nothing is amiss in the terminal of a run that is killed.
    assert terminal.getvalue().index("\x1b[?25h") < terminal.getvalue().index("said by a stage")


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    go_through_a_run(RunView("1-1 → run", 6, 3))
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "stage 1 of at most 6: vae",
        "  vae: loss before 77,690, loss after 812, psnr after 28; 0:01:15",
        said.out.splitlines()[2],
        "stage 2 of at most 6: controller of round 2",
        "said by a stage",
    ]
    assert said.out.splitlines()[2].startswith("round 1: MDN-RNN held-out loss 2.000 → 1.000")
    assert said.err == ""


def test_times_are_hours_minutes_and_seconds() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 3599, 36_000)] == ["0:00:00", "0:01:00", "0:59:59", "10:00:00"]
